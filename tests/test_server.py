"""What the production server does with its process; how it ends is in test_faults.py."""

import asyncio
import gc
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
import uvicorn
from process import ROOT
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from app.config import Settings
from app.main import create_app
from app.server import Protocol, Server, Supervisor, Worker, main

pytestmark = pytest.mark.anyio

AT_THE_START = """
import json, sys
from app.server import import_fastapi
import_fastapi()
import app.main, fastapi.openapi.models
late = {"aiosmtplib", "alembic", "email_validator", "pydantic.v1", "rich", "watchfiles", "zxcvbn"}
known, built = set(sys.modules), fastapi.openapi.models.OpenAPI.__pydantic_complete__
from pydantic import EmailStr, TypeAdapter
TypeAdapter(EmailStr).validate_python("ada@example.com")
print(json.dumps([sorted(late & known), built, app.main.app.openapi()]))
"""


async def tell_of_garbage(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(f"{gc.isenabled()} {gc.get_freeze_count() > 0}")(scope, receive, send)


async def test_garbage_is_collected_while_requests_are_answered_but_not_among_what_was_imported() -> None:
    server = Server(uvicorn.Config(tell_of_garbage, lifespan="off", log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = asyncio.create_task(server.serve([listener]))
        try:
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(b"GET / HTTP/1.1\r\nHost: service\r\nConnection: close\r\n\r\n")
            answer = await reader.read()
        finally:
            server.should_exit = True
            await running
            gc.unfreeze()
    writer.close()
    assert answer.endswith(b"True True")


def test_the_start_leaves_out_what_only_some_requests_need_and_they_miss_nothing() -> None:
    variables = os.environ | {"DATABASE_URL": "postgresql:///unused"}
    told = subprocess.check_output([sys.executable, "-c", AT_THE_START], cwd=ROOT, env=variables)
    imported, built, document = json.loads(told)
    assert (imported, built) == ([], False)
    assert document == create_app(Settings.model_validate({"database_url": "postgresql:///unused"})).openapi()


@pytest.mark.parametrize("arguments", [["--port", "65536"], ["--port", "-1"], ["--workers", "0"]])
async def test_arguments_that_make_no_sense(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["app.server", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 2
    assert "a port is 0 to 65535" in capsys.readouterr().err


@pytest.mark.parametrize("size", [40_000, 10_000_000])
async def test_who_does_not_read_the_answer_is_cut_off(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is more than the server keeps for a client, or what it keeps when it would end the connection."""
    monkeypatch.setattr("app.server.READ_SECONDS", 0.05)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(0, size, 1000):
            yield b"a" * 1000

    async def talk(scope: Scope, receive: Receive, send: Send) -> None:
        await StreamingResponse(pieces())(scope, receive, send)

    lost = asyncio.Event()

    class Noticed(Protocol):
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            lost.set()

    server = Server(uvicorn.Config(talk, http=Noticed, lifespan="off", log_config=None, timeout_keep_alive=0))
    with socket.socket() as listener, socket.socket() as client:
        for end, buffer in ((listener, socket.SO_SNDBUF), (client, socket.SO_RCVBUF)):
            end.setsockopt(socket.SOL_SOCKET, buffer, 4096)  # so that the system takes next to nothing
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client.connect(listener.getsockname())
        client.sendall(b"GET / HTTP/1.1\r\nHost: service\r\n\r\n")
        running = asyncio.create_task(server.serve([listener]))
        try:
            async with asyncio.timeout(30):
                await lost.wait()
        finally:
            server.should_exit = True
            client.close()
            await running
            gc.unfreeze()


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    """A supervisor of two workers that are not started. It takes every signal for itself, Ctrl-C too."""
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    yield Supervisor(uvicorn.Config("app.main:app", workers=2, log_config=None), [])
    for number, handler in before.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


@pytest.mark.timeout(30)  # uvicorn's own would wait for workers that never began
@pytest.mark.parametrize("name", ["hup", "ttin", "ttou"])
def test_no_signal_stops_workers_one_after_the_other(name: str, supervisor: Supervisor) -> None:
    """As uvicorn would, which waits for each; meanwhile the one that stops makes the listener of all deaf."""
    workers = supervisor.processes = [Worker(supervisor.config, []) for _ in range(2)]

    getattr(supervisor, f"handle_{name}")()

    assert supervisor.processes is workers
    assert len(workers) == 2
    assert all(worker.process.pid is None for worker in workers)
