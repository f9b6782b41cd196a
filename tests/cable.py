"""A database that can be cut off from the service, and come back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy import text

from app.config import Settings
from app.database import Session
from app.main import create_app


class Cable:
    """A TCP port in front of the database that can be pulled out and put back."""

    def __init__(self, database: str) -> None:
        self.parts = urlsplit(database)
        self.port = 0
        self.writers: list[asyncio.StreamWriter] = []
        self.flows = asyncio.Event()  # cleared: nothing comes through, and nobody is told
        self.flows.set()
        self.round_trips = 0  # how often the service has asked the server, and waited for it to answer

    @property
    def url(self) -> str:
        user = self.parts.netloc.rpartition("@")[0]
        return f"postgresql://{user}@127.0.0.1:{self.port}{self.parts.path}?sslmode=disable"

    async def plug(self) -> None:
        self.server = await asyncio.start_server(self._connect, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def pull(self) -> None:
        self.server.close()
        for writer in self.writers:
            writer.transport.abort()
        await self.server.wait_closed()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        directory, port = parse_qs(self.parts.query).get("host", [""])[0], self.parts.port or 5432
        if directory.startswith("/"):
            upstream = await asyncio.open_unix_connection(f"{directory}/.s.PGSQL.{port}")
        else:
            upstream = await asyncio.open_connection(self.parts.hostname, port)
        self.writers += [writer, upstream[1]]
        asked = False

        async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, asks: bool) -> None:
            nonlocal asked
            while chunk := await reader.read(65536):
                await self.flows.wait()
                self.round_trips += asks and not asked
                asked = asks
                writer.write(chunk)
            writer.close()

        ways = copy(reader, upstream[1], asks=True), copy(upstream[0], writer, asks=False)
        await asyncio.gather(*ways, return_exceptions=True)


@asynccontextmanager
async def serve(url: str, **settings: Any) -> AsyncIterator[AsyncClient]:
    """Run the application in this process, with a route `/rows` that needs the database."""
    app = create_app(Settings(database_url=SecretStr(url), **settings))

    @app.get("/rows")
    async def rows(session: Session) -> None:
        await session.execute(text("SELECT 1"))

    transport = ASGITransport(app)
    async with app.router.lifespan_context(app), AsyncClient(transport=transport, base_url="http://service") as client:
        yield client
