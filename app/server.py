"""The server for production: `python -m app.server --workers 2`. uvicorn, set up so that no request gets lost.

Told to stop (SIGTERM), it accepts no more connections, answers every request that is under way or comes on a connection
that is still open, and says there that it will close. So a deployment may stop it at any moment.
"""

import argparse
import asyncio
import multiprocessing
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from ctypes import addressof, create_string_buffer
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from struct import pack
from threading import Event

import structlog
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app import logs
from app.config import load_settings

log = structlog.get_logger(__name__)

HEADER_SECONDS = 10  # within which a request must have told its headers
IDLE_SECONDS = 2  # that an open connection without a request has for a last one, once we are stopping
ARRIVAL_SECONDS = 0.2  # in which a connection that has begun to be made is made
DRAIN_SECONDS = 30  # after which requests that are still under way are given up
# For Linux's packet filter: drop what has no ACK flag in byte 13 of the TCP header, the first packet of a connection.
SO_ATTACH_FILTER = 26
ONLY_ESTABLISHED = b"".join(
    pack("HBBI", *step) for step in ((0x30, 0, 0, 13), (0x45, 0, 1, 0x10), (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0))
)
SPAWN = multiprocessing.get_context("spawn")


class Protocol(HttpToolsProtocol):
    """HTTP/1.1, which does not wait for ever for headers, and closes a connection when its client knows it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEADER_SECONDS, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._deadline.cancel()
        self._deadline = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def on_headers_complete(self) -> None:
        self._deadline.cancel()
        super().on_headers_complete()

    def shutdown(self) -> None:
        if getattr(self.cycle, "response_complete", True):  # there is no cycle before the first request
            self.loop.call_later(IDLE_SECONDS, super().shutdown)  # a request may be on its way
        else:
            super().shutdown()  # after the answer


class Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in sockets or []:
            ignore_arrivals(listener)
        await asyncio.sleep(ARRIVAL_SECONDS)
        waiting = [connection for listener in sockets or [] for connection in accept_waiting(listener)]
        for server in self.servers:
            server.close()
        # A client that reads this sends its next request to somebody else.
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.connect_accepted_socket(self._protocol, connection) for connection in waiting))
        await super().shutdown(sockets)

    def _protocol(self) -> Protocol:
        return Protocol(self.config, self.server_state, self.lifespan.state)


def ignore_arrivals(listener: socket.socket) -> None:
    """Let the system drop who begins to connect, as if it had not arrived; who has begun is still connected.

    To close the socket at once would break connections that the system makes meanwhile. A client whose first packet
    is dropped sends it again after a second, and finds our successor, or nobody. Only Linux can do this.
    """
    program = create_string_buffer(ONLY_ESTABLISHED)
    with suppress(OSError):
        listener.setsockopt(
            socket.SOL_SOCKET, SO_ATTACH_FILTER, pack("HL", len(ONLY_ESTABLISHED) // 8, addressof(program))
        )


def accept_waiting(listener: socket.socket) -> Iterator[socket.socket]:
    """Accept what the system has connected already."""
    with suppress(BlockingIOError):
        while True:
            yield listener.accept()[0]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m app.server", description="Serve the application.")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at; 0.0.0.0 for all (default: %(default)s)"
    )
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=1, help="processes that share the work (default: %(default)s)")
    arguments = parser.parse_args()
    logs.configure(load_settings().environment)  # what is wrong with the settings is said once, and not by each worker
    listener = bind(arguments.host, arguments.port)
    if arguments.workers > 1:
        sys.exit(supervise(listener, arguments.workers))
    work(listener)


def bind(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        sys.exit(f"Cannot listen at {host}, port {port}: {error.strerror}. Choose others with --host and --port.")
    log.info("serving", host=host, port=listener.getsockname()[1])
    return listener


def work(listener: socket.socket) -> None:
    """Serve in this process until a signal ends it."""
    config = uvicorn.Config(
        "app.main:app",
        http=Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # the application writes a line for each request
        proxy_headers=False,  # the application reads them: TRUSTED_PROXIES
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    with suppress(KeyboardInterrupt):  # raised again after all has ended in order
        Server(config).run([listener])


def supervise(listener: socket.socket, count: int) -> int:
    """Keep so many workers at work until a signal ends them, or one says by its exit code that it cannot work."""
    stop, failed = Event(), 0

    def start() -> SpawnProcess:
        process = SPAWN.Process(target=work, args=(listener,))
        process.start()
        return process

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    workers = [start() for _ in range(count)]
    while not stop.is_set():
        wait([worker.sentinel for worker in workers], timeout=0.2)
        failed = max(worker.exitcode or 0 for worker in workers)
        if failed > 0:
            break
        workers = [worker if worker.is_alive() else start() for worker in workers]
    # Ours goes first: what connects to a socket that nobody serves any more waits for an answer in vain.
    ignore_arrivals(listener)
    listener.close()
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join()
    return max(failed, 0)


if __name__ == "__main__":
    main()
