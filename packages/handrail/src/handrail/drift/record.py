"""Leave in the journal what was found, where a service can read it that knows nothing of catalogs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handrail.connection import INSUFFICIENT_PRIVILEGE, ServerMessage, quoted, with_connection
from handrail.errors import AccessDeniedError, VersionTableError
from handrail.upgrade.journal import Done, Journal, Step
from handrail.upgrade.session import refuse_read_only

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from handrail.drift.find import Place
    from handrail.upgrade.drift import Drift

TELLS = "direction IN ('drift', 'revert', 'baseline')"  # of which the newest entry names what is edited


def record(place: Place, found: Drift) -> bool:
    """Add an entry to the journal, unless its newest one says the same; return whether one was added.

    Raises:
        VersionTableError: There is no journal.
        AccessDeniedError: The role may not write there.
        ReadOnlyError: Nobody may, as on a standby.
    """
    since = found.since
    if since is None:
        raise VersionTableError(
            "nothing was recorded: this database has no journal yet. It begins with:  handrail baseline"
        )
    journal = Journal(place.schema, place.project.version)
    names = [str(difference.name) for difference in found.differences]

    def work(connection: Connection) -> bool:
        with connection.begin():
            journal.look(connection)
            told = journal.entries(connection, TELLS)[-1:]
            if {step.statement for entry in told for step in entry.steps} == set(names):
                return False
            refuse_read_only(connection)
            steps = [Step(name, done=False) for name in names]
            done = Done(" ".join(found.revisions), "drift", None, place.revisions, steps=steps, started=since)
            journal.note(connection, done)
        return True

    try:
        return with_connection(place.url, work, application="handrail drift")
    except Exception as error:
        if ServerMessage.of(error).sqlstate != INSUFFICIENT_PRIVILEGE:
            raise
        role = quoted(place.url.username or "")
        raise AccessDeniedError(
            f"nothing was recorded: the role {role} may not write to the journal. Let the owner run: "
            f"GRANT INSERT ON {journal.table} TO {role};"
        ) from error
