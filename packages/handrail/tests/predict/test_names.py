"""Only what is meant is changed, whatever has the same name elsewhere, and what is not known is locked all the same."""

from __future__ import annotations

import pytest

from handrail.effects import LockMode, Relation
from handrail.judge import judge
from handrail.predict import State
from handrail.predict.placed import place
from handrail.sizes import Sizes
from handrail.statements import read_sql

TWO = """
    CREATE SCHEMA a; CREATE SCHEMA b;
    CREATE TYPE a.status AS ENUM ('x'); CREATE TYPE b.status AS ENUM ('y');
    CREATE DOMAIN a.email AS text; CREATE DOMAIN b.email AS varchar(9);
    CREATE TABLE a.t (s a.status, e a.email); CREATE TABLE b.t (s b.status, e b.email);
"""


def test_a_type_of_one_schema_is_renamed_and_not_those_of_others() -> None:
    state = State()
    place(read_sql(TWO), state)

    place(read_sql("ALTER TYPE a.status RENAME TO state; ALTER DOMAIN b.email RENAME TO address"), state)

    assert state.enums == {Relation("a", "state"): ["x"], Relation("b", "status"): ["y"]}
    assert set(state.domains) == {Relation("a", "email"), Relation("b", "address")}
    types = {
        f"{table}.{name}": column.type
        for table in (Relation("a", "t"), Relation("b", "t"))
        for name, column in (state.table(table).columns or {}).items()
    }
    assert types == {"a.t.s": "a.state", "a.t.e": "a.email", "b.t.s": "b.status", "b.t.e": "b.address"}


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE new PARTITION OF log FOR VALUES FROM (1) TO (2)",
        "ALTER TABLE log ATTACH PARTITION new FOR VALUES FROM (1) TO (2)",
    ],
)
@pytest.mark.parametrize("check", ["", "ALTER TABLE rest ADD CHECK (id > 9);"])
def test_a_default_partition_is_read_for_a_new_one(sql: str, check: str) -> None:
    """Unless a constraint says that it holds nothing of that."""
    log = "CREATE TABLE log (id int NOT NULL) PARTITION BY RANGE (id); CREATE TABLE rest PARTITION OF log DEFAULT;"
    new = "CREATE TABLE new (id int NOT NULL CHECK (id = 1));" if "ATTACH" in sql else ""
    state = State()
    place(read_sql(log + check + new), state)
    state.begin_batch()

    findings = judge(place(read_sql(sql), state), state, Sizes(), "file.sql")

    assert [(finding.rule, finding.object) for finding in findings] == (
        [] if check else [("attach-partition-scan", "public.rest")]
    )
    assert all("Before public.new becomes a partition of public.log" in finding.what for finding in findings)


@pytest.mark.parametrize(
    ("sql", "table"),
    [
        ("CREATE TABLE new PARTITION OF log FOR VALUES FROM (1) TO (2)", "log"),
        ("ALTER TABLE orders ALTER note DROP NOT NULL", "orders"),
    ],
)
def test_a_table_of_which_nothing_is_known_is_locked_for_a_moment(sql: str, table: str) -> None:
    """That is no finding, as little as with a table that is known: an upgrade gives up and tries again."""
    state = State()

    placed = place(read_sql(sql), state)

    (part,) = placed[0].parts
    assert part.effect.locks == {Relation("public", table): LockMode.ACCESS_EXCLUSIVE}
    assert not part.effect.scans
    assert not judge(placed, state, Sizes(), "file.sql")
