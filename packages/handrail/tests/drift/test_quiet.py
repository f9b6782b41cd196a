"""Nothing is reported when nothing was changed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, make_url

from handrail.catalog.words import in_words
from handrail.connection import parse_url, with_connection
from handrail.postgres.binaries import find_binaries
from handrail.scratch import ScratchServer
from handrail.upgrade.drift import drift
from handrail.upgrade.journal import Journal

WORK = """
INSERT INTO shop.customers (name, mail) SELECT 'n' || i, i || '@b' FROM generate_series(1, 500) i;
INSERT INTO shop.orders (customer_id, total) SELECT id, id FROM shop.customers;
DELETE FROM shop.customers WHERE id % 2 = 0 AND NOT EXISTS (SELECT FROM shop.orders WHERE customer_id = customers.id);
SELECT nextval('shop.ticket');
REFRESH MATERIALIZED VIEW shop.buyers;
ANALYZE;
VACUUM FULL shop.customers;
VACUUM (FREEZE) shop.orders;
CLUSTER shop.orders USING pk_orders;
ALTER TABLE shop.orders SET WITHOUT CLUSTER;
REINDEX TABLE shop.customers;
REINDEX INDEX CONCURRENTLY shop.ix_name;
"""


def dumped(url: str) -> str:
    """Return what pg_dump makes of a database."""
    command = [str(find_binaries().program("pg_dump")), "--dbname", plain(url)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    # An older server does not know every setting that a newer pg_dump writes.
    return "\n".join(line for line in text.splitlines() if not line.startswith("SET transaction_timeout"))


def restore(text: str, url: str) -> None:
    """Run a dump on an empty database."""
    command = [str(find_binaries().program("psql")), "--dbname", plain(url), "--quiet", "-v", "ON_ERROR_STOP=1"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def plain(url: str) -> str:
    """Return a URL as PostgreSQL's own programs take it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def drifted(url: str, *settings: str) -> list[str]:
    """Return what is reported of a database, in a session with some settings."""

    def look(connection: Connection) -> list[str]:
        for setting in settings:
            connection.exec_driver_sql(setting)
        journal = Journal("shop")
        journal.look(connection)
        found = drift(connection, journal, "alembic_version")
        assert found is not None
        return in_words(found.differences)

    return with_connection(parse_url(url), look, application="test")


@pytest.fixture
def copy(handrail_scratch: ScratchServer, shop_url: str) -> Iterator[tuple[ScratchServer, str]]:
    """A copy of the migrated database, made by dump and restore: the server and the name."""
    server = ScratchServer(handrail_scratch.url)
    name = server.create()
    restore(dumped(shop_url), server.url_of(name))
    yield server, name
    server.drop(name)


def test_a_restored_database_has_not_drifted(copy: tuple[ScratchServer, str]) -> None:
    """Although every object in it was created anew, in another order and with other numbers."""
    server, name = copy
    assert drifted(server.url_of(name)) == []


def test_work_is_no_drift(copy: tuple[ScratchServer, str]) -> None:
    """Rows, statistics, sequences that count, and everything that is written anew without being changed."""
    server, name = copy
    server.execute(*(part for part in WORK.split(";\n") if part.strip()), database=name)
    assert drifted(server.url_of(name)) == []


@pytest.mark.parametrize(
    "setting",
    [
        "SET search_path = shop, public",
        "SET search_path = pg_catalog",
        "SET timezone = 'Asia/Kathmandu'",
        "SET datestyle = 'German, DMY'",
        "SET intervalstyle = 'sql_standard'",
        "SET extra_float_digits = 0",
        "SET quote_all_identifiers = on",
        "SET bytea_output = 'escape'",
        "SET default_transaction_read_only = on",
        "SET jit = on",
    ],
)
def test_settings_of_the_session_are_no_drift(shop_url: str, setting: str) -> None:
    """Whoever asks, in whatever time zone and language, sees the same."""
    assert drifted(shop_url, setting) == []


def test_a_database_of_another_locale_has_not_drifted(handrail_scratch: ScratchServer, shop_url: str) -> None:
    """Nothing in a catalog is sorted by the database's own collation."""
    server = ScratchServer(handrail_scratch.url)
    name = server.create()
    other = f"{name}_locale"
    server.execute(
        f"CREATE DATABASE {other} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'",
    )
    try:
        restore(dumped(shop_url), server.url_of(other))
        assert drifted(server.url_of(other)) == []
    finally:
        server.execute(f"DROP DATABASE {other} WITH (FORCE)")
        server.drop(name)
