"""After an edit only what it changed is created anew, and the result is the same as of creating everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    Connection,
    Enum,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Numeric,
    Sequence,
    String,
    Table,
    UniqueConstraint,
    event,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import DOMAIN
from sqlalchemy.engine import Engine
from sqlalchemy.schema import CreateSchema

from handrail.cache import FOLDER, Cache
from handrail.catalog import Kind, Name
from handrail.catalog.difference import differences
from target.conftest import Ground, without_schemas

Make = Callable[..., Ground]

TABLES = ["a", "b", "c", "D", "e", "f"]
CONVENTION = {
    "ix": "ix_%(column_0_label)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}
COLUMNS: dict[str, list[Callable[[], Any]]] = {
    "name": [lambda: Column("name", String(50)), lambda: Column("name", String(60), index=True, nullable=False)],
    "price": [
        lambda: Column("price", Numeric(10, 2), server_default=text("0")),
        lambda: Column("price", Numeric(10, 2), server_default=text("1"), unique=True),
        lambda: Column("price", Numeric(10, 2), CheckConstraint("price > 0", name="positive")),
    ],
    "state": [lambda: Column("state", Enum("new", "old", name="state"), server_default="new")],
    "kind": [lambda: Column("kind", Enum("x", "y", name="kind")), lambda: Column("kind", String(1), comment="50%")],
    "mail": [lambda: Column("mail", DOMAIN("mail", String(254), check="VALUE LIKE '%@%'"))],
    "number": [lambda: Column("number", Integer, Sequence("numbers"))],
    "twice": [lambda: Column("twice", Integer, Computed("2 * 3", persisted=True))],
    "at": [lambda: Column("at", String, server_default=func.now())],
}
KEYS = {"integer": Integer, "bigint": BigInteger}

table = st.fixed_dictionaries(
    {
        "columns": st.lists(
            st.sampled_from([(name, number) for name, made in COLUMNS.items() for number in range(len(made))]),
            max_size=5,
            unique_by=lambda column: column[0],
        ),
        "key": st.sampled_from(["integer", "integer", "integer", "bigint"]),
        "refers_to": st.lists(st.sampled_from(TABLES), max_size=2, unique=True),
        "on_delete": st.sampled_from([None, "CASCADE"]),
        "code": st.sampled_from(["constraint", "index", "deferred"]),
        "comment": st.none() | st.just("it's 50%"),
    }
)
models = st.fixed_dictionaries(dict.fromkeys(TABLES, table))
edits = st.lists(st.tuples(st.sampled_from(TABLES), st.none() | table), min_size=1, max_size=2)


def metadata_of(declared: dict[str, Any]) -> MetaData:
    """Return models of tables that refer to the ids or codes of each other, as far as these are there."""
    metadata = MetaData(schema="shop", naming_convention=CONVENTION)
    for name, facts in declared.items():
        made = Table(
            name,
            metadata,
            Column("id", KEYS[facts["key"]], primary_key=True),
            Column("code", String(10)),
            *(COLUMNS[column][number]() for column, number in facts["columns"]),
            comment=facts["comment"],
        )
        if facts["code"] == "index":
            Index(f"by_code_{name}", made.c.code, unique=True)
        else:
            deferred = facts["code"] == "deferred"
            made.append_constraint(UniqueConstraint("code", initially="DEFERRED" if deferred else None))
        for other in set(facts["refers_to"]) & set(declared):
            # A deferrable key is none that can be referred to, nor a table's own index while that is being created.
            column = "code" if declared[other]["code"] == "constraint" or name != other else "id"
            column = "id" if declared[other]["code"] == "deferred" else column
            key = ForeignKey(f"shop.{other}.{column}", ondelete=facts["on_delete"])
            made.append_column(Column(f"{other}_{column}", key))
    return metadata


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    # Making a counterexample smaller takes hundreds of databases: add Phase.shrink by hand where there is one.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(declared=models, edits=edits)
def test_edits_lead_where_creating_everything_does(ground: Make, declared: dict[str, Any], edits: list[Any]) -> None:
    here = ground("CREATE SCHEMA shop")
    with TemporaryDirectory() as folder:
        cache = Cache.of(Path(folder))
        here.target(metadata_of(declared), cache)
        for name, facts in edits:
            declared = {other: known for other, known in declared.items() if other != name}
            declared |= {name: facts} if facts else {}

            assert without_schemas(here.target(metadata_of(declared), cache)) == here.created(metadata_of(declared))


def chain(length: int, **changed: Any) -> MetaData:
    """Return tables of which each refers to the one before it; of one of them a column may be another one."""
    metadata = MetaData(schema="shop")
    for number in range(length):
        Table(
            f"t{number}",
            metadata,
            Column("id", Integer, primary_key=True),
            Column("parent", ForeignKey(f"shop.t{max(number - 1, 0)}.id")),
            changed.get(f"t{number}", Column)("name", String),
        )
    return metadata


@contextmanager
def created() -> Iterator[list[str]]:
    """Yield the tables that are being created meanwhile, as their statements name them."""
    tables: list[str] = []

    def note(_c: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.strip().startswith("CREATE TABLE"):
            tables.append(statement.split()[2])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield tables
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def indexed(*arguments: Any) -> Column[Any]:
    return Column(*arguments, index=True)


def test_one_changed_table_is_created_with_those_it_refers_to(ground: Make) -> None:
    here = ground("CREATE SCHEMA shop")
    here.target(chain(9))

    with created() as tables:
        target = here.target(chain(9, t5=indexed))

    assert tables == ["shop.t4", "shop.t5"]
    assert without_schemas(target) == here.created(chain(9, t5=indexed))


@pytest.mark.parametrize("before", [9, 8, 10])
def test_what_was_created_before_is_not_created_again(ground: Make, before: int) -> None:
    """Nothing at all without a change, nothing for a table that is gone, and of a new one as much as it needs."""
    here = ground("CREATE SCHEMA shop")
    here.target(chain(before))

    with created() as tables:
        here.target(chain(9))

    assert tables == (["shop.t7", "shop.t8"] if before == 8 else [])


def test_an_unusable_cache_only_costs_time(ground: Make) -> None:
    here = ground("CREATE SCHEMA shop")
    expected = here.target(chain(3))
    assert here.cache.folder is not None
    for file in (here.cache.folder).iterdir():
        file.write_bytes(file.read_bytes()[:-20])

    assert here.target(chain(3)) == expected
    assert here.target(chain(3), Cache(here.cache.folder / "gone" / FOLDER)) == expected


def test_a_function_of_the_history_is_part_of_what_decides(ground: Make) -> None:
    """What a check says depends on the type of the function in it, which a revision may change."""
    one = "CREATE OR REPLACE FUNCTION shop.one() RETURNS {0} LANGUAGE sql AS 'SELECT 1::{0}'"
    here = ground("CREATE SCHEMA shop", one.format("integer"))
    metadata = chain(9)
    Table("checked", metadata, Column("id", Integer), CheckConstraint("shop.one() > 0", name="one"))
    first = here.target(metadata)
    with created() as tables:
        assert here.target(metadata) == first
    assert tables == []

    here.server.execute("DROP FUNCTION shop.one()", one.format("numeric"), database=here.database)

    assert "numeric" in str(here.target(metadata).objects)
    assert "numeric" not in str(first.objects)


@pytest.mark.parametrize("if_not_exists", [True, False])
def test_a_schema_that_an_event_creates_is_no_obstacle(ground: Make, if_not_exists: bool) -> None:
    """The usual way to have one with `create_all`; whether or not the history has it already."""
    for here in (ground(), ground("CREATE SCHEMA shop")):
        cache = Cache(here.cache.folder and here.cache.folder / here.database)
        (cache.folder or Path()).mkdir(parents=True)
        metadata = chain(9)
        event.listen(metadata, "before_create", CreateSchema("shop", if_not_exists=if_not_exists))
        first = here.target(metadata, cache)
        with created() as tables:
            metadata.tables["shop.t5"].append_column(Column("extra", Integer))
            second = here.target(metadata, cache)

        assert tables == ["shop.t4", "shop.t5"]
        assert Name(Kind.SCHEMA, "", "", "shop") in second.objects
        assert [difference.name.name for difference in differences(first, second)] == ["extra"]
