"""Take over a database that came about in another way: verify that it is what the revisions create, then record it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic import command
from alembic.runtime.environment import EnvironmentContext
from alembic.util import CommandError

from handrail.catalog.words import in_words
from handrail.connection import with_connection
from handrail.drift.find import against_history, place_of
from handrail.errors import DriftError, HeadsError
from handrail.upgrade.journal import Done, Journal
from handrail.upgrade.session import refuse_read_only, refuse_wrong_role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from sqlalchemy import URL, Connection

    from handrail.config import Project
    from handrail.drift.find import Place


def baseline(project: Project, config: Config, directory: ScriptDirectory, url: URL, revision: str) -> list[str]:
    """Verify a database, stamp it, and begin its journal; return the revisions that it is at.

    Raises:
        HeadsError: There is no such revision, or more than one.
        AccessDeniedError: It is another role than `expect_role`.
        DriftError: The database is something else; nothing was recorded.
    """
    revisions = resolved(directory, revision)

    def look(connection: Connection) -> Place:
        refuse_read_only(connection)
        refuse_wrong_role(connection, project.expect_role)  # whose the version table and the journal would be
        return place_of(connection, project, config, directory, url)

    place = with_connection(url, look, application="handrail baseline")
    with EnvironmentContext(config, directory):
        found = against_history(place, revisions)
    if found.differences:
        raise DriftError(
            f"nothing was recorded: the database is not what the revisions up to {' '.join(revisions)} create "
            "(+ only in the database, - missing there, ~ not the same):\n"
            + "".join(f"    {line}\n" for line in in_words(found.differences))
            + "  Bring it there by hand, name the revision that it is really at (handrail baseline <revision>), or "
            "allow a difference with its reason in [tool.handrail.drift]."
        )
    if sorted(place.revisions) != sorted(revisions):
        command.stamp(config, revisions[0], purge=bool(place.revisions))
    with_connection(url, lambda opened: record(opened, place, revisions), application="handrail baseline")
    return list(revisions)


def resolved(directory: ScriptDirectory, revision: str) -> Sequence[str]:
    """Return the full name of a revision."""
    try:
        found = directory.get_revisions(revision)
    except CommandError as error:
        raise HeadsError(f"nothing was recorded: {error}. What there is:  alembic history") from error
    names = [script.revision for script in found]
    if len(names) != 1:
        raise HeadsError(
            f"nothing was recorded: {revision} is {'no revision' if not names else ' and '.join(names)}; name one."
        )
    return names


def record(connection: Connection, place: Place, revisions: Sequence[str]) -> None:
    """Write the journal's row, with what the database holds."""
    journal = Journal(place.schema, place.project.version)
    with connection.begin():
        journal.create(connection)
        catalog = journal.catalog_now(connection, place.project.version_table)
        journal.note(connection, Done(" ".join(revisions), "baseline", None, list(revisions), catalog=catalog))
