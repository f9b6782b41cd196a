"""A real database, the real application, and an HTTP client for it.

`database` comes from handrail's pytest plugin: the URL of a database that belongs to this test process, at the newest
revision, and without rows when a test begins. Tests may commit.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from cable import Cable
from fastapi import FastAPI
from handrail.scratch import ScratchServer
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.main import create_app

ROLE = Path(__file__).parent.parent / "docs" / "role.sql"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many requests were made up from the OpenAPI document."""
    reports = [report for kind in terminalreporter.stats.values() for report in kind]
    calls = [report for report in reports if getattr(report, "when", "") == "call"]  # the teardown repeats them
    properties = [pair for report in calls for pair in report.user_properties]
    if requests := sum(value for name, value in properties if name == "requests"):
        terminalreporter.write_line(f"{requests:,} requests were made up from the OpenAPI document.")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def mails_stay_in_the_outbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests read them there, however long they take."""
    monkeypatch.setattr("app.main.MAIL_SECONDS", 3600)


def _as_plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def role(handrail_scratch: ScratchServer, handrail_database: str) -> Iterator[str]:
    """A role that docs/role.sql has made: as in production, the service cannot change tables."""
    name = f"{handrail_database}_service"
    with psycopg.connect(_as_plain(handrail_scratch.url_of(handrail_database)), autocommit=True) as connection:
        connection.execute(ROLE.read_text(encoding="utf-8").replace(':"role"', f'"{name}"').encode())
        connection.execute(f"ALTER ROLE \"{name}\" PASSWORD '{name}'".encode())
        yield name
        connection.execute(f'DROP OWNED BY "{name}"; DROP ROLE "{name}"'.encode())


@pytest.fixture
def service_url(database: str, role: str) -> str:
    """The database as the service's role sees it."""
    return make_url(database).set(username=role, password=role).render_as_string(hide_password=False)


@pytest.fixture
async def app(service_url: str) -> AsyncIterator[FastAPI]:
    """The application, started. A test may add routes of its own to it."""
    app = create_app(Settings(database_url=SecretStr(service_url)))
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
