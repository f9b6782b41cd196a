"""The server for production, `python -m app.server`: uvicorn, set up so that no request gets lost (docs/deploy.md)."""

import argparse
import asyncio
import gc
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ctypes import addressof, create_string_buffer
from itertools import chain
from struct import pack

from pydantic import BaseModel
from uuid_utils import uuid7


@contextmanager
def without(library: str) -> Iterator[None]:
    """Let what is imported meanwhile find an optional library missing, whose own import would take its time."""
    if library in sys.modules:
        yield
        return
    sys.modules[library] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[library]


with without("rich"), without("watchfiles"):  # for tracebacks in colour, and for --reload: up to a tenth of the start
    import structlog
    import uvicorn
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    from uvicorn.supervisors.multiprocess import Multiprocess, Process

    from app import logs

log = structlog.get_logger(__name__)

HEAD_SIZE = 64 * 1024  # bytes of a request line and headers; while they are incomplete, nobody has counted them yet
HEADER_SECONDS = 10  # within which a request must have told its headers
BODY_SECONDS = 60  # within which its body must have followed
READ_SECONDS = 60  # within which a client must have read of its answer what the system does not take
LINGER_SECONDS = 2  # for the rest of a body that is not wanted: to close at once would also take back our answer
IDLE_SECONDS = 2  # that an open connection without a request has for a last one, once we are stopping
ARRIVAL_SECONDS = 0.2  # in which a connection that has begun to be made is made, and accepted
DRAIN_SECONDS = 24  # after which requests that are still under way are given up
CLOSE = (b"connection", b"close")
# For Linux's packet filter: drop what has no ACK flag in byte 13 of the TCP header, the first packet of a connection.
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
ONLY_ESTABLISHED = b"".join(
    pack("HBBI", *step) for step in ((0x30, 0, 0, 13), (0x45, 0, 1, 0x10), (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0))
)


class Protocol(HttpToolsProtocol):
    """HTTP/1.1, which reads no request for ever or of any size, and closes a connection when its client knows it."""

    _deadline: asyncio.TimerHandle | None = None
    _unsent: asyncio.TimerHandle | None = None

    def _expect_within(self, seconds: float | None, otherwise: Callable[[], None] | None = None) -> None:
        """End the connection unless this is called again before; None: the application takes as long as it takes."""
        if self._deadline:
            self._deadline.cancel()
        end = otherwise or self.timeout_keep_alive_handler
        self._deadline = None if seconds is None else self.loop.call_later(seconds, end)

    def timeout_keep_alive_handler(self) -> None:
        self.transport.close()  # once all is sent; whoever does not read that would keep it open for ever
        self._expect_within(READ_SECONDS, self.transport.abort)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_within(HEADER_SECONDS)
        self._unread_size = 0  # of what belongs to no body and to no complete head

    def data_received(self, data: bytes) -> None:
        self._unread_size += len(data)
        super().data_received(data)
        if self._unread_size > HEAD_SIZE and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unsent = self.loop.call_later(READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unsent:
            self._unsent.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_within(None)
        self.resume_writing()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect_within(HEADER_SECONDS)

    def on_headers_complete(self) -> None:
        # What is raised in here is answered with 400.
        if [name for name, _ in self.headers].count(b"host") > 1:
            raise ValueError("two hosts")
        # Not all that is unread need be of the head: what comes at once may hold the body, too.
        if self._unread_size > HEAD_SIZE and sum(map(len, chain(*self.headers)), len(self.url)) > HEAD_SIZE:
            raise ValueError("too large")
        self._expect_within(BODY_SECONDS)
        super().on_headers_complete()
        self._unread_size, self.headers = 0, []  # what comes after a body is no header: a proxy has not seen to it

    def on_body(self, body: bytes) -> None:
        self._unread_size = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        # uvicorn waits for a next request only from an answer on
        self._expect_within(self.timeout_keep_alive if self.cycle.response_complete else None)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body:
            self._expect_within(LINGER_SECONDS)

    def send_400_response(self, msg: str) -> None:
        from app.envelope import SECURITY_HEADERS  # the supervisor, which answers nothing, does without them
        from app.errors import Problem

        request_id = uuid7().hex
        log.warning("not a request", reason=msg, request_id=request_id, ip=self.client[0] if self.client else None)
        answer = Problem(400, msg, headers={"X-Request-ID": request_id}).answer()
        headers = *self.server_state.default_headers, *answer.raw_headers, *SECURITY_HEADERS.items(), CLOSE
        head = b"".join(b"%b: %b\r\n" % header for header in headers)
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\n" + head + b"\r\n" + answer.body)
        self.transport.close()

    def shutdown(self) -> None:
        if CLOSE not in self.server_state.default_headers:  # who reads this sends the next request to somebody else
            self.server_state.default_headers.append(CLOSE)
        if getattr(self.cycle, "response_complete", True):  # there is no cycle before the first request
            self.loop.call_later(IDLE_SECONDS, super().shutdown)  # a request may be on its way
        else:
            super().shutdown()  # after the answer


class Server(uvicorn.Server):
    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        gc.disable()  # as in main, which a worker does not go through
        import_fastapi()
        await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        gc.freeze()  # nor will it be: a full collection in the middle of a request passes over it
        gc.enable()
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        ignore_arrivals(*sockets or ())
        for _ in range(2):  # a busy loop may have slept over what arrived the first time
            await asyncio.sleep(ARRIVAL_SECONDS)
        await super().shutdown(sockets)


def import_fastapi() -> None:
    """Import FastAPI without what only its OpenAPI document needs: a tenth of the start."""
    if "fastapi" not in sys.modules:
        BaseModel.model_config["defer_build"] = True  # its thirty models are built when the document is asked for
        with without("email_validator"):
            import fastapi.openapi.models
            import fastapi.utils
        del BaseModel.model_config["defer_build"]
        # It would import pydantic 1 with the first route, only to refuse its models in words of its own.
        fastapi.utils.annotation_is_pydantic_v1 = lambda _: False  # type: ignore[attr-defined, assignment]


class Worker(Process):
    @property
    def server(self) -> uvicorn.Server:
        self._server = self._server or Server(self.config)
        return self._server


class Supervisor(Multiprocess):
    def ignore(self) -> None:
        """Do nothing. uvicorn would stop or make single workers, which waits for one after the other."""

    handle_hup = handle_ttin = handle_ttou = ignore

    def init_processes(self) -> None:
        self.processes = [self.start() for _ in range(self.processes_num)]

    def start(self) -> Worker:
        worker = Worker(self.config, self.sockets)
        worker.start()
        return worker

    def keep_subprocess_alive(self) -> None:
        if any((worker.exitcode or 0) > 0 for worker in self.processes):
            self.should_exit.set()  # it cannot work, and another one would say so too
        if not self.should_exit.is_set():
            for listener in self.sockets:  # one worker that was stopped alone makes it ignore arrivals for all
                with suppress(OSError):
                    listener.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
            self.processes = [worker if worker.exitcode is None else self.start() for worker in self.processes]

    def terminate_all(self) -> None:
        ignore_arrivals(*self.sockets)
        for listener in self.sockets:  # ours goes first: what connects to it then would wait for an answer in vain
            listener.close()
        super().terminate_all()


def ignore_arrivals(*listeners: socket.socket) -> None:
    """Let the system drop who begins to connect, as if it had not arrived; who has begun is still connected.

    To close the socket at once would break connections that the system makes meanwhile. A client whose first packet
    is dropped sends it again after a second, and finds our successor, or nobody. Only Linux can do this.
    """
    program = create_string_buffer(ONLY_ESTABLISHED)
    attached = pack("HL", len(ONLY_ESTABLISHED) // 8, addressof(program))
    for listener in listeners:
        with suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, attached)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m app.server", description="Serve the application.")
    parser.add_argument("--host", default="127.0.0.1", help="address; 0.0.0.0 for all (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=1, help="processes that share the work (default: %(default)s)")
    arguments = parser.parse_args()
    if not (0 <= arguments.port <= 65535 and arguments.workers > 0):
        parser.error("a port is 0 to 65535, and there is at least one worker")
    gc.disable()  # it would look through all that is imported now, again and again, and none of it is garbage
    from app.config import load_settings

    logs.configure(load_settings().environment)  # what is wrong with the settings is said once, and not by each worker
    config = uvicorn.Config(
        "app.main:app",
        http="app.server:Protocol",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # the application writes a line for each request
        proxy_headers=False,  # the application reads them: TRUSTED_PROXIES
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        workers=arguments.workers,
    )
    listener = bind(arguments.host, arguments.port)
    if arguments.workers == 1:
        with suppress(KeyboardInterrupt):  # raised again after all has ended in order
            Server(config).run([listener])
        return
    gc.enable()
    supervisor = Supervisor(config, [listener])
    supervisor.run()
    sys.exit(max(0, *(process.exitcode or 0 for process in supervisor.processes)))  # what a worker says, not a signal


def bind(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        sys.exit(f"Cannot listen at {host}, port {port}: {error.strerror}. Choose others with --host and --port.")
    log.info("serving", host=host, port=listener.getsockname()[1])
    return listener


if __name__ == "__main__":
    main()
