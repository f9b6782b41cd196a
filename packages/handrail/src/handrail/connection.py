"""Connections to PostgreSQL through either driver; the only file that knows asyncio.

Whatever goes wrong while connecting becomes one sentence that says what to do, without the password.
"""

from __future__ import annotations

import asyncio
import importlib.util
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import URL, Connection, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool

from handrail.dsn import for_asyncpg
from handrail.errors import (
    AccessDeniedError,
    ConfigurationError,
    DatabaseUnavailableError,
    HandrailError,
    PoolerError,
    StatementTimeoutError,
)
from handrail.quoting import literal as literal  # noqa: PLC0414 - many take it from here
from handrail.quoting import quoted as quoted  # noqa: PLC0414

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

T = TypeVar("T")

INSUFFICIENT_PRIVILEGE = "42501"
LOCK_NOT_AVAILABLE = "55P03"
BUSY = {"53300", "57P03"}  # too many connections; starting up or shutting down
STOPPED = "57014"  # a statement, by statement_timeout or a person
CUT_OFF = {"08000", "08001", "08003", "08006"}  # no answer of a server, but how asyncpg says that none came

# A prepared statement that another session had made, or none of ours is there.
PREPARED = {"42P05", "26000"}
POOLED = (
    "nothing was changed: this URL leads through a connection pooler in transaction mode (PgBouncer or the like), "
    "which hands the server's session to somebody else after every transaction. No lock would hold, and settings would "
    "end up with others. Let migrations connect directly: MIGRATION_DATABASE_URL=postgresql://user:password@host:5432/"
    "database (the server's own port, or a pool in session mode). The service goes on with DATABASE_URL."
)

CONNECT_TIMEOUT = 10  # seconds

DRIVERS = ("asyncpg", "psycopg")
THE_URL = "the URL (MIGRATION_DATABASE_URL where it is set, else DATABASE_URL)"
OTHER_DRIVER = (
    " Migrations need one of these two drivers, whatever the service itself uses: pip install 'psycopg[binary]', and "
    "write postgresql:// here or, for migrations only, in MIGRATION_DATABASE_URL."
)


def parse_url(url: str) -> URL:
    """Turn a URL as people and providers write it into one for an installed driver.

    `postgres://` and `postgresql://` get asyncpg, or psycopg where asyncpg is missing.

    Raises:
        ConfigurationError: It is not a PostgreSQL URL, or its driver is unknown. The URL itself is never shown.
    """
    parsed = None
    with suppress(ArgumentError, ValueError):
        parsed = make_url(url)
    if parsed is None or _misread(url, parsed):
        raise ConfigurationError(
            "the database URL cannot be read (it is not shown: it may hold a password). It must look like "
            "postgresql://user:password@host:5432/database; characters such as @ : / % in the password are "
            "written %40 %3A %2F %25."
        )
    backend, _, driver = parsed.drivername.partition("+")
    if backend not in ("postgres", "postgresql") or driver not in ("", *DRIVERS):
        raise ConfigurationError(
            f"the database URL begins with {parsed.drivername}://, and only postgresql:// is understood, "
            "alone or as postgresql+asyncpg:// or postgresql+psycopg://."
            + (OTHER_DRIVER if backend in ("postgres", "postgresql") else "")
        )
    if not parsed.database:
        raise ConfigurationError(
            "the database URL names no database, and PostgreSQL would take the one that is called like the user. It "
            "must look like postgresql://user:password@host:5432/database."
        )
    driver = driver or next((name for name in DRIVERS if importlib.util.find_spec(name)), DRIVERS[0])
    if not importlib.util.find_spec(driver):
        raise ConfigurationError(f"the PostgreSQL driver {driver} is not installed: pip install {driver}")
    return parsed.set(drivername=f"postgresql+{driver}")


def _misread(url: str, parsed: URL) -> bool:
    """Whether the parts are not what was meant: after a bare @ in a password, its rest counts as host or database."""
    place = re.sub(r"^[^:/]*(:[^@]*)?@", "", url.partition("://")[2]).partition("?")[0]
    ports = [port for ports in parsed.normalized_query.get("port", ()) for port in ports.split(",") if port]
    if parsed.port is not None:
        ports.append(str(parsed.port))
    valid = all(port.isdecimal() and 1 <= int(port) <= 65535 for port in ports)
    # The service reads the same URL by the rules of RFC 3986, where a bare / or # ends the password.
    login = url.partition("?")[0].partition("://")[2].rpartition("@")[0]
    return not valid or "#" in url or "/" in login or "@" in place or "@" in (parsed.host or "")


def with_connection(url: URL, work: Callable[[Connection], T], *, application: str, autocommit: bool = False) -> T:
    """Open one connection, run `work(connection)` on it, close it, and return what `work` returned.

    Works with asyncpg and psycopg, and also inside a running event loop (then in a thread of its own). Nothing is
    pooled: the connection is gone when this returns.

    Args:
        url: From `parse_url`.
        work: Gets an ordinary synchronous SQLAlchemy connection.
        application: What `pg_stat_activity.application_name` shows.
        autocommit: Each statement commits by itself, as CREATE DATABASE needs it.

    Raises:
        DatabaseUnavailableError: Nothing answers there.
        AccessDeniedError: The server refused the role, password or database.
    """
    options: dict[str, Any] = {"poolclass": NullPool}
    if autocommit:
        options["isolation_level"] = "AUTOCOMMIT"
    if url.drivername == "postgresql+asyncpg":
        return run(_with_async_connection(url, work, application, options))
    options["connect_args"] = {
        "connect_timeout": CONNECT_TIMEOUT,
        "application_name": application,
        # Otherwise the database or role decides which characters a revision may hold; asyncpg never lets it.
        "client_encoding": "utf8",
    }
    engine = create_engine(url, **options)
    with translated_connect_errors(url):
        connection = engine.connect()
    try:
        return work(connection)
    finally:
        with suppress(DBAPIError):  # of a session that the server has ended; it has undone there what was not committed
            connection.close()


async def _with_async_connection(
    url: URL, work: Callable[[Connection], T], application: str, options: dict[str, Any]
) -> T:
    import asyncpg
    from sqlalchemy.ext.asyncio import create_async_engine

    class Session(asyncpg.Connection):  # type: ignore[misc]
        async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as asyncpg has it
            # Of one that the server has ended meanwhile nothing is left to close, and all of its work is said already.
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await super().close(timeout=timeout)

    async def connect() -> Any:
        # asyncpg reads the URL itself: it understands more of what libpq does than SQLAlchemy hands on to it.
        return await asyncpg.connect(
            asyncpg_dsn(url),
            timeout=CONNECT_TIMEOUT,
            server_settings={"application_name": application},
            connection_class=Session,
        )

    engine = create_async_engine(url, async_creator=connect, **options)
    with translated_connect_errors(url):
        connection = await engine.connect()
    try:
        return await connection.run_sync(work)
    except Exception as error:
        if _is_cancelled() and not isinstance(error, HandrailError):
            raise asyncio.CancelledError from error  # what failed is only what tidied up
        raise
    finally:
        with suppress(DBAPIError):  # as above
            await connection.close()


def was_interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error: on the way out, what tidies up may fail, too."""
    if _is_cancelled():
        return True
    # A CancelledError in the chain says nothing: with one asyncio ends what took too long.
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    return False


def _is_cancelled() -> bool:
    """Whether somebody has asked for the end of the task that is running, as asyncio does after Ctrl-C."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop is running
        return False
    return task is not None and task.cancelling() > 0


def asyncpg_dsn(url: URL) -> str:
    """Return the URL as `asyncpg.connect` takes it; it holds the password."""
    return for_asyncpg(url.set(drivername="postgresql").render_as_string(hide_password=False))


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end from synchronous code, also where an event loop is running already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    # asyncio.run refuses to start inside a loop (FastAPI's lifespan, Jupyter, pytest): a thread has none.
    loop = asyncio.new_event_loop()
    task = loop.create_task(coroutine)

    outcome: Future[T] = Future()

    async def finished() -> T:
        return await task

    def target() -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                result = runner.run(finished())
        except BaseException as error:  # noqa: BLE001 - carried over to the calling thread, whatever it is
            outcome.set_exception(error)
        else:
            outcome.set_result(result)

    thread = threading.Thread(target=target, name="handrail")
    try:
        thread.start()
        return outcome.result()
    except BaseException:
        # Ctrl-C is raised here, and the other thread knows nothing of it: it would go on, and commit.
        with suppress(RuntimeError):  # the loop is closed: it was the coroutine itself that failed
            loop.call_soon_threadsafe(task.cancel)
        raise
    finally:
        thread.join()


@dataclass(frozen=True)
class ServerMessage:
    """What PostgreSQL said, whichever driver carried it."""

    sqlstate: str | None
    text: str
    hint: str | None = None

    @classmethod
    def of(cls, error: BaseException) -> ServerMessage:
        """Read SQLSTATE and text out of an asyncpg, psycopg or SQLAlchemy exception."""
        origin: Any = error.orig if isinstance(error, DBAPIError) else error
        # SQLAlchemy's asyncpg dialect wraps the driver's exception once more; the driver's own has the clean text.
        driver: Any = getattr(origin, "__cause__", None) if not hasattr(origin, "diag") else origin
        source: Any = driver if getattr(driver, "sqlstate", None) else origin
        diag = getattr(source, "diag", None)
        sqlstate = getattr(source, "sqlstate", None)
        if diag is not None and diag.message_primary:
            return cls(sqlstate, diag.message_primary, diag.message_hint)
        return cls(sqlstate, " ".join(str(source).split()), getattr(source, "hint", None))


@contextmanager
def translated_connect_errors(url: URL) -> Iterator[None]:
    """Turn a failure to connect into one sentence with the way out."""
    try:
        yield
    except (DBAPIError, OSError) as error:
        raise _connect_error(url, error) from error
    except Exception as error:
        # asyncpg raises its own types (wrong password, unknown database) outside SQLAlchemy's hierarchy.
        if type(error).__module__.partition(".")[0] not in DRIVERS:
            raise
        raise _connect_error(url, error) from error


def _connect_error(url: URL, error: BaseException) -> HandrailError:
    message = ServerMessage.of(error)
    place, role, database = describe(url), url.username or "(default)", url.database or url.username or "(default)"
    # psycopg gives no SQLSTATE while connecting; after this word comes what the server itself said.
    _, fatal, answer = message.text.rpartition("FATAL: ")
    said = answer.strip().rstrip(".") or type(error).__name__
    if message.sqlstate == "3D000" or (fatal and said.startswith("database")):
        return AccessDeniedError(
            f'the database "{database}" does not exist at {place}. Create it, for instance: '
            f"CREATE DATABASE {quoted(database)} OWNER {quoted(role)}; or correct {THE_URL}."
        )
    if message.sqlstate in BUSY or (fatal and ("too many" in said or "starting up" in said or "shutting down" in said)):
        return DatabaseUnavailableError(f"PostgreSQL at {place} takes no connection now: {said}. Try again shortly.")
    if message.sqlstate in PREPARED:
        return PoolerError(POOLED)
    if message.sqlstate == INSUFFICIENT_PRIVILEGE:
        return AccessDeniedError(
            f'the role "{role}" may not connect to the database "{database}" at {place}: {said}. '
            f"Let its owner run: GRANT CONNECT ON DATABASE {quoted(database)} TO {quoted(role)};"
        )
    if fatal or (message.sqlstate or "").startswith("28"):
        return AccessDeniedError(
            f'PostgreSQL at {place} refused the role "{role}": {said}. Check user and password in {THE_URL} '
            "(characters such as @ : / % in the password are written %40 %3A %2F %25)."
        )
    if message.sqlstate == STOPPED:
        return StatementTimeoutError(
            f"PostgreSQL at {place} stopped the first question of a new connection: {said}. Let the role have longer: "
            f"ALTER ROLE {quoted(role)} IN DATABASE {quoted(database)} SET statement_timeout = '10s';"
        )
    if message.sqlstate and message.sqlstate not in CUT_OFF:
        return AccessDeniedError(f"PostgreSQL at {place} refused the connection: {said}.")
    if isinstance(error, TimeoutError):
        said = f"no answer within {CONNECT_TIMEOUT} seconds"
    return DatabaseUnavailableError(
        f"no PostgreSQL answers at {place}: {said}. Start it, or correct host and port in {THE_URL}."
    )


def describe(url: URL) -> str:
    """Name a server for people: `host:port`, or its socket directory; never user or password."""
    host = url.host or url.query.get("host") or "localhost"
    host = host if isinstance(host, str) else ",".join(host)
    return host if host.startswith("/") or ":" in host else f"{host}:{url.port or 5432}"
