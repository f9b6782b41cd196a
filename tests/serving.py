"""The application with other settings than the tests' own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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
