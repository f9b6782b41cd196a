"""What the next upgrade of a database would do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic.script.revision import RevisionError

from handrail.errors import HeadsError, VersionTableError
from handrail.gate import created_again, review_on
from handrail.heads import unclear
from handrail.upgrade.interrupted import refuse_half_done
from handrail.upgrade.standing import recorded
from handrail.upgrade.versions import check_versions, not_empty

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection

    from handrail.config import Project
    from handrail.review import Reviewed


def pending(
    connection: Connection, project: Project, config: Config, directory: ScriptDirectory, target: str = "heads"
) -> list[Reviewed]:
    """Review the revisions that are not applied to this database, with its own sizes; it is only read.

    Args:
        connection: To the database.
        project: Its settings.
        config: Alembic's configuration.
        directory: The revisions.
        target: Up to which revision.

    Raises:
        HandrailError: What the upgrade itself would say about version table, target, or tables without a version.
    """
    # Not even sizes are to be had of a table that somebody changes; `handrail status` names who.
    connection.exec_driver_sql("SET lock_timeout = '1s'")
    found = recorded(connection, project)
    check_versions(found.versions, directory, found.table, found.entries)
    refuse_half_done("upgrade", found.entries, found.versions)
    try:
        steps = list(directory.iterate_revisions(target, tuple(found.versions) or "base", implicit_base=True))
    except RevisionError as error:
        raise HeadsError(unclear(directory, error)) from error
    paths = [Path(script.path) for script in reversed(steps)]
    if steps and not found.versions and not any(entry.finished_at is None for entry in found.entries):
        # The first one decides, as in the upgrade: what a later one meets is no matter of the version table.
        again = created_again(paths[0], connection, project, config, directory)
        if again:
            said, heads = f'relation "{again[0].name}" already exists', sorted(directory.get_heads())
            raise VersionTableError(not_empty(found.table, steps[-1].revision, paths[0], said, heads))
    return [reviewed for _, reviewed in review_on(paths, connection, project, config, directory)]
