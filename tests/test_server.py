"""What the production server does with its process; how it ends is in test_faults.py."""

import asyncio
import gc
import json
import os
import socket
import subprocess
import sys

import pytest
import uvicorn
from process import ROOT
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app.config import Settings
from app.main import create_app
from app.server import Server

pytestmark = pytest.mark.anyio

AT_THE_START = """
import json, sys
from app.server import import_fastapi
import_fastapi()
import app.main, fastapi.openapi.models
late = {"aiosmtplib", "alembic", "email_validator", "zxcvbn"}
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
