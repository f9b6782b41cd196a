import asyncio
from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy import Interval, cast, func, literal, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import Message, Receive, Scope, Send

from app import clock, database
from app.config import Settings
from app.database import Lookup, Lookups, Session
from app.errors import Problem
from app.main import create_app
from app.users.models import User


async def count_users(session: AsyncSession) -> int | None:
    return await session.scalar(select(func.count()).select_from(User))


async def add_user(session: AsyncSession) -> None:
    session.add(User(email="ada@example.com", name="Ada", sessions_since=clock.now()))
    await session.flush()


async def test_commit_comes_before_the_response(app: FastAPI, session: AsyncSession) -> None:
    """When the first byte of the answer leaves, others can see what the request has written."""
    seen = []

    @app.post("/add")
    async def add(session: Session) -> None:
        await add_user(session)

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        async def watch(message: Message) -> None:
            seen.append(await count_users(session))
            await send(message)

        await app(scope, receive, watch)

    async with AsyncClient(transport=ASGITransport(watched), base_url="http://service") as client:
        await client.post("/add")

    assert seen == [1, 1]  # at the headers, and at the body


async def test_failed_commit_is_an_error(app: FastAPI, client: AsyncClient) -> None:
    """What only the commit finds wrong cannot be answered with success."""

    @app.post("/twice", status_code=201)
    async def twice(session: Session) -> None:
        await session.execute(
            text("CREATE TEMP TABLE once (n int UNIQUE DEFERRABLE INITIALLY DEFERRED) ON COMMIT DROP")
        )
        await session.execute(text("INSERT INTO once VALUES (1), (1)"))

    async with AsyncClient(
        transport=ASGITransport(app, raise_app_exceptions=False), base_url="http://service"
    ) as client:
        assert (await client.post("/twice")).status_code == 409


async def test_connection_lost_before_commit(app: FastAPI, client: AsyncClient, session: AsyncSession) -> None:
    """A commit that the server never got is answered with 503, and nothing is stored."""

    @app.post("/lost", status_code=201)
    async def lost(doomed: Session) -> None:
        await add_user(doomed)
        process = await doomed.scalar(select(func.pg_backend_pid()))
        await session.execute(select(func.pg_terminate_backend(process, 5000)))

    answer = await client.post("/lost")

    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert await count_users(session) == 0


@pytest.fixture
def lookup(app: FastAPI) -> None:
    """A route that asks the database as each request does that tells who sends it."""
    one = Lookup(select(literal(1)))

    @app.get("/lookup")
    async def look_up() -> None:
        await app.state.lookups.fetch(one)


@pytest.mark.usefixtures("lookup")
async def test_connections_lost_between_requests(client: AsyncClient, session: AsyncSession) -> None:
    """After a restart of the server, requests go on with new connections; none of them fails."""
    await asyncio.gather(*(client.get("/lookup") for _ in range(5)))
    others = text(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename = current_user"
    )
    await session.execute(others)

    answers = await asyncio.gather(*(client.get("/lookup") for _ in range(5)))

    assert {answer.status_code for answer in answers} == {200}  # and not 503


@pytest.mark.usefixtures("lookup")
async def test_a_last_word_without_a_goodbye(app: FastAPI, client: AsyncClient) -> None:
    """The server says that it ends the connection, and a request comes before the connection has ended."""
    await client.get("/lookup")
    lookups = app.state.lookups
    connection = await lookups._free.get()
    fields = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
    connection._protocol.data_received(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
    lookups._free.put_nowait(connection)

    answer = await client.get("/lookup")

    assert answer.status_code == 200
    assert connection.is_closed()


@pytest.mark.parametrize("error", [Problem(409, "no"), KeyError("oops")])
async def test_rollback_on_error(app: FastAPI, session: AsyncSession, error: Exception) -> None:
    """An error after a write undoes the write, whether it is an answer or a fault."""

    @app.post("/fails")
    async def fails(session: Session) -> None:
        await add_user(session)
        raise error

    async with AsyncClient(
        transport=ASGITransport(app, raise_app_exceptions=False), base_url="http://service"
    ) as client:
        assert (await client.post("/fails")).status_code >= 400
    assert await count_users(session) == 0


async def test_rollback_when_the_answer_cannot_be_made(app: FastAPI, session: AsyncSession) -> None:
    """A return value that does not fit the declared answer undoes the request's writes."""

    @app.post("/misfit")
    async def misfit(session: Session) -> int:
        await add_user(session)
        return "many"  # type: ignore[return-value]

    async with AsyncClient(
        transport=ASGITransport(app, raise_app_exceptions=False), base_url="http://service"
    ) as client:
        assert (await client.post("/misfit")).status_code == 500
    assert await count_users(session) == 0


async def test_rollback_on_cancellation(app: FastAPI, client: AsyncClient, session: AsyncSession) -> None:
    """Cancelled requests leave no rows and keep no connections: more of them than the pool holds do no harm."""
    written = asyncio.Event()

    @app.post("/waits")
    async def waits(session: Session) -> None:
        await add_user(session)
        written.set()
        await asyncio.Event().wait()

    for _ in range(12):
        written.clear()
        request = asyncio.create_task(client.post("/waits"))
        await written.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request

    assert await count_users(session) == 0


async def test_locked_row(app: FastAPI, client: AsyncClient, session: AsyncSession) -> None:
    """A lock that is not got in time is answered with 503: the request may be tried again."""
    await add_user(session)
    await session.commit()
    await session.execute(select(User).with_for_update())

    @app.post("/locks")
    async def locks(session: Session) -> None:
        await session.execute(select(User).with_for_update(nowait=True))  # as if lock_timeout had passed

    assert (await client.post("/locks")).status_code == 503


async def test_exhausted_pool(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that gets no connection in time is answered with 503; the next one that gets one, as ever."""
    monkeypatch.setattr("app.database.POOL_TIMEOUT", 0.05)
    app = create_app(Settings(database_url=SecretStr(database), database_pool_size=1))

    @app.get("/count")
    async def count(session: Session) -> int | None:
        return await count_users(session)

    client = AsyncClient(transport=ASGITransport(app), base_url="http://service")
    async with app.router.lifespan_context(app), client:
        async with app.state.sessions() as session:
            await session.execute(text("SELECT 1"))  # takes the only connection
            during = await client.get("/count")
        after = await client.get("/count")

    assert (during.status_code, after.status_code) == (503, 200)
    assert during.headers["retry-after"]


@pytest.mark.usefixtures("lookup")
async def test_exhausted_lookups(app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where the connections are taken on which a request finds out who sends it."""
    monkeypatch.setattr("app.database.POOL_TIMEOUT", 0.05)
    free = app.state.lookups._free
    taken = [free.get_nowait() for _ in range(free.qsize())]
    during = await client.get("/lookup")
    for connection in taken:
        free.put_nowait(connection)
    after = await client.get("/lookup")

    assert (during.status_code, after.status_code) == (503, 200)
    assert during.headers["retry-after"]


async def test_server_gone_without_a_word(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement, or a connection's test before it is used, that gets no reply is answered with 503."""
    monkeypatch.setattr("app.database.COMMAND_TIMEOUT", 0.2)
    app = create_app(Settings(database_url=SecretStr(database), database_pool_size=1))

    @app.get("/slow")
    async def slow(session: Session) -> None:
        await session.execute(text("SELECT pg_sleep(2)"))

    client = AsyncClient(transport=ASGITransport(app), base_url="http://service")
    async with app.router.lifespan_context(app), client:
        answer = await client.get("/slow")

    assert answer.status_code == 503


async def test_limits(app: FastAPI, session: AsyncSession) -> None:
    """The server itself ends what waits, runs or stays idle for too long, so that no request can hold a connection.

    Whichever that is. Who waits for one, and then for a lock, is told so within six seconds.
    """
    names = "lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"
    limits = select(*(cast(func.current_setting(name), Interval) for name in names))
    lookups = [one for one in vars(app.state)["_state"].values() if isinstance(one, Lookups)]

    told = [(await session.execute(limits)).one(), *[(await one.fetch(Lookup(limits)))[0] for one in lookups]]

    lock, statement, idle = (timedelta(seconds=n) for n in (3, 5, 10))
    assert [tuple(row) for row in told] == [(lock, statement, idle)] * len(told)
    assert len(told) > 2
    assert app.state.sessions.kw["bind"].pool.timeout() == database.POOL_TIMEOUT
    assert timedelta(seconds=database.POOL_TIMEOUT) + lock < timedelta(seconds=6)
    assert statement < timedelta(seconds=database.COMMAND_TIMEOUT)  # which is for a server that is gone
