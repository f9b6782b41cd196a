"""What is at stake in a drop, as the development database tells it."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, text

from handrail import drops
from handrail.catalog.objects import Kind, Name
from handrail.connection import parse_url, with_connection
from handrail.drops import at_stake

TABLE = Name(Kind.TABLE, "my-shop", "", 'Or"ders')
COLUMN = Name(Kind.COLUMN, "my-shop", 'Or"ders', "a note%s :x")


@pytest.fixture
def filled(url: str) -> str:
    """URL of a database with 1,200 rows, every third of which has a value."""

    def fill(connection: Connection) -> None:
        connection.execute(text('CREATE SCHEMA "my-shop"'))
        connection.execute(text('CREATE TABLE "my-shop"."Or""ders" (id integer, "a note%s \\:x" text)'))
        connection.execute(
            text("""INSERT INTO "my-shop"."Or""ders" SELECT n, CASE WHEN n % 3 = 0 THEN 'x' END
            FROM generate_series(1, 1200) AS n""")
        )
        connection.commit()

    with_connection(parse_url(url), fill, application="test")
    return url


def test_rows_and_values_are_counted(filled: str) -> None:
    found = at_stake([TABLE, COLUMN], parse_url(filled))

    assert found[TABLE].startswith("1,200 rows in the development database (2")
    assert found[COLUMN].startswith("400 of 1,200 rows hold a value in the development database (2")


def test_many_rows_are_estimated_and_that_is_said(filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with_connection(parse_url(filled), lambda c: c.execute(text("ANALYZE")), application="test", autocommit=True)
    monkeypatch.setattr(drops, "EXACT", 1000)

    assert at_stake([TABLE], parse_url(filled))[TABLE].startswith("about 1,200 rows")


def test_what_is_not_there_is_said(filled: str) -> None:
    missing = [Name(Kind.TABLE, "my-shop", "", "none"), Name(Kind.COLUMN, "my-shop", 'Or"ders', "none")]

    found = at_stake([*missing, TABLE], parse_url(filled))

    assert "no such table" in found[missing[0]]
    assert "not known how many" in found[missing[1]]
    assert "1,200 rows" in found[TABLE]


@pytest.mark.parametrize("url", [None, "postgresql://nobody@127.0.0.1:1/none", "postgresql://nobody@127.0.0.1/none"])
def test_it_never_fails(url: str | None) -> None:
    assert "not known how many" in at_stake([TABLE], parse_url(url) if url else None)[TABLE]
