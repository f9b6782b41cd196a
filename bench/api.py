"""What requests, a start and other people's logins cost, next to two peers (`bench.servers`). Linux only."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from subprocess import Popen
from tempfile import TemporaryFile

import psycopg
from handrail.config import load_project
from handrail.scratch import scratch_server

from bench.measure import BenchError, Command, Cost, ending, run_until
from bench.projects import ROOT
from bench.servers import HOST, ME, TOKEN, Server, servers
from bench.start import answers, free_port

SECONDS, QUICK_SECONDS = 4.0, 2.0
ROUNDS, QUICK_ROUNDS = 5, 3
CLIENTS = 16
LOGIN_CLIENTS = 4
START_SECONDS = 60
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Load:
    """What answering for some seconds took, how long each client waited, and how much memory the server then had."""

    waits: list[float]
    seconds: float
    server_cpu_seconds: float
    database_cpu_seconds: float
    resident_bytes: int
    logins: int = 0

    @property
    def cpu_seconds(self) -> float:
        """CPU time of one request, server and database together."""
        return (self.server_cpu_seconds + self.database_cpu_seconds) / len(self.waits)


@dataclass(frozen=True)
class Served:
    """One server: its starts, its loads by what was read, and those of the current user while others log in.

    `resident_bytes` is its memory at its first answer.
    """

    server: Server
    starts: list[Cost] = field(default_factory=list)
    resident_bytes: list[int] = field(default_factory=list)
    loads: dict[str, list[Load]] = field(default_factory=dict)
    storms: list[Load] = field(default_factory=list)


@dataclass(frozen=True)
class Running:
    """A server that has been started, and a token that it knows."""

    served: Served
    process: Popen[bytes]
    port: int
    database: psycopg.Connection
    token: str


def measure_api(rounds: int, seconds: float) -> list[Served]:
    """Measure the servers by turns, after an uncounted round.

    Raises:
        BenchError: A server did not start, or answered with something else than 200.
    """
    with scratch_server(load_project(ROOT)) as scratch, servers(scratch) as found, ExitStack() as stack:
        measured = [Served(server) for server in found]
        for number in turns("starts", rounds):
            for served in measured:
                cost = start_once(served.server)
                if number:
                    served.starts.append(cost)
        running = [stack.enter_context(started(served)) for served in measured]
        for number in turns("requests", rounds):
            for each in running:
                measure_loads(each, seconds, counted=number > 0)
    return measured


def turns(what: str, rounds: int) -> Iterator[int]:
    for number in range(rounds + 1):
        print(f"api, {what}: {f'round {number} of {rounds}' if number else 'warm-up'}", file=sys.stderr)
        yield number


def start_once(server: Server) -> Cost:
    port = free_port()
    return run_until(at_port(server.command, port), partial(answers, port, server.live), START_SECONDS)


def at_port(command: Command, port: int) -> Command:
    return Command([*command.argv, "--port", str(port)], command.folder, command.variables)


@contextmanager
def started(served: Served) -> Iterator[Running]:
    server, port, began = served.server, free_port(), time.perf_counter()
    with TemporaryFile() as output, psycopg.connect(server.database, autocommit=True) as connection:
        process = at_port(server.command, port).start(output)
        with ending(process):
            while not answers(port, server.live):
                if time.perf_counter() - began > START_SECONDS:
                    raise BenchError(f"{server.name} did not answer within {START_SECONDS} seconds")
                time.sleep(0.005)
            served.resident_bytes.append(resident_bytes(process.pid))
            token = TOKEN if server.login is None else asyncio.run(log_in(server, port))
            yield Running(served, process, port, connection, token)


async def log_in(server: Server, port: int) -> str:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(server.logging_in(1))
    answer = json.loads(await read_answer(reader))
    writer.close()
    return str(answer["access_token"])


def measure_loads(running: Running, seconds: float, *, counted: bool) -> None:
    served = running.served
    for title in served.server.paths:
        load = measure_load(running, title, seconds)
        if counted:
            served.loads.setdefault(title, []).append(load)
    if served.server.login:
        storm = measure_load(running, ME, seconds, login_clients=LOGIN_CLIENTS)
        if counted:
            served.storms.append(storm)


def measure_load(running: Running, title: str, seconds: float, login_clients: int = 0) -> Load:
    pid, server = running.process.pid, running.served.server
    own, in_database = cpu_seconds(pid), database_cpu_seconds(running.database)
    request = server.reading(server.paths[title], running.token)
    waits, logins = asyncio.run(send_all(running, request, login_clients, seconds))
    resident = resident_bytes(pid)
    spent = cpu_seconds(pid) - own, database_cpu_seconds(running.database) - in_database
    return Load(waits, seconds, *spent, resident, logins)


def database_cpu_seconds(connection: psycopg.Connection) -> float:
    """Return the CPU time of this database's backends and, as a pool may close some, of all that have ended.

    They must run on this machine, and nobody else may use the server meanwhile.
    """
    query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
    backends = [pid for (pid,) in connection.execute(query)]
    parent = int(process_status(backends[0])[1])
    ended = sum(int(ticks) for ticks in process_status(parent)[13:15]) / TICKS
    return ended + sum(map(cpu_seconds, backends))


def cpu_seconds(pid: int) -> float:
    try:
        return sum(int(ticks) for ticks in process_status(pid)[11:13]) / TICKS
    except FileNotFoundError:  # it has ended just now
        return 0


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def process_status(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


async def send_all(running: Running, request: bytes, login_clients: int, seconds: float) -> tuple[list[float], int]:
    """Let all clients ask, one request after the other, until the time is over; return their waits, and the logins."""
    until, port = time.perf_counter() + seconds, running.port
    readers = [send(port, request, until) for _ in range(CLIENTS)]
    logins = [send(port, running.served.server.logging_in(user), until) for user in range(1, login_clients + 1)]
    waits = await asyncio.gather(*readers, *logins)
    return [wait for client in waits[:CLIENTS] for wait in client], sum(len(client) for client in waits[CLIENTS:])


async def send(port: int, request: bytes, until: float) -> list[float]:
    reader, writer = await asyncio.open_connection(HOST, port)
    waits = []
    while (began := time.perf_counter()) < until:
        writer.write(request)
        await read_answer(reader)
        waits.append(time.perf_counter() - began)
    writer.close()
    return waits


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    body = await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
    if b" 200 " not in head[:16]:
        raise BenchError(f"a request was answered with {head[:40]!r} {body[:200]!r}")
    return body
