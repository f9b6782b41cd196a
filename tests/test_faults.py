"""Faults around a running service: it is stopped, clients are slow, the database is away, busy, or cuts connections."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import asyncpg
import psycopg
import pytest
import uvicorn
from blocking import until, until_blocked
from cable import Cable, serve
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from people import PASSWORD, join
from process import ROOT, WARM, Load, Service, free_port, running
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncSession
from uvicorn.server import ServerState

from app import database, server
from app.main import LOOKUP_CONNECTIONS
from app.models import SCHEMA

NOBODY = {"authorization": f"Bearer {'n' * 43}"}


@pytest.mark.parametrize(("workers", "all_at_once"), [("1", False), ("2", False), ("2", True)])
@pytest.mark.parametrize("keep_alive", [True, False])
async def test_stopped_under_load(database: str, workers: str, all_at_once: bool, keep_alive: bool) -> None:
    """Each request on a connection that the service has accepted is answered, whatever comes between."""
    async with running(database, "--workers", workers) as service:
        load = Load(service.port, [("GET", "/users/me", "")])
        clients = asyncio.create_task(load.run(8, keep_alive=keep_alive))
        await load.warm.wait()
        code = await service.stop(all_at_once=all_at_once)
        await clients

    assert load.lost == []
    assert code in (0, -signal.SIGTERM)


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_restarted_under_load(app: FastAPI, client: AsyncClient, database: str, workers: str) -> None:
    """Who reads, writes and logs in meanwhile loses nothing. `RESTARTS=10` restarts it ten times."""
    ada = await join(app, client)
    login = json.dumps({"email": ada.email, "password": PASSWORD})
    read, change = ("GET", "/users/me", ""), ("PATCH", "/users/me", '{"name": "Ada L."}')
    requests = [read, change, read, change, read, change, read, ("POST", "/auth/login", login)]
    restarts, port = int(os.environ.get("RESTARTS", "1")), free_port()
    load = Load(port, requests, ada.access, patient=True)
    # Fewer than the pool has connections: on a busy machine, who waits for one may be told to come again.
    clients = [asyncio.create_task(load.run(4, keep_alive=True)), asyncio.create_task(load.run(2, keep_alive=False))]
    for _ in range(restarts):
        async with running(database, "--workers", workers, port=port) as service:
            await until(partial(answered, load, load.answered + WARM))
            await service.stop()
    load.patient = False
    await asyncio.gather(*clients)

    print(f"{load.answered:,} requests answered and {len(load.lost)} lost in {restarts} restarts, {workers} worker(s)")
    assert load.lost == []


async def answered(load: Load, count: int) -> bool:
    return load.answered >= count


async def test_stopped_while_a_request_waits(database: str, session: AsyncSession) -> None:
    """A request that is under way when the service is told to stop is answered first."""
    async with running(database) as service:
        await session.execute(text(f'LOCK TABLE "{SCHEMA}".sessions'))
        request = asyncio.create_task(service.ask("/users/me"))
        await until_blocked(session)
        stopped = asyncio.create_task(service.stop())
        await until(lambda: refuses(service))
        await session.rollback()
        head = await request
        await stopped

    assert b" 401 " in head
    assert b"\r\nconnection: close" in head


async def refuses(service: Service) -> bool:
    return not await service.listens()


@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_killed_worker(database: str, how: signal.Signals) -> None:
    """A worker that dies, or is stopped alone, is replaced; the service goes on."""
    async with running(database, "--workers", "2") as service:
        before = workers_of(service.process.pid)
        os.kill(next(iter(before)), how)
        await until(lambda: replaced(service.process.pid, before))

        async with asyncio.timeout(10):
            assert b" 200 " in await service.ask()


async def replaced(pid: int, before: set[int]) -> bool:
    return len(workers_of(pid) - before) == 1


def workers_of(pid: int) -> set[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()}


@pytest.mark.parametrize(
    ("limit", "most", "beginning"),
    [
        ("HEADER_SECONDS", 10, b""),
        ("HEADER_SECONDS", 10, b"GET /health/live HTTP/1.1\r\nHost: ser"),
        ("BODY_SECONDS", 60, b"POST /auth/login HTTP/1.1\r\nHost: service\r\nContent-Length: 9\r\n\r\n{"),
        (
            "BODY_SECONDS",
            60,
            b"POST /nothing HTTP/1.1\r\nHost: service\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
        ),
    ],
)
async def test_slow_clients(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, limit: str, most: int, beginning: bytes
) -> None:
    """A connection on which a request does not come to its end in time is closed, answered or not."""
    assert getattr(server, limit) <= most
    monkeypatch.setattr(server, limit, 0.2)
    config, loop = uvicorn.Config(app, log_config=None), asyncio.get_running_loop()
    async with await loop.create_server(lambda: server.Protocol(config, ServerState(), {}), "127.0.0.1") as listening:
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        writer.write(beginning)
        async with asyncio.timeout(10):
            await reader.read()  # returns when the connection is closed
        writer.close()


async def test_port_in_use(database: str) -> None:
    """The second server on a port says in one line what it cannot do."""
    async with running(database) as service:
        command = [sys.executable, "-m", "app.server", "--port", str(service.port)]
        second = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stderr=asyncio.subprocess.PIPE)
        _, said = await second.communicate()

    assert second.returncode == 1
    assert f"Cannot listen at 127.0.0.1, port {service.port}: " in said.decode()
    assert said.count(b"\n") == 1


async def test_interrupted(database: str) -> None:
    """Ctrl-C ends the server as SIGTERM does, without a traceback."""
    async with running(database) as service:
        service.process.send_signal(signal.SIGINT)

        assert await service.process.wait() == 0


async def test_head(database: str) -> None:
    """The head of what GET answers, and nothing after it: the connection goes on."""
    async with running(database) as service:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        for path in ("/health/live", "/users/me"):
            heads, head = [], b""
            for method in ("HEAD", "GET"):
                writer.write(f"{method} {path} HTTP/1.1\r\nHost: service\r\nX-Request-ID: same\r\n\r\n".encode())
                head = await reader.readuntil(b"\r\n\r\n")
                heads.append([line for line in head.splitlines() if not line.startswith(b"date:")])
            await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
            assert heads[0] == heads[1]
        writer.close()


async def test_no_server_header(database: str) -> None:
    async with running(database) as service:
        assert b"\r\nserver:" not in await service.ask()


async def ask(client: AsyncClient, times: int = 1) -> list[Response]:
    """Send at once what reads the table of sessions: as a lookup, and within a transaction. Nobody is logged in."""
    lookups = [client.get("/users/me", headers=NOBODY) for _ in range(times)]
    transactions = [client.post("/auth/refresh", json={"refresh_token": "n" * 64}) for _ in range(times)]
    return await asyncio.gather(*lookups, *transactions)


def assert_unavailable(answers: Sequence[Response]) -> None:
    """The database is what fails, and not a wait for one of our connections."""
    assert {(a.status_code, a.json()["detail"]) for a in answers} == {(503, "The database is not available.")}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)


async def test_database_away(cable: Cable) -> None:
    """Without its database the service lives, is not ready, and tells when to try again; then it goes on by itself."""
    async with serve(cable.url) as client:
        before = await ask(client)
        await cable.pull()
        live, ready, away = await client.get("/health/live"), await client.get("/health/ready"), await ask(client)
        await cable.plug()
        after = [*await ask(client), await client.get("/health/ready")]

    assert (live.status_code, ready.status_code) == (200, 503)
    assert int(ready.headers["retry-after"]) > 0
    assert_unavailable(away)
    assert [answer.status_code for answer in (*before, *after)] == [401, 401, 401, 401, 200]


async def test_a_server_that_does_not_greet(cable: Cable, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for as long as the setting says, two seconds at most."""
    assert database.CONNECT_TIMEOUT <= 2
    really_connect, waits = asyncpg.connect, set[float]()

    async def connect(dsn: str, *, timeout: float, **options: object) -> object:  # noqa: ASYNC109 - asyncpg's own
        waits.add(timeout)
        return await really_connect(dsn, timeout=timeout, **options)

    monkeypatch.setattr(database, "CONNECT_TIMEOUT", 0.1)
    monkeypatch.setattr(asyncpg, "connect", connect)
    async with serve(cable.url) as client:
        cable.flows.clear()
        ready, *others = [await client.get("/health/ready"), *await ask(client)]
        cable.flows.set()
        after = await ask(client)

    assert_unavailable(others)
    assert [answer.status_code for answer in (ready, *after)] == [503, 401, 401]
    assert waits == {0.1}


async def test_database_silent(cable: Cable, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that swallows everything costs a request the time for one statement, and not a second try on top."""
    monkeypatch.setattr(database, "COMMAND_TIMEOUT", 2)
    async with serve(cable.url) as client:
        await client.get("/users/me", headers=NOBODY)
        cable.flows.clear()
        data = await timed(client, "/users/me", seconds=3.9)
        cable.flows.set()

        assert data.status_code == 503
        assert int(data.headers["retry-after"]) > 0
        assert (await timed(client, "/users/me")).status_code == 401


async def test_database_says_nothing_to_who_connects(cable: Cable, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for once: the deadline of a second try would come on top."""
    monkeypatch.setattr(database, "CONNECT_TIMEOUT", 0.2)
    async with serve(cable.url) as client:
        cable.flows.clear()
        data = await timed(client, "/users/me")

        assert data.status_code == 503
        assert len(cable.writers) == 2  # one connection, of which this end and the other are noted


async def timed(client: AsyncClient, path: str, seconds: float = 30) -> Response:
    async with asyncio.timeout(seconds):
        return await client.get(path, headers=NOBODY)


async def test_connections_cut(app: FastAPI, client: AsyncClient, session: AsyncSession) -> None:
    """That the server has ended all connections is no fault that a request that reads ever shows."""
    person = await join(app, client)
    for path in ("/health/ready", "/users/me", f"/users/{person.id}"):
        await asyncio.gather(*(person.send("GET", path) for _ in range(10)))  # so that there are many to be ended
        await session.execute(
            text(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename = current_user"
            )
        )
        answers = await asyncio.gather(*(person.send("GET", path) for _ in range(10)))

        assert {answer.status_code for answer in answers} == {200}, path


async def test_a_table_is_changed_under_way(app: FastAPI, client: AsyncClient, database: str) -> None:
    """Statements that were prepared before are prepared anew; until then it is a matter of coming again."""
    person = await join(app, client)
    await person.send("GET", f"/users/{person.id}")
    url = make_url(database).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(f'ALTER TABLE "{SCHEMA}".users ALTER name TYPE varchar(300)'.encode())
        try:
            answers = [await person.send("GET", f"/users/{person.id}") for _ in range(2)]
        finally:
            owner.execute(f'ALTER TABLE "{SCHEMA}".users ALTER name TYPE text'.encode())

    assert [answer.status_code for answer in answers] == [503, 200]


async def test_locked_table(
    client: AsyncClient, session: AsyncSession, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The server ends what waits for a table that somebody holds, on whatever connection; nothing else waits.

    That this takes less than six seconds is in test_sessions.py: the server tells the limits there.
    """
    monkeypatch.setitem(database.SERVER_SETTINGS, "lock_timeout", "1000")
    await client.get("/health/ready")  # reads the migration scripts, once
    await session.execute(text(f'LOCK TABLE "{SCHEMA}".sessions'))
    waiting = asyncio.create_task(ask(client, LOOKUP_CONNECTIONS))
    await until_blocked(session)
    ready = await client.get("/health/ready")
    answers = await waiting

    assert ready.status_code == 200
    assert_unavailable(answers)
    assert caplog.text.count("canceling statement due to lock timeout") == len(answers)
    await session.rollback()
    assert {answer.status_code for answer in await ask(client)} == {401}
