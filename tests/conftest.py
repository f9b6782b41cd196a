"""A real database, the real application, and an HTTP client for it.

`database` comes from handrail's pytest plugin: the URL of a database that belongs to this test process, at the newest
revision, and without rows when a test begins. Tests may commit.
"""

from collections.abc import AsyncIterator

import pytest
from cable import Cable
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.main import create_app


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def mails_stay_in_the_outbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests read them there, however long they take."""
    monkeypatch.setattr("app.main.MAIL_SECONDS", 3600)


@pytest.fixture
async def app(database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    """The application, started. A test may add routes of its own to it. Mails stay in the outbox."""
    monkeypatch.setattr("app.main.MAIL_SECONDS", 3600)
    app = create_app(Settings(database_url=SecretStr(database)))
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """An HTTP client. A fault of the application is raised in the test, and not answered with status 500."""
    async with AsyncClient(transport=ASGITransport(app), base_url="http://service") as client:
        yield client


@pytest.fixture
async def session(app: FastAPI) -> AsyncIterator[AsyncSession]:
    """A session beside those of the requests, to prepare rows and to look at what requests left."""
    async with app.state.sessions() as session:
        yield session


@pytest.fixture
async def cable(database: str) -> AsyncIterator[Cable]:
    cable = Cable(database)
    await cable.plug()
    yield cable
    await cable.pull()
