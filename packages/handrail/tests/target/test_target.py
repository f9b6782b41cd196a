"""The target is what the models' own DDL makes of a database, with what the history has for it to use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import (
    BLANK_SCHEMA,
    DDL,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Connection,
    Enum,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    Sequence,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, DOMAIN, ENUM, JSONB
from sqlalchemy.types import UserDefinedType

from handrail.catalog import Kind, Name
from handrail.errors import ModelError
from handrail.target import stated_names
from target.conftest import Ground, without_schemas

Make = Callable[..., Ground]


def zoo() -> MetaData:
    """Models with everything that can be taken apart."""
    metadata = MetaData(schema="my-shop")
    status = Enum("new", "it's", "100%", name="status")
    mail = DOMAIN("mail", Text, check="VALUE LIKE '%@%'", metadata=metadata)
    ticket = Sequence("ticket", increment=5, metadata=metadata)
    Table(
        "Users",
        metadata,
        Column("id", Integer, Identity(always=True), primary_key=True),
        Column("mail", mail, unique=True, comment="50% of them"),
        Column("state", status, server_default="new", index=True),
        Column("states", ARRAY(status)),
        Column("ticket", Integer, ticket, server_default=ticket.next_value()),
        Column("price", Numeric(10, 2), CheckConstraint("price > 0")),
        Column("twice", Numeric, Computed("price * 2", persisted=True)),
        Column("active", Boolean, server_default=text("true")),
        comment="people",
    )
    Table(
        "orders",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("user_id", ForeignKey("my-shop.Users.id", ondelete="CASCADE", deferrable=True), index=True),
        Column("parent_id", ForeignKey("my-shop.orders.id")),
        Column("data", JSONB, server_default=text("'{}'::jsonb")),
        Column("at", Text, server_default=func.now()),
        Column("state", Enum("new", "it's", "100%", name="status")),
        UniqueConstraint("user_id", "parent_id", postgresql_nulls_not_distinct=True),
        Index("by_data", "data", postgresql_using="gin", postgresql_where=text("id > 3")),
        postgresql_with={"fillfactor": 70},
    )
    # SQLAlchemy knows parents in the default schema only.
    parent = Table("parent", metadata, Column("id", Integer, CheckConstraint("id > 0")), schema=BLANK_SCHEMA)
    child = Table("child", metadata, Column("gone", Text), schema=BLANK_SCHEMA, postgresql_inherits="parent")
    child.add_is_dependent_on(parent)
    left = Table("left", metadata, Column("id", Integer, primary_key=True), Column("r", ForeignKey("my-shop.right.id")))
    Table("right", metadata, Column("id", Integer, primary_key=True), Column("l", ForeignKey(left.c.id)))
    return metadata


def test_it_is_what_create_all_makes(ground: Make) -> None:
    here = ground()

    assert without_schemas(here.target(zoo())) == here.created(zoo())


def test_of_the_history_only_what_the_models_use_is_in_it(ground: Make) -> None:
    """Schemas and extensions are as the history has them, other things only if a column uses them."""
    here = ground(
        "CREATE SCHEMA shop",
        "COMMENT ON SCHEMA shop IS 'ours'",
        "CREATE TYPE shop.inner AS ENUM ('a', 'b')",
        'CREATE DOMAIN shop."Used" AS shop.inner',
        "CREATE TYPE shop.unused AS ENUM ('a')",
        "CREATE SEQUENCE shop.numbers",
        "CREATE TABLE shop.dropped_from_the_models (id int)",
        "CREATE FUNCTION shop.one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    )

    class Used(UserDefinedType[Any]):
        cache_ok = True

        def get_col_spec(self, **_: Any) -> str:
            return 'shop."Used"'

    metadata = MetaData(schema="shop")
    number = Column("number", Integer, server_default=text("nextval('shop.numbers') + shop.one()"))
    Table("things", metadata, Column("id", Used, primary_key=True), number)

    target = here.target(metadata).objects

    assert [str(name) for name in target if name.kind not in (Kind.COLUMN, Kind.CONSTRAINT)] == [
        "domain shop.Used",
        "enum shop.inner",
        "schema public",
        "schema shop",
        "sequence shop.numbers",
        "table shop.things",
    ]
    assert target[Name(Kind.SCHEMA, "", "", "shop")]["comment"] == "ours"
    assert "numbers" in target[Name(Kind.COLUMN, "shop", "things", "number")]["default"]


def test_a_type_that_the_models_leave_to_the_revisions_is_theirs(ground: Make) -> None:
    here = ground("CREATE SCHEMA shop", "CREATE TYPE shop.state AS ENUM ('old', 'new', 'more')")
    metadata = MetaData(schema="shop")
    Table("things", metadata, Column("state", ENUM("old", "new", name="state", schema="shop", create_type=False)))

    target = here.target(metadata)

    assert target.objects[Name(Kind.ENUM, "shop", "", "state")]["values"] == ["old", "new", "more"]


def test_what_the_history_has_of_the_same_name_is_not_in_the_way(ground: Make) -> None:
    """The models need a function of the history, whose tables, types and indexes have the names of theirs."""
    here = ground(
        "CREATE SCHEMA shop",
        "CREATE TYPE shop.state AS ENUM ('old')",
        "CREATE TABLE shop.things (state shop.state)",
        "CREATE TABLE shop.former_name (id int)",
        "CREATE INDEX by_id ON shop.former_name (id)",
        "CREATE VIEW shop.seen AS SELECT * FROM shop.things",
        "CREATE FUNCTION shop.new_id() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    )
    metadata = MetaData(schema="shop")
    Table("things", metadata, Column("state", Enum("old", "new", name="state")))
    Table("new_name", metadata, Column("id", Integer, server_default=text("shop.new_id()"), index=True))
    Index("by_id", metadata.tables["shop.new_name"].c.id)

    target = here.target(metadata)

    assert target.objects[Name(Kind.ENUM, "shop", "", "state")]["values"] == ["old", "new"]
    assert [name.name for name, _ in target.of_kind(Kind.TABLE)] == ["new_name", "things"]
    assert not list(target.of_kind(Kind.FUNCTION, Kind.VIEW))


def test_extensions_of_the_history_are_there(ground: Make) -> None:
    here = ground("CREATE SCHEMA extra", "CREATE EXTENSION citext SCHEMA extra")
    metadata = MetaData()

    class Citext(UserDefinedType[Any]):
        cache_ok = True

        def get_col_spec(self, **_: Any) -> str:
            return "extra.citext"

    Table("people", metadata, Column("name", Citext))

    target = here.target(metadata).objects

    assert target[Name(Kind.COLUMN, "public", "people", "name")]["type"] == "extra.citext"
    assert Name(Kind.EXTENSION, "", "", "citext") in target


def with_events(metadata: MetaData) -> MetaData:
    """Add a function, and a trigger that an event function creates."""
    body = "CREATE OR REPLACE FUNCTION shop.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'"
    event.listen(metadata, "before_create", DDL(body))  # type: ignore[no-untyped-call]

    @event.listens_for(metadata.tables["shop.things"], "after_create")
    def add_trigger(table: Table, connection: Connection, **_: Any) -> None:
        connection.execute(
            text("CREATE TRIGGER stamped BEFORE INSERT ON shop.things FOR EACH ROW EXECUTE FUNCTION shop.stamp()")
        )

    return metadata


@pytest.mark.parametrize("needs_history", [False, True])
def test_ddl_events_are_part_of_the_models(ground: Make, needs_history: bool) -> None:
    here = ground(
        "CREATE SCHEMA shop",
        "CREATE FUNCTION shop.theirs() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE VIEW shop.view AS SELECT 1",
    )
    metadata = MetaData(schema="shop")
    default = text("shop.theirs()" if needs_history else "1")
    Table("things", metadata, Column("id", Integer, server_default=default))

    target = here.target(with_events(metadata))

    assert [str(name) for name, _ in target.of_kind(*set(Kind) - {Kind.SCHEMA})] == [
        "column shop.things.id",
        "function shop.stamp()",
        "table shop.things",
        "trigger shop.things.stamped",
    ]


def test_identifiers_are_cut_off_as_postgresql_does_it(ground: Make) -> None:
    """At 63 bytes, where SQLAlchemy counts 63 characters; everything is found under the name that is left."""
    metadata = MetaData(schema="ä" * 40)
    Table("é" * 40, metadata, Column("id", Integer, primary_key=True))
    Table("short", metadata, Column("id", Integer), Index("ü" * 50, "id"))
    here = ground()

    target = here.target(metadata)

    assert [name.name for name, _ in target.of_kind(Kind.TABLE)] == ["short", "é" * 31]
    assert {name for name, _ in target.of_kind(Kind.INDEX)} == stated_names(metadata)
    assert without_schemas(target) == here.created(metadata)


REFUSED: dict[str, tuple[Callable[[MetaData], object], str]] = {
    "an unknown function": (
        lambda metadata: Table("t", metadata, Column("id", Integer, server_default=text("nowhere()"))),
        "function nowhere() does not exist",
    ),
    "an unknown type": (
        lambda metadata: Table("t", metadata, Column("id", ENUM("a", name="absent", create_type=False))),
        'type "absent" does not exist',
    ),
    "an index name twice": (
        lambda metadata: [
            Table("t", metadata, Column("id", Integer), Index("same", "id")),
            Table("u", metadata, Column("id", Integer), Index("same", "id")),
        ],
        'relation "same" already exists. Two models give the same name',
    ),
    "a foreign key to what is not unique": (
        lambda metadata: [
            Table("t", metadata, Column("id", Integer)),
            Table("u", metadata, Column("id", ForeignKey("t.id"))),
        ],
        "Declare the columns that the foreign key points to unique",
    ),
    "a check that is no SQL": (
        lambda metadata: Table("t", metadata, Column("id", Integer), CheckConstraint("id >")),
        "syntax error",
    ),
    "a string without a type": (
        lambda metadata: Table("t", metadata, Column("id")),
        "Can't generate DDL for NullType()",
    ),
    "a foreign key to no table": (
        lambda metadata: Table("t", metadata, Column("id", ForeignKey("nowhere.id"))),
        "could not find table 'nowhere'",
    ),
    "a name that is too long": (
        lambda metadata: Table("t", metadata, Column("id", Integer), Index("i" * 64, "id")),
        "exceeds maximum length of 63 characters",
    ),
}


def test_an_index_without_a_name_is_explained(ground: Make) -> None:
    """SQLAlchemy's own naming convention is gone as soon as there is another one."""
    metadata = MetaData(naming_convention={"pk": "pk_%(table_name)s"})
    Table("t", metadata, Column("id", Integer, index=True))

    with pytest.raises(ModelError, match=r'index on t\.id has no name.*Add "ix"'):
        ground().target(metadata)


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_created_is_explained(ground: Make, case: str) -> None:
    declare, said = REFUSED[case]
    metadata = MetaData()
    declare(metadata)
    here = ground()

    with pytest.raises(ModelError) as refused:
        here.target(metadata)

    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_no_database_is_left_behind(ground: Make) -> None:
    """Neither after a success nor after a refusal."""
    here = ground("CREATE TYPE state AS ENUM ('a')")
    metadata = MetaData()
    Table("t", metadata, Column("s", ENUM("a", name="state", create_type=False)))
    here.target(metadata)
    Table("u", metadata, Column("s", String, server_default=text("nowhere()")))
    with pytest.raises(ModelError):
        here.target(metadata)

    assert here.server._created == {here.database}
