"""The snapshot of a database: complete, canonical, and without anything that the server does not keep."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, text

from handrail.catalog import Catalog, Kind, Name, read_catalog
from handrail.catalog.difference import differences
from handrail.connection import parse_url, with_connection

ZOO = """
CREATE SCHEMA "my-shop";
SET search_path = "my-shop";
CREATE TYPE status AS ENUM ('new', 'it''s');
CREATE DOMAIN email AS text NOT NULL DEFAULT 'a@b' CHECK (VALUE LIKE '%@%');
CREATE TYPE pair AS (a integer, b text COLLATE "C");
CREATE TYPE span AS RANGE (subtype = float8);
CREATE COLLATION plain (locale = 'C');
CREATE SEQUENCE ticket INCREMENT 5;
CREATE TABLE "Users" (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mail email, state status DEFAULT 'new', price numeric(10, 2) NOT NULL DEFAULT 1.5,
    seen timestamptz DEFAULT '2020-01-01 00:00+02', tags varchar(254)[],
    double_price numeric GENERATED ALWAYS AS (price * 2) STORED, code text COLLATE "C" CHECK (code <> ''),
    UNIQUE (price) INCLUDE (code), EXCLUDE USING gist (int4range(1, 2) WITH &&) WHERE (price > 1)
);
CREATE TABLE orders (id serial PRIMARY KEY,
    user_id bigint REFERENCES "Users" ON DELETE CASCADE ON UPDATE SET NULL DEFERRABLE INITIALLY DEFERRED,
    place point, short char(5)) WITH (fillfactor = 70);
CREATE INDEX by_short ON orders (short bpchar_pattern_ops, lower(short) DESC NULLS LAST) INCLUDE (user_id) WHERE id > 3;
CREATE UNLOGGED TABLE scratch (a integer);
ALTER TABLE scratch REPLICA IDENTITY FULL, ENABLE ROW LEVEL SECURITY;
CREATE TABLE child (z integer) INHERITS (scratch);
CREATE TABLE log (a integer, at date NOT NULL, PRIMARY KEY (a, at)) PARTITION BY RANGE (at);
CREATE TABLE log_2020 PARTITION OF log FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE VIEW open_orders AS SELECT id FROM orders;
CREATE MATERIALIZED VIEW buyers AS SELECT user_id FROM orders;
CREATE FUNCTION one(a integer) RETURNS integer LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE total(integer) (sfunc = int4pl, stype = integer, initcond = '0');
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER stamped BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE RULE keep AS ON DELETE TO scratch DO INSTEAD NOTHING;
CREATE POLICY mine ON scratch USING (a > 1);
CREATE STATISTICS both_columns ON a, z FROM child;
COMMENT ON COLUMN orders.id IS 'it''s';
GRANT SELECT ON orders TO public;
ALTER DEFAULT PRIVILEGES IN SCHEMA "my-shop" GRANT SELECT ON TABLES TO public;
"""

OnDatabase = Callable[[Callable[[Connection], Catalog]], Catalog]


@pytest.fixture
def on_database(url: str) -> OnDatabase:
    """Run a function on a connection to an empty database, with either driver."""
    return lambda work: with_connection(parse_url(url), work, application="test")


def run(connection: Connection, *statements: str) -> None:
    for statement in statements:
        for single in statement.split(";\n"):
            if single.strip():
                connection.execution_options(no_parameters=True).exec_driver_sql(single)


def attributes(catalog: Catalog, kind: Kind, table: str, name: str) -> dict[str, object]:
    return dict(catalog.objects[Name(kind, "my-shop", table, name)])


def test_every_kind_of_object_is_seen(on_database: OnDatabase) -> None:
    def work(connection: Connection) -> Catalog:
        run(connection, ZOO)
        return read_catalog(connection)

    catalog = on_database(work)

    assert {name.kind for name in catalog.objects} == set(Kind) - {Kind.EXTENSION}
    assert attributes(catalog, Kind.ENUM, "", "status")["values"] == ["new", "it's"]
    column = attributes(catalog, Kind.COLUMN, "Users", "seen")
    assert column["default"] == "'2019-12-31 22:00:00+00'::timestamp with time zone"
    assert attributes(catalog, Kind.COLUMN, "Users", "mail")["type"] == '"my-shop".email'
    index = attributes(catalog, Kind.INDEX, "orders", "by_short")
    assert (index["where"], index["include"]) == ("(id > 3)", ["user_id"])
    assert attributes(catalog, Kind.CONSTRAINT, "orders", "orders_user_id_fkey")["references"] == {
        "schema": "my-shop",
        "table": "Users",
        "columns": ["id"],
        "on_update": "SET NULL",
        "on_delete": "CASCADE",
    }


def test_the_state_of_the_session_makes_no_difference_and_stays_as_it_was(on_database: OnDatabase) -> None:
    def work(connection: Connection) -> Catalog:
        run(connection, ZOO)
        catalog = read_catalog(connection)
        settings = "SET search_path = 'my-shop', public; SET timezone = 'Asia/Tokyo'; SET datestyle = 'German, DMY'"
        run(connection, *settings.split("; "), "SET intervalstyle = 'sql_standard'", "SET quote_all_identifiers = on")
        assert read_catalog(connection).objects == catalog.objects
        assert connection.exec_driver_sql("SHOW timezone").scalar() == "Asia/Tokyo"
        assert connection.exec_driver_sql("SHOW search_path").scalar() == '"my-shop", public'
        return catalog

    on_database(work)


def test_maintenance_changes_nothing(empty_database: str) -> None:
    def work(connection: Connection) -> Catalog:
        run(connection, ZOO)
        catalog = read_catalog(connection)
        run(
            connection,
            'REINDEX SCHEMA "my-shop"',
            "VACUUM FULL",
            "ANALYZE",
            "VACUUM",
            'CLUSTER "my-shop".orders USING orders_pkey',
        )
        run(connection, 'ALTER TABLE "my-shop".orders SET WITHOUT CLUSTER')
        assert read_catalog(connection).hash == catalog.hash
        return catalog

    with_connection(parse_url(empty_database), work, application="test", autocommit=True)


def test_a_catalog_survives_being_written_down(on_database: OnDatabase) -> None:
    def work(connection: Connection) -> Catalog:
        run(connection, ZOO)
        return read_catalog(connection)

    catalog = on_database(work)
    again = Catalog.from_json(catalog.to_json())

    assert (again.objects, again.hash) == (catalog.objects, catalog.hash)


def test_a_difference_names_the_object_and_the_attribute(on_database: OnDatabase) -> None:
    def work(connection: Connection) -> Catalog:
        run(connection, ZOO)
        before = read_catalog(connection)
        run(
            connection,
            "ALTER TABLE \"my-shop\".orders ALTER COLUMN short SET DEFAULT 'x'",
            'DROP VIEW "my-shop".open_orders',
        )
        changed, dropped = differences(before, read_catalog(connection))
        assert str(changed.name) == "column my-shop.orders.short"
        assert changed.changes == {"default": (None, "'x'::bpchar")}
        assert (dropped.name.kind, dropped.after) == (Kind.VIEW, None)
        assert dropped.reversed().before is None
        return before

    on_database(work)


def test_only_the_schemas_that_were_asked_for_are_read(on_database: OnDatabase) -> None:
    def work(connection: Connection) -> Catalog:
        run(connection, ZOO, "CREATE SCHEMA other", "CREATE TABLE other.t (id integer)")
        return read_catalog(connection, schemas=["other"])

    assert {name.schema or name.name for name in on_database(work).objects} == {"other"}


def test_reading_leaves_the_callers_connection_as_it_was(empty_database: str) -> None:
    def work(connection: Connection) -> object:
        read_catalog(connection)
        return connection.scalar(text("SELECT 'x%'"))

    url = parse_url(empty_database.replace("postgresql://", "postgresql+psycopg://"))
    assert with_connection(url, work, application="test") == "x%"


def test_a_list_of_strings_is_written_so_that_it_reads_back_the_same(on_database: OnDatabase) -> None:
    def work(connection: Connection) -> Catalog:
        run(connection, 'CREATE SCHEMA "my-shop"')
        run(
            connection,
            "CREATE TABLE \"my-shop\".t (a varchar(9), CONSTRAINT c CHECK (a IN ('x', 'it''s') AND a NOT IN ('y')))",
        )
        run(connection, "COMMENT ON CONSTRAINT c ON \"my-shop\".t IS 'ANY ((ARRAY[''x''::character varying])::text[])'")
        first = attributes(read_catalog(connection), Kind.CONSTRAINT, "t", "c")
        run(connection, f'ALTER TABLE "my-shop".t DROP CONSTRAINT c, ADD CONSTRAINT c {first["definition"]}')
        second = attributes(read_catalog(connection), Kind.CONSTRAINT, "t", "c")
        assert first.pop("comment") == "ANY ((ARRAY['x'::character varying])::text[])"
        assert first == second
        return read_catalog(connection)

    on_database(work)
