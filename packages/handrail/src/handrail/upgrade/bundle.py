"""Many revisions in one message to the server, each still a transaction of its own: for a database from its beginning.

Nobody else uses such a database, so nothing is in the way, and most of the time would go into waiting for answers that
say "done". Only a revision that speaks through `op` alone is bundled: it cannot notice that its statements run a little
later. Whatever does not go well is done again one by one, from where the database stands then, with all that is said
about it.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from handrail.catalog.read import AS_IT_IS
from handrail.upgrade.unfinished import runs_alone

if TYPE_CHECKING:
    from sqlalchemy import Connection, Dialect
    from sqlalchemy.sql.elements import ClauseElement

REVISIONS = 50  # in one message
# What a revision may hold of the database beside `op`: op.get_bind(), op.get_context(), a Session(bind=…).
REACHES_DATABASE = re.compile(rb"bind|context|connection|session", re.IGNORECASE)


class NotSentError(Exception):
    """The server did not do all of a bundle."""


class Bundle:
    """What was not sent yet.

    Attributes:
        active: Whether revisions are bundled at all.
    """

    def __init__(self, connection: Connection, check: Callable[[], None], *, active: bool) -> None:
        """Begin with nothing.

        Args:
            connection: On which the revisions run.
            check: Makes sure that it is still our turn; called before anything is sent.
            active: Whether to bundle.
        """
        self.active = active
        self._connection, self._check = connection, check
        self._dialect = literal_dialect(connection.dialect) if active else connection.dialect
        self._complete: list[str] = []
        self._current: list[str] | None = None

    @property
    def holds_back(self) -> bool:
        """Whether the statements of the revision that has begun are not run yet."""
        return self._current is not None

    def begin(self, path: Path, *, last: bool) -> None:
        """Begin a revision. The last one is never bundled, because the catalog after it is recorded with it."""
        bundled = self.active and not last and not REACHES_DATABASE.search(path.read_bytes())
        if not bundled:
            self.send()
        self._current = [] if bundled else None

    def take(self, construct: ClauseElement | str, *rest: object) -> bool:
        """Take a statement; when it cannot wait, all that was taken is run, and the answer is False."""
        if self._current is None:
            return False
        statement = None if any(rest) else self._written(construct)
        if statement is None or runs_alone(statement):
            self.run_now()
            return False
        self.add(statement)
        return True

    def add(self, statement: str) -> None:
        """Take a statement that is written out."""
        assert self._current is not None
        # A comment at its end would hide the semicolon.
        self._current.append(f"{statement}\n;")

    def end(self) -> None:
        """End the revision, with its version and its row of the journal."""
        if self._current is None:
            return
        self._complete.append(f"BEGIN;{''.join(self._current)}COMMIT;")
        self._current = None
        if len(self._complete) >= REVISIONS:
            self.send()

    def run_now(self) -> None:
        """Run the part of a revision that was taken, in the transaction that is open for it."""
        if self._current is None:
            return
        statements, self._current = self._current, None
        self.send()
        for statement in statements:
            self._connection.exec_driver_sql(statement, execution_options=AS_IT_IS)

    def send(self) -> None:
        """Send the complete revisions.

        Raises:
            NotSentError: The server refused one, or is gone; those before it are applied.
        """
        if not self._complete:
            return
        self._check()
        message = "".join(self._complete)
        self._complete.clear()
        try:
            send(self._connection, message)
        except Exception as error:
            raise NotSentError from error

    def give_up(self) -> None:
        """Forget what was not sent, and bundle no more."""
        self.active, self._current = False, None
        self._complete.clear()
        with suppress(SQLAlchemyError):
            if self._connection.in_transaction():
                self._connection.rollback()
        # What is left of a refused message; a connection that is gone shows itself with the next statement.
        with suppress(Exception):
            send(self._connection, "ROLLBACK")

    def _written(self, construct: ClauseElement | str) -> str | None:
        try:
            compiled = (text(construct) if isinstance(construct, str) else construct).compile(
                dialect=self._dialect, compile_kwargs={"literal_binds": True}
            )
        except Exception:  # noqa: BLE001 - a value that cannot be written out; then it is not
            return None
        return str(compiled).strip()


def literal_dialect(dialect: Dialect) -> Dialect:
    """Return the dialect for statements without parameters, in which a % is not doubled."""
    changed: Any = copy.copy(dialect)
    changed.paramstyle, changed.positional = "named", False
    changed.identifier_preparer = changed.preparer(changed)
    return changed  # type: ignore[no-any-return]


def send(connection: Connection, message: str) -> None:
    """Send statements in one message of the simple protocol, in which they may hold BEGIN and COMMIT."""
    adapted: Any = connection.connection.dbapi_connection
    if hasattr(adapted, "run_async"):
        adapted.run_async(lambda driver: driver.execute(message))
        return
    from psycopg.pq import ExecStatus

    result = adapted.pgconn.exec_(message.encode(adapted.info.encoding))
    if result.status not in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
        raise ConnectionError(result.get_error_message())
