"""Whether there is nothing to upgrade: one query, by a process that imports neither SQLAlchemy nor the models.

Only a clear yes counts. Whatever else there is to say (the server is down, a file was edited, the version table is
missing), `alembic upgrade` finds out again and says it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from handrail.ask import ask
from handrail.config import JOURNAL
from handrail.quoting import literal
from handrail.revisions import newest, scripts
from handrail.upgrade.invalid import INVALID
from handrail.version_table import name_in_sql, schema_of_version_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handrail.config import Project
    from handrail.revisions import Script

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
    return QUERY.format(
        versions=name_in_sql(schema, project.version_table),
        journal=name_in_sql(schema, JOURNAL),
        invalid=INVALID.replace(":schema", literal(schema) if schema else "current_schema()"),
    )
