"""What whoever runs the service asks: does the process live, and may it get requests."""

import asyncio
import logging
from functools import cache
from pathlib import Path

import asyncpg
from fastapi import APIRouter, Request
from sqlalchemy import String, column, select, table, text

from app.config import ROOT
from app.database import Lookup, Lookups
from app.errors import Problem, problems, sqlstate
from app.models import SCHEMA

log = logging.getLogger(__name__)

router = APIRouter(prefix="/health", tags=["health"])

DEADLINE = 1.5  # seconds
VERSION_TABLE, JOURNAL = (f'"{SCHEMA}".{name}' for name in ("alembic_version", "handrail_journal"))
EDITED = "The database was changed by hand: `handrail drift` shows it, and both ways out."
VERSIONS = Lookup(select(column("version_num", String)).select_from(table("alembic_version", schema=SCHEMA)))
# The newest entry of these kinds lists what was changed by hand since the last migration.
KINDS = "('drift', 'revert', 'baseline')"
EDITS = Lookup(text(f"SELECT steps FROM {JOURNAL} WHERE direction IN {KINDS} ORDER BY id DESC LIMIT 1"))  # noqa: S608


@router.get("/live")
async def live() -> dict[str, str]:
    """The process answers. Whether it can reach the database plays no part: a restart would not help."""
    return {"status": "alive"}


@router.get("/ready", responses=problems(503))
async def ready(request: Request) -> dict[str, str]:
    """The database answers, and is at the revision that this code was written for."""
    lookups, drift = request.app.state.health, request.app.state.settings.drift
    current = frozenset(await _fetch(lookups, VERSIONS, VERSION_TABLE))
    heads, known = await asyncio.to_thread(_shipped_revisions, ROOT)
    at, needed = (", ".join(sorted(revisions)) or "none" for revisions in (current, heads))
    if not current <= known:
        detail = f"The database is at {at}, which this code does not know; it needs {needed}."
        raise Problem(503, detail, title="Database ahead")
    if current != heads:
        detail = f"The database is at {at}, needed is {needed}: run `alembic upgrade head`."
        raise Problem(503, detail, title="Database behind")
    if drift != "off" and any(steps != "[]" for steps in await _fetch(lookups, EDITS, JOURNAL)):
        if drift == "fail":
            raise Problem(503, EDITED, title="Database edited")
        log.warning("ready, but: %s", EDITED)
    return {"status": "ready"}


async def _fetch(lookups: Lookups, lookup: Lookup, asked: str) -> list[str]:
    try:
        async with asyncio.timeout(DEADLINE):
            return [value for (value,) in await lookups.fetch(lookup)]
    except (asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError, OSError) as error:
        if sqlstate(error) == "42P01":
            detail = f"There is no table {asked}: run `alembic upgrade head`."
            raise Problem(503, detail, title="Database not migrated") from error
        log.warning("not ready: %s: %s", type(error).__name__, error)
        raise Problem(503, "The database cannot be used; the log says why.", title="Database unavailable") from error


@cache
def _shipped_revisions(root: Path) -> tuple[frozenset[str], frozenset[str]]:
    """Return the head revisions of the migration scripts beside this code, and all that lead to them."""
    # Imported here because only this question needs Alembic, and starting the service should not wait for it.
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    try:
        scripts = ScriptDirectory.from_config(Config(root / "alembic.ini"))
        return frozenset(scripts.get_heads()), frozenset(script.revision for script in scripts.walk_revisions())
    except CommandError as error:
        detail = "The migration scripts (alembic.ini and alembic/) are not beside this code, or not in order."
        raise Problem(503, detail, title="Migrations missing") from error
    except (Exception, SystemExit) as error:  # a revision is code: it can fail in any way
        log.warning("not ready: a migration script cannot be imported", exc_info=error)
        detail = f"A migration script beside this code cannot be imported: {type(error).__name__}."
        raise Problem(503, detail, title="Migrations broken") from error
