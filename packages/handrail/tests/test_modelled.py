"""What is compared: everything that models say, and nothing that they cannot know."""

from __future__ import annotations

import pytest

from handrail.catalog import Catalog, read_catalog
from handrail.catalog.difference import NOT_MODELLED, differences
from handrail.catalog.words import in_words
from handrail.connection import parse_url, with_connection
from handrail.modelled import modelled

pytestmark = pytest.mark.one_driver

MODELS = """
CREATE SCHEMA shop;
CREATE TYPE shop.status AS ENUM ('open', 'closed');
CREATE TABLE shop.orders (id serial PRIMARY KEY, state shop.status, total integer);
"""


def catalog(url: str, statements: str) -> Catalog:
    """Return what these statements create, and undo them."""

    def work(connection) -> Catalog:  # type: ignore[no-untyped-def]
        for statement in statements.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
        return read_catalog(connection)

    return with_connection(parse_url(url), work, application="test")


def compared(url: str, history: str, models: str = MODELS, ignored: tuple[str, ...] = ()) -> list[str]:
    before, after = modelled(catalog(url, history), catalog(url, models), ignored=ignored)
    return in_words(differences(before, after, ignored=NOT_MODELLED))


def test_what_only_the_revisions_made_is_left_alone(url: str) -> None:
    more = """
    CREATE FUNCTION shop.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
    CREATE TRIGGER stamped BEFORE INSERT ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.stamp();
    CREATE VIEW shop.open_orders AS SELECT id FROM shop.orders;
    CREATE POLICY mine ON shop.orders USING (id > 1);
    ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY, REPLICA IDENTITY FULL;
    ALTER TABLE shop.orders ALTER COLUMN total SET STATISTICS 500;
    CREATE TYPE shop.unused AS ENUM ('x');
    CREATE SEQUENCE shop.ticket;
    CREATE SCHEMA other;
    """
    assert compared(url, MODELS + more) == []


def test_tables_that_the_models_dropped_are_seen_with_their_types(url: str) -> None:
    more = """
    CREATE TYPE shop."Kind of" AS ENUM ('x');
    CREATE TABLE shop.old (id serial PRIMARY KEY, kind shop."Kind of"[]);
    """
    assert compared(url, MODELS + more) == [
        "- enum shop.Kind of",
        "- sequence shop.old_id_seq",
        "- table shop.old",
    ]
    assert compared(url, MODELS + more, ignored=("shop.o?d",)) == []


def test_partitions_come_with_the_data_and_not_with_the_models(url: str) -> None:
    models = MODELS + "CREATE TABLE shop.log (id integer, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);\n"
    partition = "CREATE TABLE shop.log_1 PARTITION OF shop.log FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');\n"

    assert compared(url, models + partition, models) == []
    # Without their parent they are tables like others.
    assert compared(url, models + partition, MODELS) == ["- table shop.log", "- table shop.log_1"]


def test_a_difference_is_said_in_words(url: str) -> None:
    models = (
        MODELS.replace("total integer", "total bigint DEFAULT 1") + "CREATE INDEX by_total ON shop.orders (total);\n"
    )

    assert compared(url, MODELS, models) == [
        "~ column shop.orders.total: default none -> 1",
        "~ column shop.orders.total: type integer -> bigint",
        "+ index shop.orders.by_total",
    ]


def test_a_schema_is_made_by_its_first_table(url: str) -> None:
    table = MODELS + "CREATE SCHEMA audit;\nCREATE TABLE audit.log (id integer);\n"
    type_ = MODELS + "CREATE SCHEMA audit;\nCREATE TYPE audit.level AS ENUM ('low');\n"

    assert compared(url, MODELS, table) == ["+ table audit.log"]
    assert compared(url, MODELS, type_) == ["+ enum audit.level", "+ schema audit"]
