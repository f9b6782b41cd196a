"""The service as it runs in production: in a process of its own, asked over real connections."""

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

ROOT = Path(__file__).parent.parent
START_SECONDS = 60
WARM = 200  # answers after which a load is as it will be
TOKEN = "n" * 43  # nobody's


@dataclass
class Service:
    process: asyncio.subprocess.Process
    port: int

    async def ask(self, path: str = "/health/live", token: str = TOKEN, method: str = "GET", body: str = "") -> bytes:
        """Return the head of the answer to one request on a connection of its own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            return await answer(reader, writer, (method, path, body), token)
        finally:
            writer.close()

    async def listens(self) -> bool:
        try:
            (await asyncio.open_connection("127.0.0.1", self.port))[1].close()
        except ConnectionRefusedError:
            return False
        return True

    def peak_bytes(self) -> int:
        """Return how much memory its process has had at most; 0 where only a platform other than Linux knows."""
        status = Path(f"/proc/{self.process.pid}/status")
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
        return int(found[1]) * 1024 if found else 0

    async def stop(self, *, all_at_once: bool = False) -> int:
        """Send SIGTERM as Docker does, or as systemd does: to every process of the service."""
        if all_at_once:
            os.killpg(self.process.pid, signal.SIGTERM)
        else:
            self.process.send_signal(signal.SIGTERM)
        return await self.process.wait()


@asynccontextmanager
async def running(database: str, *arguments: str, port: int = 0, **more: str) -> AsyncIterator[Service]:
    """Run `python -m app.server`, with more variables, on a free port until it answers; it is stopped at the end."""
    port = port or free_port()
    command = [sys.executable, "-m", "app.server", "--port", str(port), *arguments]
    variables = {"DATABASE_URL": database, "PATH": os.environ["PATH"], **more}
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


Request = tuple[str, str, str]  # method, path and, in JSON, body


async def answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request, token: str, *, close: bool = False
) -> bytes:
    """Send a request, and return the head of its answer when all of it has arrived."""
    method, path, body = request
    head = f"{method} {path} HTTP/1.1\r\nHost: service\r\nAuthorization: Bearer {token}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
    writer.write(f"{head}{'Connection: close' if close else 'Accept: */*'}\r\n\r\n{body}".encode())
    answered = (await reader.readuntil(b"\r\n\r\n")).lower()
    await reader.readexactly(int(answered.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
    return answered


@dataclass
class Load:
    """Clients that ask without a pause, one request after the other, until nobody accepts their connections."""

    port: int
    requests: Sequence[Request]
    token: str = TOKEN
    patient: bool = False  # whether who is not accepted comes again
    answered: int = 0
    lost: list[str] = field(default_factory=list)
    warm: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, clients: int, *, keep_alive: bool) -> None:
        await asyncio.gather(*(self._client(keep_alive=keep_alive) for _ in range(clients)))

    async def _client(self, *, keep_alive: bool) -> None:
        requests = cycle(self.requests)
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except ConnectionRefusedError:
                if not self.patient:
                    return
                await asyncio.sleep(0.05)
                continue
            await self._connected(reader, writer, requests, keep_alive=keep_alive)
            writer.close()

    async def _connected(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        requests: Iterator[Request],
        *,
        keep_alive: bool,
    ) -> None:
        head = b""
        while b"connection: close" not in head:
            request = next(requests)
            try:
                head = await answer(reader, writer, request, self.token, close=not keep_alive)
            except (OSError, asyncio.IncompleteReadError) as error:
                self.lost.append(f"{request}: {error!r} after {self.answered}")
                return
            if head.startswith(b"http/1.1 5"):
                self.lost.append(f"{request}: {head!r} after {self.answered}")
            self.answered += 1
            if self.answered == WARM:
                self.warm.set()
