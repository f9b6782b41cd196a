import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cable import Cable, serve
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy import text

from app import health
from app.config import ROOT, Settings
from app.database import create_engine
from app.main import create_app
from app.models import SCHEMA

VERSIONS = f'"{SCHEMA}".alembic_version'


async def readiness(url: str, **settings: str) -> tuple[int, str, str]:
    """Return status, title and detail of the answer of a service on this database."""
    async with serve(url, **settings) as client:
        answer = await client.get("/health/ready")
    problem = answer.json()
    return answer.status_code, problem.get("title", ""), problem.get("detail", "")


async def note(url: str, revisions: Sequence[str]) -> None:
    """Write Alembic's version table into an empty database."""
    engine = create_engine(url, pool_size=1)
    async with engine.begin() as connection:
        await connection.execute(text(f'CREATE SCHEMA "{SCHEMA}"'))
        await connection.execute(text(f"CREATE TABLE {VERSIONS} (version_num varchar PRIMARY KEY)"))
        for revision in revisions:
            await connection.execute(text(f"INSERT INTO {VERSIONS} VALUES (:revision)"), {"revision": revision})
    await engine.dispose()


@pytest.fixture
def revisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the code ship two revisions, "old" and then "new", whatever the project's own are."""
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s\npath_separator = os\n")
    (tmp_path / "versions").mkdir()
    for revision, parent in (("old", None), ("new", "old")):
        script = f"revision = {revision!r}\ndown_revision = {parent!r}\n"
        (tmp_path / "versions" / f"{revision}.py").write_text(script)
    monkeypatch.setattr(health, "ROOT", tmp_path)


async def test_live(client: AsyncClient) -> None:
    """A process that answers is alive."""
    assert (await client.get("/health/live")).status_code == 200


async def test_ready(client: AsyncClient) -> None:
    """After `alembic upgrade head` the service is ready."""
    answer = await client.get("/health/ready")

    assert answer.status_code == 200, answer.text


async def test_asking_for_the_first_time_writes_nothing_into_the_log(database: str) -> None:
    """Alembic, which is imported for it, would list its parts."""
    script = "from app import health, logs; logs.configure('production'); health._shipped_revisions(health.ROOT)"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script), cwd=ROOT, env=os.environ | {"DATABASE_URL": database}, stderr=PIPE
    )

    assert (await process.communicate())[1] == b""


@pytest.mark.parametrize("at", ["nothing", "behind", "head", "ahead"])
async def test_alembic_says_the_same(empty_database: str, at: str) -> None:
    """`alembic current --check-heads` succeeds exactly where the service is ready, for scripts that cannot ask it."""
    heads, shipped = health._shipped_revisions(ROOT)
    if at != "nothing":
        await note(empty_database, {"behind": sorted(shipped - heads)[:1], "head": [*heads], "ahead": ["later"]}[at])

    alembic = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "alembic", "current", "--check-heads"),
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": empty_database},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    exit_code = await alembic.wait()

    assert (exit_code == 0) == ((await readiness(empty_database))[0] == 200) == (at == "head")


@pytest.mark.usefixtures("revisions")
async def test_at_the_head(empty_database: str) -> None:
    """Ready means that the database is at the newest revision that the code ships."""
    await note(empty_database, ["new"])

    assert await readiness(empty_database) == (200, "", "")


async def test_not_migrated(empty_database: str) -> None:
    """A database that Alembic has never seen is named as such, with the command that helps."""
    detail = f"There is no table {VERSIONS}: run `alembic upgrade head`."

    assert await readiness(empty_database) == (503, "Database not migrated", detail)


@pytest.mark.usefixtures("revisions")
@pytest.mark.parametrize(("noted", "at"), [([], "none"), (["old"], "old")])
async def test_behind(empty_database: str, noted: list[str], at: str) -> None:
    """A database that misses a revision is told where it is, and where it has to be."""
    await note(empty_database, noted)
    detail = f"The database is at {at}, needed is new: run `alembic upgrade head`."

    assert await readiness(empty_database) == (503, "Database behind", detail)


@pytest.mark.usefixtures("revisions")
async def test_ahead(empty_database: str) -> None:
    """A database at a revision that the code does not know is not for this code."""
    await note(empty_database, ["newer"])
    detail = "The database is at newer, which this code does not know; it needs new."

    assert await readiness(empty_database) == (503, "Database ahead", detail)


async def test_edited_by_hand(database: str, caplog: pytest.LogCaptureFixture) -> None:
    """What `handrail drift --record` has found counts as much as the setting says, and only as long as it is there."""
    entry = (
        f'INSERT INTO "{SCHEMA}".handrail_journal (revision, direction, steps, started_at, host) '
        "VALUES ('x', :direction, :steps, now(), 'here')"
    )
    engine = create_engine(database, pool_size=1)

    async def found(steps: str, direction: str = "drift") -> None:
        async with engine.begin() as connection:
            await connection.execute(text(entry), {"steps": steps, "direction": direction})

    assert await readiness(database, drift="fail") == (200, "", "")
    await found('[["table users", false]]')
    assert await readiness(database) == (200, "", "")
    assert "changed by hand" not in caplog.text
    assert await readiness(database, drift="warn") == (200, "", "")
    assert "ready, but: The database was changed by hand" in caplog.text
    assert await readiness(database, drift="fail") == (503, "Database edited", health.EDITED)
    for direction in ("drift", "revert", "baseline"):
        await found("[]", direction)
        await found('[["a migration", false]]', "upgrade")
        assert await readiness(database, drift="fail") == (200, "", ""), direction
        await found('[["table users", false]]')
        assert (await readiness(database, drift="fail"))[0] == 503
    await engine.dispose()


async def test_no_such_database(empty_database: str, caplog: pytest.LogCaptureFixture) -> None:
    """A server without our database is not the same as no server: the log tells."""
    url = urlsplit(empty_database)._replace(path="/nowhere").geturl()

    assert (await readiness(url))[:2] == (503, "Database unavailable")
    assert "does not exist" in caplog.text


async def test_migrations_not_shipped(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment that forgot the migrations cannot know whether it is ready, and says so."""
    monkeypatch.setattr(health, "ROOT", tmp_path)

    assert (await readiness(database))[:2] == (503, "Migrations missing")


@pytest.mark.usefixtures("revisions")
@pytest.mark.parametrize(
    ("script", "cause"),
    [("import secret", "ModuleNotFoundError"), ("(secret", "SyntaxError"), ("exit('secret')", "SystemExit")],
)
async def test_broken_migration(script: str, cause: str, empty_database: str, tmp_path: Path) -> None:
    """A revision that cannot be imported leaves open what the code needs; the answer has the kind of its fault only."""
    await note(empty_database, ["new"])
    (tmp_path / "versions" / "broken.py").write_text(script)
    detail = f"A migration script beside this code cannot be imported: {cause}."

    assert await readiness(empty_database) == (503, "Migrations broken", detail)


@pytest.mark.parametrize("url", ["postgresql://ada:secret@127.0.0.1:1/name", "postgresql:///name?host=/nowhere"])
async def test_unreachable(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Without a server the service starts and lives, and tells that it is not ready without telling where it looked."""
    async with serve(url) as client:
        assert (await client.get("/health/live")).status_code == 200
        ready, data = await client.get("/health/ready"), await client.get("/rows")

    assert (ready.status_code, ready.json()["title"]) == (503, "Database unavailable")
    assert (data.status_code, data.json()["title"]) == (503, "Service unavailable")
    assert all(answer.headers["retry-after"] for answer in (ready, data))
    for word in ("127.0.0.1", "nowhere", "ada", "secret"):
        assert word not in ready.text + data.text
    assert "secret" not in caplog.text


async def test_outage(cable: Cable) -> None:
    """When the server goes away and comes back, so does the service, without a restart."""
    paths = "/health/live", "/health/ready", "/rows"
    async with serve(cable.url) as client:
        before = [(await client.get(path)).status_code for path in paths]
        await cable.pull()
        during = [(await client.get(path)).status_code for path in paths]
        await cable.plug()
        after = [(await client.get(path)).status_code for path in paths]

    assert (before, during, after) == ([200, 200, 200], [200, 503, 503], [200, 200, 200])


async def test_a_busy_pool_is_ready(database: str) -> None:
    """That all connections are in use does not take the service out of rotation."""
    app = create_app(Settings(database_url=SecretStr(database), database_pool_size=1))
    async with app.router.lifespan_context(app), app.state.sessions() as session:
        await session.execute(text("SELECT 1"))  # takes the only connection
        while app.state.lookups._free.qsize():
            app.state.lookups._free.get_nowait()
        async with AsyncClient(transport=ASGITransport(app), base_url="http://service") as client:
            assert (await client.get("/health/ready")).status_code == 200
