"""Whether there is nothing to upgrade: one query, by a process that imports neither SQLAlchemy nor the models.

Only a clear yes counts. Whatever else there is to say (the server is down, a file was edited, the version table is
missing), `alembic upgrade` finds out again and says it.
"""

from __future__ import annotations

import importlib.util
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from handrail.config import JOURNAL
from handrail.dsn import for_asyncpg
from handrail.quoting import literal, quoted
from handrail.revisions import newest, scripts
from handrail.upgrade.invalid import INVALID
from handrail.version_table import schema_of_version_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handrail.config import Project
    from handrail.revisions import Script

CONNECT_SECONDS = 3  # whoever waits longer, waits with `alembic upgrade`
QUERY = """
    SELECT json_build_object(
        'versions', (SELECT json_agg(version_num) FROM {versions}),
        'invalid', (SELECT count(*) FROM ({invalid}) AS invalid),
        'unfinished', (SELECT count(*) FROM {journal} WHERE finished_at IS NULL),
        'applied', (SELECT json_object_agg(revision, script_sha256) FROM (
            SELECT DISTINCT ON (revision) revision, script_sha256 FROM {journal}
            WHERE direction IN ('upgrade', 'accept') AND code_sha256 IS NOT NULL ORDER BY revision, id DESC
        ) AS latest)
    )::text
"""


def is_at_head(project: Project, url: str) -> str | None:
    """Return the revision at which database and code are, when all is well there; None in every other case.

    Args:
        project: Its settings.
        url: Of the database, as people write it.
    """
    schema, files = schema_of_version_table(project), scripts(project)
    if schema is None or files is None or len(newest(files)) != 1:
        return None
    try:
        answer = json.loads(ask(url, query(project, schema), f"handrail upgrade ({project.package})"))
    except Exception:  # noqa: BLE001 - a driver's errors; whatever this one means, Alembic meets it again and explains it
        return None
    (head,) = newest(files)
    well = answer["versions"] == [head] and not answer["invalid"] and not answer["unfinished"]
    return head if well and unedited(files, answer["applied"] or {}) else None


def unedited(files: Sequence[Script], applied: dict[str, str]) -> bool:
    """Whether every file is to the letter what was applied."""
    return all(applied.get(file.revision, file.sha256) == file.sha256 for file in files)


def query(project: Project, schema: str) -> str:
    """Return the one question."""
    prefix = f"{quoted(schema)}." if schema else ""
    return QUERY.format(
        versions=prefix + quoted(project.version_table),
        journal=prefix + JOURNAL,
        invalid=INVALID.replace(":schema", literal(schema) if schema else "current_schema()"),
    )


def ask(url: str, question: str, application: str) -> str:
    """Run a query through the driver that the URL means, and return its one value."""
    scheme, _, rest = url.partition("://")
    backend, _, driver = scheme.partition("+")
    parts = urlsplit(f"postgresql://{rest}")
    if backend not in ("postgresql", "postgres") or parts.fragment or "@" in parts.path or not parts.path.strip("/"):
        raise ValueError(scheme)
    if not driver:
        driver = "asyncpg" if importlib.util.find_spec("asyncpg") else "psycopg"
    return {"asyncpg": with_asyncpg, "psycopg": with_psycopg}[driver](parts.geturl(), question, application)


def with_asyncpg(url: str, question: str, application: str) -> str:
    """Ask through asyncpg."""
    import asyncio

    import asyncpg

    async def fetch() -> Any:
        connection = await asyncpg.connect(
            for_asyncpg(url), timeout=CONNECT_SECONDS, server_settings={"application_name": application}
        )
        try:
            return await connection.fetchval(question)
        finally:
            await connection.close()

    return str(asyncio.run(fetch()))


def with_psycopg(url: str, question: str, application: str) -> str:
    """Ask through psycopg."""
    import psycopg

    with psycopg.connect(
        url, autocommit=True, connect_timeout=CONNECT_SECONDS, application_name=application
    ) as connection:
        row = connection.execute(question.encode()).fetchone()
    return str(row and row[0])
