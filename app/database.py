"""The connections: a transaction for each request that works with rows, and a shortcut for single lookups."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import cached_property
from typing import Annotated, Any

import asyncpg
from fastapi import Depends
from sqlalchemy import ClauseElement, event
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from starlette.requests import HTTPConnection

from app.config import NAME
from app.errors import Problem

CONNECT_TIMEOUT = 1.5  # seconds
POOL_TIMEOUT = 1.5  # seconds that a request waits for a connection when all are in use
COMMAND_TIMEOUT = 6  # seconds for one statement; only matters when the server is gone without a word
CONNECTION_LOST = (
    *(asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.AdminShutdownError, OSError),
    asyncpg.InternalClientError,  # the server has said that it ends the connection, and has not ended it yet
)
# A statement that waits or works too long is ended by the server, so that one locked table or one slow query cannot
# hold all connections. Milliseconds. Where one transaction needs longer: SET LOCAL statement_timeout = '1min', and a
# COMMAND_TIMEOUT of more than that.
SERVER_SETTINGS = {
    "application_name": NAME,
    "lock_timeout": "3000",
    "statement_timeout": "5000",
    "idle_in_transaction_session_timeout": "10000",
}


async def connect(dsn: str) -> asyncpg.Connection:
    try:
        return await asyncpg.connect(
            dsn, timeout=CONNECT_TIMEOUT, command_timeout=COMMAND_TIMEOUT, server_settings=SERVER_SETTINGS
        )
    except (OSError, ValueError, asyncpg.InterfaceError) as error:
        # Whatever keeps us from the server (no route, no socket file, bad certificate, …) is one kind of failure.
        raise asyncpg.PostgresConnectionError(f"cannot connect: {type(error).__name__}: {error}") from error


def create_engine(dsn: str, pool_size: int) -> AsyncEngine:
    """Return an engine of at most `pool_size` connections. It connects when it is first used, and again when needed."""
    engine = create_async_engine(
        "postgresql+asyncpg://",  # asyncpg reads the URL itself: it understands more of it than SQLAlchemy does
        async_creator=lambda: connect(dsn),
        pool_size=pool_size,
        max_overflow=0,  # connections beyond the pool would be closed after each use
        pool_timeout=POOL_TIMEOUT,
        hide_parameters=True,  # in logs and tracebacks: they hold people's data
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    return engine


def _refuse_closed(connection: Any, *_: object) -> None:
    if connection.driver_connection.is_closed():
        raise InvalidatePoolError  # so the pool makes another one; to ask the server each time would be a round trip


class Lookup:
    """A statement that is turned into SQL once, when it is first used. What changes are its `bindparam`s."""

    def __init__(self, statement: ClauseElement) -> None:
        self.statement = statement

    @cached_property
    def compiled(self) -> tuple[str, list[str], dict[str, object]]:
        """The SQL, the names of its parameters in their order, and the values of those that do not change."""
        compiled: Any = self.statement.compile(dialect=dialect())  # type: ignore[no-untyped-call]
        return compiled.string, compiled.positiontup, compiled.params


class Lookups:
    """A few connections for lookups, straight through the driver: that takes a fifth of SQLAlchemy's time.

    For what is asked all the time. Each is one statement without a transaction around it, and is sent once more, on a
    new connection, when the old one was lost meanwhile: to do it twice must do no harm.
    """

    def __init__(self, dsn: str, size: int) -> None:
        self._dsn = dsn
        self._free = asyncio.LifoQueue[asyncpg.Connection | None]()
        for _ in range(size):
            self._free.put_nowait(None)  # connects when it is first used, and again when needed

    async def fetch(self, lookup: Lookup, **values: object) -> Sequence[asyncpg.Record]:
        sql, names, constants = lookup.compiled
        parameters = [values.get(name, constants[name]) for name in names]
        connection = await self._take()
        try:
            if connection and not connection.is_closed():
                try:
                    return await connection.fetch(sql, *parameters)  # type: ignore[no-any-return]
                except (TimeoutError, ValueError):
                    raise  # nothing is lost: who asks has waited long enough, or the value is none
                except CONNECTION_LOST:
                    connection.terminate()  # noticed only now: cheaper than to ask whether it is there before each use
            connection = await connect(self._dsn)
            return await connection.fetch(sql, *parameters)  # type: ignore[no-any-return]
        finally:
            self._free.put_nowait(connection)

    async def _take(self) -> asyncpg.Connection | None:
        if self._free.qsize():
            return self._free.get_nowait()
        try:
            async with asyncio.timeout(POOL_TIMEOUT):
                return await self._free.get()
        except TimeoutError:
            raise Problem(503, "The service is too busy.") from None

    def close(self) -> None:
        while not self._free.empty():
            if connection := self._free.get_nowait():
                connection.terminate()


def create_sessions(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    # Objects stay readable after the commit: on an async session they cannot be loaded again on access.
    return async_sessionmaker(engine, expire_on_commit=False)


async def open_session(connection: HTTPConnection) -> AsyncIterator[AsyncSession]:
    """Yield a session in one transaction: committed at the end, rolled back on any error or cancellation.

    A connection is taken from the pool at the first statement. Nobody else commits; a service that needs a generated
    value or wants to see a constraint fail calls `flush`.
    """
    async with connection.app.state.sessions() as session, session.begin():
        yield session


# "function" ends the transaction before the response is sent: a client that reads 201 finds the row, and a commit that
# fails is answered with an error. FastAPI's default is to end it after the response.
Session = Annotated[AsyncSession, Depends(open_session, scope="function")]
