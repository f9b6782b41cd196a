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
