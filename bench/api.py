"""What a request costs the server and the database together, next to bare Starlette and asyncpg. Linux only."""

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from subprocess import Popen
from tempfile import TemporaryDirectory, TemporaryFile

import psycopg
from handrail.config import load_project
from handrail.scratch import scratch_server

from bench.commands import database
from bench.measure import BenchError, Command, ending, run
from bench.projects import ROOT
from bench.start import HOST, answers, free_port

SECONDS, QUICK_SECONDS = 4.0, 2.0
ROUNDS, QUICK_ROUNDS = 5, 3
CLIENTS = 16
START_SECONDS = 30
USERS = 1000
TOKEN = "a" * 43
TICKS = os.sysconf("SC_CLK_TCK")
SERVERS = {"bare Starlette + asyncpg": ("uvicorn", "bench.bare:app", "--no-access-log"), "ours": ("app.server",)}
PATHS = {"the current user": "/users/me", "100 users": "/users?limit=100"}
FILL = """
SET search_path TO "starter-fastapi-project";
INSERT INTO users (id, email, name, role, sessions_since)
SELECT gen_random_uuid(), 'user' || n || '@example.com', 'User ' || n, 'admin', now() - interval '1 day'
FROM generate_series(1, %(users)s) n;
INSERT INTO sessions (id, user_id, family_hash, refresh_hash, access_hash, access_expires_at, idle_expires_at,
                      expires_at, created_at, last_used_at, device, network)
SELECT gen_random_uuid(), id, 'family', 'refresh', %(hash)s, now() + interval '1 day', now() + interval '1 day',
       now() + interval '1 day', now(), now(), '', '127.0.0.1'
FROM users LIMIT 1;
ANALYZE;
"""


@dataclass(frozen=True)
class Load:
    """What answering one path for some seconds took, and how much memory the server then had."""

    requests: int
    wall_seconds: float
    server_cpu_seconds: float
    database_cpu_seconds: float
    resident_bytes: int

    @property
    def cpu_seconds(self) -> float:
        """CPU time of one request, server and database together."""
        return (self.server_cpu_seconds + self.database_cpu_seconds) / self.requests

    @property
    def per_second(self) -> float:
        return self.requests / self.wall_seconds


@dataclass(frozen=True)
class Served:
    """One server: its loads by what was read, and the seconds to its first answer."""

    name: str
    start_seconds: float
    loads: dict[str, list[Load]] = field(default_factory=dict)


def measure_api(rounds: int, seconds: float) -> list[Served]:
    """Measure each server on the same database, by turns, after an uncounted round.

    Raises:
        BenchError: A server did not start, or answered with something else than 200.
    """
    with scratch_server(load_project(ROOT)) as server, database(server) as name, ExitStack() as stack:
        url = server.url_of(name)
        run(Command([sys.executable, "-m", "alembic", "upgrade", "head"], ROOT, {"DATABASE_URL": url}))
        plain = url.replace("postgresql+psycopg", "postgresql").replace("postgresql+asyncpg", "postgresql")
        connection = stack.enter_context(psycopg.connect(plain, autocommit=True))
        fill = psycopg.ClientCursor(connection)  # puts the values in by itself: PostgreSQL takes them in no script
        fill.execute(FILL, {"users": USERS, "hash": sha256(TOKEN.encode()).digest()})
        running = {name: serve(name, arguments, plain, stack) for name, arguments in SERVERS.items()}
        for number in range(rounds + 1):
            print(f"api: {f'round {number} of {rounds}' if number else 'warm-up'}", file=sys.stderr)
            for title, path in PATHS.items():
                for served, process, port in running.values():
                    load = measure_load(connection, process, port, path, seconds)
                    if number:
                        served.loads.setdefault(title, []).append(load)
    return [served for served, _, _ in running.values()]


def serve(name: str, arguments: Sequence[str], url: str, stack: ExitStack) -> tuple[Served, Popen[bytes], int]:
    port, began = free_port(), time.perf_counter()
    argv = [sys.executable, "-m", *arguments, "--host", HOST, "--port", str(port)]
    mails = stack.enter_context(TemporaryDirectory(prefix="bench-"))
    production = {"ENVIRONMENT": "production", "PUBLIC_URL": "https://www.example.com", "MAIL_FOLDER": mails}
    command = Command(argv, ROOT, {"DATABASE_URL": url, **production})
    output = stack.enter_context(TemporaryFile())  # noqa: SIM115 - the stack closes it
    process = command.start(output)
    stack.enter_context(ending(process))
    while not answers(port):
        if time.perf_counter() - began > START_SECONDS:
            raise BenchError(f"{name} did not answer within {START_SECONDS} seconds")
        time.sleep(0.005)
    return Served(name, time.perf_counter() - began), process, port


def measure_load(connection: psycopg.Connection, process: Popen[bytes], port: int, path: str, seconds: float) -> Load:
    server, databases, began = cpu_seconds([process.pid]), cpu_seconds(backends(connection)), time.perf_counter()
    requests = asyncio.run(send_all(port, path, seconds))
    wall = time.perf_counter() - began
    resident = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    spent = cpu_seconds([process.pid]) - server, cpu_seconds(backends(connection)) - databases
    return Load(requests, wall, *spent, resident)


def backends(connection: psycopg.Connection) -> list[int]:
    """Return the processes that serve this database's other connections; they must run on this machine."""
    query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    return [pid for (pid,) in connection.execute(query)]


def cpu_seconds(pids: list[int]) -> float:
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(user) + int(system) for user, system in (each[11:13] for each in fields)) / TICKS


async def send_all(port: int, path: str, seconds: float) -> int:
    """Let all clients ask, one request after the other, until the time is over; return how many were answered."""
    until = time.perf_counter() + seconds
    return sum(await asyncio.gather(*(send(port, path, until) for _ in range(CLIENTS))))


async def send(port: int, path: str, until: float) -> int:
    request = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    reader, writer = await asyncio.open_connection(HOST, port)
    count = 0
    while time.perf_counter() < until:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b" 200 " not in head[:16]:
            raise BenchError(f"{path} was answered with {head[:40]!r}")
        await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        count += 1
    writer.close()
    return count
