"""Whatever keeps a command from its database ends as one line that says what to do, and never shows the password."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from asyncpg import QueryCanceledError
from sqlalchemy import Connection, text

from handrail.connection import asyncpg_dsn, describe, parse_url, run, translated_connect_errors, with_connection
from handrail.errors import ConfigurationError, StatementTimeoutError
from handrail.scratch import ScratchServer, new_name
from small_project import ORDERS, SmallProject

DRIVERS = ("asyncpg", "psycopg")
SECRET = "s3cr3t-w0rd"


@pytest.fixture
def shop(new_project: Callable[..., SmallProject]) -> SmallProject:
    """A project with a model and one revision that creates its table."""
    project = new_project()
    project.write("shop/models.py", ORDERS)
    return project


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    """Each driver in turn."""
    return str(request.param)


@pytest.fixture
def role(handrail_scratch: ScratchServer, empty_database: str) -> Iterator[str]:
    """A role without any privilege of its own, and with a password that looks like trouble in a URL."""
    name = new_name()
    handrail_scratch.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'p@ss:w/rd%'")
    yield name
    handrail_scratch.drop(parse_url(empty_database).database or "")
    handrail_scratch.execute(f"DROP ROLE {name}")


def test_no_server(shop: SmallProject, driver: str) -> None:
    """Nobody listens on that port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    message = shop.refuses("current", DATABASE_URL=f"postgresql+{driver}://shop:{SECRET}@127.0.0.1:{port}/shop")

    assert f"no PostgreSQL answers at 127.0.0.1:{port}" in message
    assert "correct host and port in the URL (MIGRATION_DATABASE_URL where it is set, else DATABASE_URL)" in message
    assert SECRET not in message


def test_no_such_host(shop: SmallProject, driver: str) -> None:
    """The name of the host cannot be resolved."""
    message = shop.refuses("current", DATABASE_URL=f"postgresql+{driver}://shop:{SECRET}@host.invalid/shop")

    assert "no PostgreSQL answers at host.invalid:5432" in message
    assert SECRET not in message


def test_no_such_socket(shop: SmallProject, driver: str) -> None:
    """The directory of the socket does not exist."""
    message = shop.refuses("current", DATABASE_URL=f"postgresql+{driver}://shop@/shop?host=/nowhere")

    assert "no PostgreSQL answers at /nowhere" in message


def test_no_such_database(shop: SmallProject, driver: str, empty_database: str) -> None:
    """The message has the statement that creates it."""
    url = parse_url(empty_database).set(drivername=f"postgresql+{driver}", database="no such thing")

    message = shop.refuses("current", DATABASE_URL=url.render_as_string(hide_password=False))

    assert 'the database "no such thing" does not exist' in message
    assert 'CREATE DATABASE "no such thing"' in message


def test_no_such_role(shop: SmallProject, driver: str, empty_database: str) -> None:
    """The server refuses whom it does not know."""
    url = parse_url(empty_database).set(drivername=f"postgresql+{driver}", username="nobody_here", password=SECRET)

    message = shop.refuses("current", DATABASE_URL=url.render_as_string(hide_password=False))

    assert 'refused the role "nobody_here"' in message
    assert SECRET not in message


def test_no_right_to_create_the_schema(shop: SmallProject, driver: str, empty_database: str, role: str) -> None:
    """An administrator can create it once, and the role then needs no right on the database at all."""
    url = parse_url(empty_database).set(drivername=f"postgresql+{driver}", username=role, password="p@ss:w/rd%")
    shop.environment["DATABASE_URL"] = url.render_as_string(hide_password=False)
    shop.succeeds("revision", "--autogenerate", "-m", "orders")

    message = shop.refuses("upgrade", "head")

    assert f'the role "{role}" may not create the schema "shop"' in message
    statement = message.partition("administrator run: ")[2]
    assert statement == f'CREATE SCHEMA "shop" AUTHORIZATION "{role}";'
    server = ScratchServer(parse_url(empty_database))
    server.execute(statement)
    shop.succeeds("upgrade", "head")
    assert "No new upgrade operations" in shop.succeeds("check")


def test_no_right_to_alter_a_table(shop: SmallProject, driver: str, empty_database: str, role: str) -> None:
    """A privilege that is missing for one statement names the line of the revision."""
    server = ScratchServer(parse_url(empty_database))
    server.execute(f"CREATE SCHEMA shop AUTHORIZATION {role}", "CREATE TABLE shop.theirs (id int)")
    url = parse_url(empty_database).set(drivername=f"postgresql+{driver}", username=role, password="p@ss:w/rd%")
    shop.write(
        "alembic/versions/one.py",
        """\
        from alembic import op

        revision = "one"
        down_revision = None


        def upgrade():
            op.execute("ALTER TABLE shop.theirs ADD COLUMN note text")
        """,
    )

    message = shop.refuses("upgrade", "head", DATABASE_URL=url.render_as_string(hide_password=False))

    assert "alembic/versions/one.py:8: must be owner of table theirs. Let migrations connect as the role" in message


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        (f"postgresql://shop:{SECRET}@host:port/shop", "the database URL cannot be read"),
        (f"postgresql://shop:p@{SECRET}@host/shop", "the database URL cannot be read"),
        (f"postgresql://shop:p@{SECRET}/s@host/shop", "the database URL cannot be read"),
        (f"postgresql://shop:p@s/{SECRET}@host/shop", "the database URL cannot be read"),
        (f"postgresql://shop:{SECRET}@host:0/shop", "the database URL cannot be read"),
        (f"postgresql://shop:{SECRET}@host:65536/shop", "the database URL cannot be read"),
        (f"postgresql+psycopg://shop:{SECRET}@/shop?host=a&port=99999", "the database URL cannot be read"),
        (f"{SECRET}", "the database URL cannot be read"),
        (f"postgresql://shop:{SECRET}#x@host/shop", "the database URL cannot be read"),
        (f"postgresql://shop:{SECRET}/x@host/shop", "the database URL cannot be read"),
        (f"postgresql://shop:{SECRET}@host/", "the database URL names no database"),
        (f"postgresql://shop:{SECRET}@host", "the database URL names no database"),
        (f"mysql://shop:{SECRET}@host/shop", "begins with mysql://, and only postgresql:// is understood"),
        (f"postgresql+pg8000://shop:{SECRET}@host/shop", "begins with postgresql+pg8000://"),
        (f"postgresql+psycopg2://shop:{SECRET}@host/shop", "pip install 'psycopg[binary]'"),
    ],
)
def test_an_unusable_url_is_refused_without_being_shown(shop: SmallProject, url: str, complaint: str) -> None:
    """It may hold a password, whatever else is wrong with it."""
    message = shop.refuses("current", DATABASE_URL=url)

    assert complaint in message
    assert SECRET not in message


@pytest.mark.parametrize("environment", ["production", "prod", "staging"])
def test_production_needs_a_url(shop: SmallProject, environment: str) -> None:
    """Nothing is started or guessed there, however it is called."""
    message = shop.refuses("upgrade", "head", ENVIRONMENT=environment)

    assert f"ENVIRONMENT={environment} needs DATABASE_URL" in message
    assert not (shop.root / ".postgres").exists()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_urls_as_providers_write_them(scheme: str) -> None:
    """asyncpg gets `sslmode` and none of the parameters that only libpq knows."""
    url = parse_url(f"{scheme}://u:p%40ss@db.example.com/shop?sslmode=require&channel_binding=require")

    assert url.drivername == "postgresql+asyncpg"
    assert asyncpg_dsn(url) == "postgresql://u:p%40ss@db.example.com/shop?sslmode=require"


def test_signs_that_belong_into_a_url() -> None:
    """An @ that is written %40, or in a user's name as Azure has it, is none of a password."""
    url = parse_url("postgresql://ada@server:p%40ss@host/sh%40p?host=/run/p@g&port=1,65535")

    assert (url.username, url.password, url.host, url.database) == ("ada@server", "p@ss", "host", "sh@p")


def test_parameters_of_the_dialect_are_not_for_the_server(shop: SmallProject, empty_database: str) -> None:
    """What SQLAlchemy's dialect takes out of the URL does not reach PostgreSQL, which would refuse it."""
    url = parse_url(empty_database).update_query_dict({"prepared_statement_cache_size": "0", "async_fallback": "true"})

    shop.succeeds("current", DATABASE_URL=url.render_as_string(hide_password=False))


def test_a_refusal_is_not_silence(shop: SmallProject, empty_database: str) -> None:
    """Where the server answers, nobody is told to start it."""
    url = parse_url(empty_database).update_query_dict({"no_such_setting": "1"})

    message = shop.refuses("current", DATABASE_URL=url.render_as_string(hide_password=False))

    assert 'refused the connection: unrecognized configuration parameter "no_such_setting"' in message
    assert "no PostgreSQL answers" not in message


def test_a_timeout_that_is_too_short_for_a_new_connection() -> None:
    """statement_timeout of a role or database, which ends what the driver asks first."""
    with (
        pytest.raises(
            StatementTimeoutError, match=r"ALTER ROLE \"ada\" IN DATABASE \"shop\" SET statement_timeout = '10s';"
        ),
        translated_connect_errors(parse_url("postgresql://ada@127.0.0.1/shop")),
    ):
        raise QueryCanceledError("canceling statement due to statement timeout")


@pytest.mark.parametrize("autocommit", [True, False])
def test_a_session_that_was_ended_is_closed_without_a_word(
    handrail_scratch: ScratchServer, driver: str, autocommit: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Its work was done: nobody needs a traceback of the goodbye, or of what was only read since the last commit."""
    gone = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = :pid)"

    def work(connection: Connection) -> str:
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
        handrail_scratch.scalar("SELECT pg_terminate_backend(:pid)", pid=pid)
        while not handrail_scratch.scalar(gone, pid=pid):
            pass
        return "done"

    url = handrail_scratch.url.set(drivername=f"postgresql+{driver}")

    assert with_connection(url, work, application="test", autocommit=autocommit) == "done"
    assert not caplog.records


def test_every_character_gets_through(url: str) -> None:
    """Whatever encoding the database has for its clients."""
    parsed = parse_url(url)
    narrow = text(f'ALTER DATABASE "{parsed.database}" SET client_encoding = LATIN1')
    with_connection(parsed, lambda connection: connection.execute(narrow), application="test", autocommit=True)

    assert with_connection(parsed, lambda c: c.exec_driver_sql("SELECT 'Ω'").scalar(), application="test") == "Ω"


@pytest.mark.parametrize("autocommit", [True, False])
def test_a_last_word_without_a_goodbye(
    handrail_scratch: ScratchServer, autocommit: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The server has said that it ends the session, and not yet ended it."""
    fields = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"

    def work(connection: Connection) -> str:
        connection.execute(text("SELECT 1"))
        session: Any = connection.connection.driver_connection
        session._protocol.data_received(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
        return "done"

    url = handrail_scratch.url.set(drivername="postgresql+asyncpg")

    assert with_connection(url, work, application="test", autocommit=autocommit) == "done"
    assert not caplog.records


@pytest.mark.skipif(os.name == "nt", reason="nothing wakes a waiting thread there")
def test_ctrl_c_inside_a_running_loop_ends_the_work() -> None:
    """The work is in a thread of its own then, which Ctrl-C does not reach."""
    steps = []

    async def work() -> None:
        try:
            steps.append("begun")
            await asyncio.sleep(0.1)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            await asyncio.sleep(2)
            steps.append("committed")
        finally:
            await asyncio.sleep(0)
            steps.append("closed")

    async def caller() -> None:
        run(work())

    loop = asyncio.new_event_loop()  # asyncio.run would keep the first Ctrl-C to itself
    with closing(loop), pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(caller())

    assert steps == ["begun", "closed"]


def test_failure_inside_a_running_loop() -> None:
    """Results and errors come through the thread as they are."""

    async def one() -> int:
        return 1

    async def fail() -> None:
        raise KeyError("oops")

    async def caller() -> None:
        assert run(one()) == 1
        with pytest.raises(KeyError, match="oops"):
            run(fail())

    asyncio.run(caller())


def test_the_server_is_named_without_its_secrets() -> None:
    """Host and port, or the directory of the socket."""
    assert describe(parse_url("postgresql://u:p@db.example.com/shop")) == "db.example.com:5432"
    assert describe(parse_url("postgresql://u:p@/shop?host=/run/pg")) == "/run/pg"


def test_a_url_of_another_database_is_a_configuration_error() -> None:
    """The error's class decides the exit code."""
    with pytest.raises(ConfigurationError):
        parse_url("sqlite:///shop.db")
