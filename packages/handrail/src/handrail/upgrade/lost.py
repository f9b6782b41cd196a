"""A connection that was lost on the way: how one tells, and what the server did all the same."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from handrail.connection import ServerMessage, with_connection
from handrail.errors import BusyError
from handrail.upgrade.turn import key_of, obtain
from handrail.upgrade.versions import rows

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

# admin_shutdown, crash_shutdown, cannot_connect_now, idle_in_transaction_session_timeout
CUT_OFF = {"57P01", "57P02", "57P03", "25P03"}
TRUTH_SECONDS = 20.0  # within which the server has noticed that the connection is lost


def first_refusal(raised: BaseException) -> DBAPIError | None:
    """Return what the database said first: what is raised in the end may come from the attempt to tidy up after it."""
    found = None
    error: BaseException | None = raised if isinstance(raised, SQLAlchemyError) else None
    while error is not None:
        found = error if isinstance(error, DBAPIError) else found
        error = error.__context__
    return found


def lost(error: DBAPIError) -> bool:
    """Whether the error means that the connection is gone."""
    sqlstate = ServerMessage.of(error).sqlstate or ""
    return error.connection_invalidated or sqlstate in CUT_OFF or sqlstate.startswith("08")


def versions_now(connection: Connection, url: URL | None, version_table: str, application: str) -> list[str]:
    """Return the rows of the version table over a new connection, once the lost session can change nothing any more.

    Args:
        connection: The lost one.
        url: Of the database; None when only the engine of the connection can open another.
        version_table: Its name in SQL.
        application: What the new connection is called on the server.
    """

    def ask(opened: Connection) -> list[str]:
        # As long as the server has not noticed, it may still commit.
        try:
            deadline = time.monotonic() + TRUTH_SECONDS
            obtain(
                opened, key_of(version_table, "work"), deadline, TRUTH_SECONDS, "the server still has our lost session"
            )
        except BusyError:
            pass
        return rows(opened, version_table)

    if url is not None:
        return with_connection(url, ask, application=application)
    with connection.engine.connect() as opened:
        return ask(opened)
