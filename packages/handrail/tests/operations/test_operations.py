"""Operations lead from any schema to any other, and back without a trace."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, text

from handrail.catalog import Catalog, Kind, read_catalog
from handrail.catalog.difference import NOT_MODELLED, Difference, differences
from handrail.connection import parse_url, with_connection
from handrail.errors import MigrationError
from handrail.operations import operations
from handrail.operations.statement import Statement, in_python
from handrail.operations.types import DIALECT
from operations.pairs import NEWER, PAIRS
from operations.round_trip import catalog_of, create, migrate, rendered, run


def goes_there_and_back(connection: Connection, first: str, second: str) -> None:
    before, after = catalog_of(connection, first), catalog_of(connection, second)
    with connection.begin() as transaction:
        create(connection, first)
        assert migrate(connection, before, after)[1] == []
        assert migrate(connection, after, before)[1] == []
        transaction.rollback()


@pytest.mark.parametrize("name", PAIRS)
def test_there_and_back(connection: Connection, name: str) -> None:
    goes_there_and_back(connection, *PAIRS[name])


@pytest.mark.parametrize("name", NEWER)
def test_there_and_back_on_postgresql_18(connection: Connection, name: str) -> None:
    if (connection.dialect.server_version_info or ()) < (18,):
        connection.rollback()
        pytest.skip("PostgreSQL 18 brought this")
    goes_there_and_back(connection, *NEWER[name])


def test_what_nobody_manages_makes_way_and_comes_back(connection: Connection) -> None:
    """A view of the history that the models say nothing of is neither among the differences nor in what is wanted."""
    table = "CREATE TABLE t (id integer PRIMARY KEY, a {});"
    views = "CREATE VIEW v AS SELECT a FROM t; COMMENT ON VIEW v IS 'c'; CREATE VIEW w AS SELECT a FROM v;"
    before = catalog_of(connection, table.format("integer") + views)
    after = catalog_of(connection, table.format("bigint"))
    wanted = catalog_of(connection, table.format("bigint") + views)
    managed = [d for d in differences(before, after, ignored=NOT_MODELLED) if d.name.kind is Kind.COLUMN]
    with connection.begin() as transaction:
        create(connection, table.format("integer") + views)
        run(connection, rendered(connection, operations(managed, before, after)))
        assert differences(read_catalog(connection), wanted, ignored=NOT_MODELLED) == []
        transaction.rollback()


def test_a_new_value_that_is_used_at_once_is_committed_before(empty_database: str) -> None:
    """PostgreSQL takes no new value of an enum in the transaction that added it."""
    first = "CREATE TYPE \"S\" AS ENUM ('a', 'z'); CREATE TABLE t (s \"S\")"
    second = first.replace("'z'", "'b', 'it''s', 'z'").replace('(s "S")', "(s \"S\" DEFAULT 'it''s')")

    def work(connection: Connection) -> str:
        before, after = catalog_of(connection, first), catalog_of(connection, second)
        with connection.begin():
            create(connection, first)
        body = rendered(connection, operations(differences(before, after), before, after))
        run(connection, body)
        assert differences(read_catalog(connection), after) == []
        return body

    body = with_connection(parse_url(empty_database.replace("://", "+psycopg://")), work, application="test")

    assert body.count("    with op.get_context().autocommit_block():\n        op.execute(") == 2
    assert body.count("ADD VALUE IF NOT EXISTS") == 2


@pytest.mark.parametrize("name", ["tables: hostile names", "columns: a default with a colon"])
def test_either_driver_is_told_the_same(empty_database: str, url: str, name: str) -> None:
    first, second = PAIRS[name]

    def prepare(connection: Connection) -> tuple[Catalog, Catalog]:
        catalogs = catalog_of(connection, first), catalog_of(connection, second)
        with connection.begin():
            create(connection, first)
        return catalogs

    psycopg = parse_url(empty_database.replace("://", "+psycopg://"))
    before, after = with_connection(psycopg, prepare, application="test")

    def work(connection: Connection) -> list[Difference]:
        return migrate(connection, before, after)[1]

    assert with_connection(parse_url(url), work, application="test") == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("CREATE TABLE t (at date);", "CREATE TABLE t (at date) PARTITION BY RANGE (at);"),
        ("CREATE TABLE t (at date) PARTITION BY RANGE (at);", "CREATE TABLE t (at date) PARTITION BY LIST (at);"),
    ],
)
def test_another_kind_of_table_is_refused(connection: Connection, first: str, second: str) -> None:
    before, after = catalog_of(connection, first), catalog_of(connection, second)

    with pytest.raises(MigrationError, match=r"partition key of shop\.t cannot change: .* copy the rows of shop\.t"):
        operations(differences(before, after, ignored=NOT_MODELLED), before, after)


@pytest.mark.parametrize(
    "sql",
    ["SELECT 'a:b :c', ':d', x::text, '12:30'", r"SELECT '\:a', E'\\:b', '\d+\:\w'", "SELECT '5%', :x, ::y", "a\n:b"],
)
def test_sql_stays_what_it_is(sql: str) -> None:
    assert str(text(str(Statement(sql).sqltext)).compile(dialect=DIALECT)) == sql
    assert not text(str(Statement(sql).sqltext))._bindparams


@pytest.mark.parametrize(
    ("sql", "written"),
    [
        ("DROP TYPE shop.s", "'DROP TYPE shop.s'"),
        ("""CREATE TYPE "s" AS ENUM ('a', E'\\\\:b')""", '"""CREATE TYPE "s" AS ENUM (\'a\', E\'\\\\\\\\\\\\:b\')"""'),
        ("CREATE VIEW v AS\nSELECT 'x'", '"""\n    CREATE VIEW v AS\n    SELECT \'x\'\n"""'),
        ("COMMENT ON TABLE t IS 'a\n b'", '\n    "COMMENT ON TABLE t IS \'a\\n"\n    " b\'"\n'),
        ("CREATE FUNCTION f() AS $$\nBEGIN$$", "\n    'CREATE FUNCTION f() AS $$\\n'\n    'BEGIN$$'\n"),
        ('DROP VIEW "it\'s"', "'DROP VIEW \"it\\'s\"'"),
    ],
)
def test_sql_reads_well_and_back(sql: str, written: str) -> None:
    statement = str(Statement(sql).sqltext)

    assert in_python(statement) == written
    assert " ".join(eval(f"({written})").split()) == " ".join(statement.split())
