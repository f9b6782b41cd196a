"""Drift said in one line, where somebody is doing something else: never in the way, and never a fault."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from handrail.catalog.words import in_words
from handrail.connection import with_connection
from handrail.drift.find import against_history, place_of
from handrail.errors import HandrailError
from handrail.upgrade.drift import Drift, drift
from handrail.upgrade.journal import Done, Journal, Step
from handrail.upgrade.standing import schema_of
from handrail.upgrade.touched import since

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from sqlalchemy import URL, Connection

    from handrail.config import Project
    from handrail.drift.find import Place


def mention_drift(project: Project, url: URL) -> None:
    """Say on standard error when a database was changed by hand, which autogenerate does not look at."""

    def look(connection: Connection) -> Drift | None:
        journal = Journal(schema_of(connection, project))
        journal.look(connection)
        return drift(connection, journal, project.version_table, project.tolerated, whole=False)

    try:
        found = with_connection(url, look, application="handrail drift")
    except (HandrailError, DBAPIError, OSError):
        return  # the revisions are compared with the models, not with this database
    if found is not None and found.differences:
        print(
            f"Your database was changed by hand since {since(found)} ({len(in_words(found.differences))} things). That "
            "is no part of this revision: `handrail drift` shows it.",
            file=sys.stderr,
        )


def warn_of_lie(project: Project, config: Config, directory: ScriptDirectory, url: URL) -> None:
    """Say on standard error when a database that was stamped does not hold what these revisions create.

    Needs an EnvironmentContext around.
    """
    try:
        place = with_connection(
            url, lambda opened: place_of(opened, project, config, directory, url), application="handrail drift"
        )
        found = against_history(place) if place.revisions else None
    except (HandrailError, DBAPIError, OSError) as error:
        print(f"Not verified that the database is at this revision: {error}", file=sys.stderr)
        return
    if found is not None and found.differences:
        with_connection(url, lambda opened: note_lie(opened, place, found), application="handrail drift")
        lines = "".join(f"    {line}\n" for line in in_words(found.differences))
        print(
            f"WARNING: the version table now says {' '.join(place.revisions)}, but the database does not hold what the "
            f"revisions create:\n{lines}  Stamping runs nothing. If that was not meant, stamp the revision at which it "
            "really is. `handrail status` says so until a stamp is true; `handrail baseline` refuses to record a lie.",
            file=sys.stderr,
        )


def note_lie(connection: Connection, place: Place, found: Drift) -> None:
    """Let the journal know what is not as the stamp says: from its snapshot on nobody would see it any more."""
    journal = Journal(place.schema, place.project.version)
    steps = [Step(str(difference.name), done=False) for difference in found.differences]
    done = Done(" ".join(place.revisions), "untrue", None, place.revisions, steps=steps)
    with connection.begin():
        journal.look(connection)
        journal.note(connection, done)
