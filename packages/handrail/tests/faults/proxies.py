"""Small proxies for PostgreSQL's protocol: one cuts at COMMIT, one shares sessions as poolers do, one is starting up.

The protocol: https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Message:
    """One message: its type (empty for the first of a client) and its bytes."""

    kind: bytes
    raw: bytes


def read(connection: socket.socket, *, first: bool = False) -> Message | None:
    """Read one message; None at the end."""
    kind = b"" if first else exactly(connection, 1)
    length = exactly(connection, 4)
    if length is None or kind is None:
        return None
    body = exactly(connection, struct.unpack("!I", length)[0] - 4)
    return None if body is None else Message(kind, kind + length + body)


def startup_of(client: socket.socket) -> Message | None:
    """Read what a client begins with, after refusing encryption."""
    message = read(client, first=True)
    while message is not None and message.raw[4:8] in (struct.pack("!I", 80877103), struct.pack("!I", 80877104)):
        client.sendall(b"N")
        message = read(client, first=True)
    return message


def exactly(connection: socket.socket, number: int) -> bytes | None:
    """Read so many bytes; None when the other side has closed."""
    found = b""
    while len(found) < number:
        with suppress(OSError):
            part = connection.recv(number - len(found))
            if part:
                found += part
                continue
        return None
    return found


@contextmanager
def listening(serve: Callable[[socket.socket], None], port: int = 0) -> Iterator[int]:
    """Accept connections on a port of 127.0.0.1, each in a thread."""
    with socket.create_server(("127.0.0.1", port)) as server:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = server.accept()
                    threading.Thread(target=closing, args=[serve, client], daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]


def closing(serve: Callable[[socket.socket], None], client: socket.socket) -> None:
    """Serve a client, and close its connection whatever happens."""
    with client, suppress(OSError):
        serve(client)


def connect(url: str) -> socket.socket:
    """Connect to the server that a URL names, by TCP or through the file of a socket."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    if "host" in options:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(f"{options['host']}/.s.PGSQL.{options.get('port', 5432)}")
        return connection
    return socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 5432))


def through(url: str, port: int) -> str:
    """Return the URL with a proxy in place of the server."""
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{login}@127.0.0.1:{port}", query="").geturl()


@contextmanager
def cutting_at_commit(url: str, *, after: bool) -> Iterator[tuple[str, list[str]]]:
    """Yield a URL whose connections break at the first COMMIT of a new version, and a list of the cuts.

    Args:
        url: Of the server.
        after: The server gets the COMMIT, and its answer is lost; otherwise it never gets it.
    """
    cuts: list[str] = []

    def serve(client: socket.socket) -> None:
        server = connect(url)
        state = {"version": False, "cut": False}

        def back() -> None:
            with suppress(OSError):
                while part := server.recv(65536):
                    if state["cut"]:
                        break
                    client.sendall(part)
            for side in (client, server):
                with suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)

        startup = startup_of(client)
        if startup is None:
            return
        server.sendall(startup.raw)
        returning = threading.Thread(target=back, daemon=True)
        returning.start()
        while message := read(client):
            if b"alembic_version" in message.raw and (b"INSERT" in message.raw or b"UPDATE" in message.raw):
                state["version"] = True
            if state["version"] and message.kind in (b"Q", b"P") and b"COMMIT" in message.raw.upper():
                state["cut"] = True
                cuts.append("after" if after else "before")
                if not after:
                    break
            with suppress(OSError):
                server.sendall(message.raw)
            if state["cut"]:
                if message.kind == b"P" and (rest := read(client)):
                    server.sendall(rest.raw)
                continue
        for side in (client, server):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
        returning.join()
        server.close()

    with listening(serve) as port:
        yield through(url, port), cuts


@contextmanager
def starting_up(url: str, port: int, refusals: int) -> Iterator[list[str]]:
    """Answer on this port like a server that is still starting, so often; later be the server. Yields the refusals."""
    refused: list[str] = []
    fields = b"SFATAL\0C57P03\0Mthe database system is starting up\0\0"

    def serve(client: socket.socket) -> None:
        startup = startup_of(client)
        if startup is None:
            return
        if len(refused) < refusals:
            refused.append("starting up")
            client.sendall(b"E" + struct.pack("!I", 4 + len(fields)) + fields)
            return
        with connect(url) as server:
            server.sendall(startup.raw)
            ways = {client: server, server: client}
            while True:
                for source in select.select(list(ways), [], [])[0]:
                    part = source.recv(65536)
                    if not part:
                        return
                    ways[source].sendall(part)

    with listening(serve, port):
        yield refused


@dataclass
class Pool:
    """Sessions of the server, lent to whoever begins a transaction; the last one that came back goes first."""

    url: str
    lock: threading.Lock = field(default_factory=threading.Lock)
    free: list[socket.socket] = field(default_factory=list)
    opened: list[socket.socket] = field(default_factory=list)

    def borrow(self, startup: bytes) -> socket.socket:
        """Return a session, a new one when all are lent."""
        with self.lock:
            if self.free:
                return self.free.pop()
        server = connect(self.url)
        self.opened.append(server)
        server.sendall(startup)
        while (message := read(server)) and message.kind != b"Z":
            pass
        return server

    def give_back(self, server: socket.socket) -> None:
        """Lend it to somebody else."""
        with self.lock:
            self.free.append(server)


PARAMETERS = {
    "server_version": "15.0",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "integer_datetimes": "on",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
}


def greeting() -> bytes:
    """Return AuthenticationOk, the parameters, a number in place of the server process's, and ReadyForQuery."""
    parameters = (f"{name}\0{value}\0".encode() for name, value in PARAMETERS.items())
    statuses = b"".join(b"S" + struct.pack("!I", 4 + len(pair)) + pair for pair in parameters)
    return b"R" + struct.pack("!II", 8, 0) + statuses + b"K" + struct.pack("!III", 12, 424242, 1) + b"Z\0\0\0\5I"


@contextmanager
def pooling(url: str) -> Iterator[str]:
    """Yield a URL behind a pooler in transaction mode."""
    pool = Pool(url)

    def serve(client: socket.socket) -> None:
        startup = startup_of(client)
        if startup is None:
            return
        client.sendall(greeting())
        while message := read(client):
            if message.kind == b"X":
                break
            server = pool.borrow(startup.raw)
            try:
                lend(client, server, message)
            except OSError:
                break
            pool.give_back(server)

    with listening(serve) as port:
        yield through(url, port)
    for server in pool.opened:
        server.close()


def lend(client: socket.socket, server: socket.socket, message: Message) -> None:
    """Carry messages until the transaction is over. Raises: OSError, when one of the two is gone."""
    server.sendall(message.raw)
    while True:
        speaking, _, _ = select.select([client, server], [], [])
        source, other = (server, client) if server in speaking else (client, server)
        said = read(source)
        if said is None:
            raise ConnectionResetError
        other.sendall(said.raw)
        if source is server and said.kind == b"Z" and said.raw.endswith(b"I"):
            return
