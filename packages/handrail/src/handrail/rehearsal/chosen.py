"""Which revisions are rehearsed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic.util import CommandError

from handrail.configuration import database_of
from handrail.connection import with_connection
from handrail.errors import HandrailError, HeadsError
from handrail.upgrade.standing import schema_of
from handrail.upgrade.versions import applied, rows
from handrail.version_table import name_in_sql

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import Script, ScriptDirectory
    from sqlalchemy import Connection

    from handrail.config import Project


def named(directory: ScriptDirectory, text: str) -> list[Script]:
    """Return the revisions of `REVISION`, or of `A:B` those after A up to B, the oldest first.

    Raises:
        HeadsError: There is no such revision, or it is not clear which one is meant.
    """
    first, colon, last = text.partition(":")
    try:
        if colon:
            return list(directory.iterate_revisions(last or "heads", first or "base"))[::-1]
        return list(directory.get_revisions(text))
    except CommandError as error:
        raise HeadsError(f"nothing was rehearsed: {error}. What there is: alembic history") from error


def pending(project: Project, config: Config, directory: ScriptDirectory) -> list[Script]:
    """Return the revisions that the development database does not have yet, the oldest first; else the newest.

    A database that has none at all says nothing: the whole history would have to be rehearsed.
    """
    done = applied(directory, _versions(project, config))
    ahead = [script for script in directory.walk_revisions() if script.revision not in done][::-1]
    return ahead if done and ahead else list(directory.get_revisions("heads"))[:1]


def _versions(project: Project, config: Config) -> list[str]:
    def look(connection: Connection) -> list[str]:
        return rows(connection, name_in_sql(schema_of(connection, project), project.version_table))

    try:
        return with_connection(database_of(project, config), look, application="handrail rehearse")
    except HandrailError:
        return []  # there is none, or it does not answer: what is newest is meant
