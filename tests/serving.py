"""The application with other settings than the tests' own."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from app.config import Settings
from app.main import create_app

# What production cannot do without, beside a database.
PRODUCTION = {"environment": "production", "public_url": "https://www.example.com", "mail_folder": "/nowhere"}


@asynccontextmanager
async def serving(
    database: str, peer: str = "127.0.0.1", **settings: object
) -> AsyncIterator[tuple[FastAPI, AsyncClient]]:
    """Start it, and yield it with a client whose requests come from the address `peer`, faults answered with 500."""
    app = create_app(Settings.model_validate({"database_url": database, **settings}))
    transport = ASGITransport(app, raise_app_exceptions=False, client=(peer, 1234))
    async with app.router.lifespan_context(app), AsyncClient(transport=transport, base_url="http://service") as client:
        yield app, client


@asynccontextmanager
async def listening(app: FastAPI) -> AsyncIterator[str]:
    """Let an application that has been started serve on a port of its own; yield the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, proxy_headers=False))
        running = asyncio.create_task(server.serve([listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running
