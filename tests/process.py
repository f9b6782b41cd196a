"""The service as it runs in production: in a process of its own, asked over real connections."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
START_SECONDS = 60
WARM = 200  # answers after which a load is as it will be
TOKEN = "n" * 43  # nobody's


@dataclass
class Service:
    process: asyncio.subprocess.Process
    port: int

    async def ask(self, path: str = "/health/live", token: str = TOKEN) -> bytes:
        """Return the head of the answer to one request on a connection of its own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            return await answer(reader, writer, path, token)
        finally:
            writer.close()

    async def listens(self) -> bool:
        try:
            (await asyncio.open_connection("127.0.0.1", self.port))[1].close()
        except ConnectionRefusedError:
            return False
        return True

    async def stop(self, *, all_at_once: bool = False) -> int:
        """Send SIGTERM as Docker does, or as systemd does: to every process of the service."""
        if all_at_once:
            os.killpg(self.process.pid, signal.SIGTERM)
        else:
            self.process.send_signal(signal.SIGTERM)
        return await self.process.wait()


@asynccontextmanager
async def running(database: str, *arguments: str, port: int = 0) -> AsyncIterator[Service]:
    """Run `python -m app.server` on a free port until it answers; it is stopped at the end."""
    port = port or free_port()
    command = [sys.executable, "-m", "app.server", "--port", str(port), *arguments]
    variables = {"DATABASE_URL": database, "PATH": os.environ["PATH"]}
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=variables, start_new_session=True)
    service = Service(process, port)
    try:
        async with asyncio.timeout(START_SECONDS):
            while not (await service.listens() and b" 200 " in await service.ask()):
                assert process.returncode is None, f"the server ended with {process.returncode}"
                await asyncio.sleep(0.05)
        yield service
    finally:
        if process.returncode is None:
            await service.stop()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, token: str = TOKEN, *, close: bool = False
) -> bytes:
    """Send a request, and return the head of its answer when all of it has arrived."""
    request = f"GET {path} HTTP/1.1\r\nHost: service\r\nAuthorization: Bearer {token}\r\n"
    writer.write(f"{request}{'Connection: close' if close else 'Accept: */*'}\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
    return head


@dataclass
class Load:
    """Clients that ask without a pause, as long as somebody accepts their connections."""

    port: int
    path: str
    answered: int = 0
    lost: list[str] = field(default_factory=list)
    warm: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, clients: int, *, keep_alive: bool) -> None:
        await asyncio.gather(*(self._client(keep_alive=keep_alive) for _ in range(clients)))

    async def _client(self, *, keep_alive: bool) -> None:
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except ConnectionRefusedError:
                return
            await self._connected(reader, writer, keep_alive=keep_alive)
            writer.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, keep_alive: bool) -> None:
        head = b""
        while b"connection: close" not in head:
            try:
                head = await answer(reader, writer, self.path, close=not keep_alive)
            except (OSError, asyncio.IncompleteReadError) as error:
                self.lost.append(f"{error!r} after {self.answered}")
                return
            self.answered += 1
            if self.answered == WARM:
                self.warm.set()
