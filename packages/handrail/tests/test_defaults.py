"""The same constant in other words is no difference; everything else is."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from handrail.catalog import Catalog, read_catalog
from handrail.catalog.difference import differences
from handrail.connection import parse_url, with_connection
from handrail.defaults import with_equal_defaults

pytestmark = pytest.mark.one_driver

EQUAL = [
    ("bigint", "0", "'0'"),
    ("bigint", "'1'::integer", "(1)"),
    ("numeric(10, 2)", "1.5", "'1.50'"),
    ("boolean", "true", "'t'"),
    ("text", "'it''s'", "'it''s'::varchar"),
    ("jsonb", "'{\"a\": 1}'", "'{\"a\":1}'"),
    ("text[]", "'{}'", "'{}'::varchar[]"),
    ("timestamptz", "'2020-01-01 00:00+00'", "'2020-01-01 02:00+02'"),
]
DIFFERENT = [
    ("integer", "0", "1"),
    ("text", "'a'", "'A'"),
    ("jsonb", "'{}'", "'[]'"),
    # Equal today only.
    ("date", "CURRENT_DATE", "to_char(now(), 'YYYY-MM-DD')::date"),
    ("date", "('now'::text)::date", "('today'::text)::date"),
    ("double precision", "random()", "random() + 0"),
]


def remaining(url: str, type_: str, old: str, new: str) -> int:
    """Return how many differences remain between a table with one default and with the other."""

    def work(connection: Connection) -> int:
        def with_default(default: str) -> Catalog:
            run = connection.execution_options(no_parameters=True).exec_driver_sql
            run("DROP TABLE IF EXISTS t")
            run(f"CREATE TABLE t (value {type_} DEFAULT {default})")
            return read_catalog(connection)

        before, after = with_default(old), with_default(new)
        return len(differences(before, with_equal_defaults(connection, before, after)))

    return with_connection(parse_url(url), work, application="test")


@pytest.mark.parametrize(("type_", "old", "new"), EQUAL)
def test_the_same_constant_in_other_words(url: str, type_: str, old: str, new: str) -> None:
    assert remaining(url, type_, old, new) == 0


@pytest.mark.parametrize(("type_", "old", "new"), DIFFERENT)
def test_other_defaults_are_different(url: str, type_: str, old: str, new: str) -> None:
    assert remaining(url, type_, old, new) == 1
