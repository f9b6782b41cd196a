"""What the production server does with its process; how it ends is in test_faults.py."""

import asyncio
import gc
import socket

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app.server import Server

pytestmark = pytest.mark.anyio


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
