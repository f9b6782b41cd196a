"""Many revisions in one message to the server, each still a transaction of its own: for a database from its beginning.

Nobody else uses such a database, so nothing is in the way, and most of the time would go into waiting for answers that
say "done". Only a revision that speaks through `op` alone is bundled: it cannot notice that its statements run a little
later. Whatever does not go well is done again one by one, from where the database stands then, with all that is said
about it.

Their commits do not wait for the disk one by one: the last revision of the command does, and with it all before it.
After a crash of the server the database may be some revisions back, and whole, as after any other interruption.
"""

from __future__ import annotations

import asyncio
import copy
import re
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import Update, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BinaryExpression

from handrail.catalog.read import AS_IT_IS
from handrail.upgrade.unfinished import runs_alone

if TYPE_CHECKING:
    from sqlalchemy import Connection, Dialect
    from sqlalchemy.sql.elements import ClauseElement

REVISIONS = 50  # in one message
BEGIN = "BEGIN;SET LOCAL synchronous_commit = off;"
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
        self._answer: Callable[[], None] | None = None  # waits for the one to what was sent last

    @property
    def holds_back(self) -> bool:
        """Whether the statements of the revision that has begun are not run yet."""
        return self._current is not None

    def begin(self, source: bytes, *, last: bool) -> None:
        """Begin a revision. The last one is never bundled, because the catalog after it is recorded with it."""
        bundled = self.active and not last and not REACHES_DATABASE.search(source)
        if not bundled:
            self.send()
            self.wait()
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
        self._complete.append(f"{BEGIN}{''.join(self._current)}COMMIT;")
        self._current = None
        if len(self._complete) >= REVISIONS:
            self.send()

    def run_now(self) -> None:
        """Run the part of a revision that was taken, in the transaction that is open for it."""
        self.wait()
        if self._current is None:
            return
        statements, self._current = self._current, None
        self.send()
        self.wait()
        for statement in statements:
            self._connection.exec_driver_sql(statement, execution_options=AS_IT_IS)

    def send(self) -> None:
        """Send the complete revisions, and go on while the server is at work on them.

        Raises:
            NotSentError: The server refused one that was sent before, or is gone; those before it are applied.
        """
        if not self._complete:
            return
        self.wait()
        self._check()
        message = "".join(self._complete)
        self._complete.clear()
        try:
            self._answer = send(self._connection, message)
        except Exception as error:
            raise NotSentError from error

    def wait(self) -> None:
        """Wait until what was sent is done.

        Raises:
            NotSentError: The server refused a revision, or is gone; those before it are applied.
        """
        if self._answer is None:
            return
        answer, self._answer = self._answer, None
        try:
            answer()
        except Exception as error:
            raise NotSentError from error

    def give_up(self) -> None:
        """Forget what was not sent, and bundle no more."""
        self.active, self._current = False, None
        self._complete.clear()
        with suppress(NotSentError):
            self.wait()
        with suppress(SQLAlchemyError):
            if self._connection.in_transaction():
                self._connection.rollback()
        # What is left of a refused message; a connection that is gone shows itself with the next statement.
        with suppress(Exception):
            send(self._connection, "ROLLBACK")()

    def _written(self, construct: ClauseElement | str) -> str | None:
        if isinstance(construct, Update) and (moved := version_move(construct, self._dialect)):
            return moved
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


def version_move(construct: Update, dialect: Dialect) -> str | None:
    """Return Alembic's statement that moves the version, which would take longer to compile than all of its revision.

    None for any other UPDATE: this one sets and asks for one column, with both values written out.
    """
    values: Any = construct._values  # noqa: SLF001 - what it sets is nowhere public
    where: Any = construct.whereclause
    if len(values or ()) != 1 or not isinstance(where, BinaryExpression) or where.operator is not operators.eq:
        return None
    [(key, value)] = values.items()
    table: Any = construct.table
    column = where.left
    if table.c.get(key) is not column or not all(getattr(side, "is_literal", False) for side in (value, where.right)):
        return None
    preparer = dialect.identifier_preparer
    name = preparer.quote(column.name)
    said = f"{name} = {value.name} WHERE {name} = {where.right.name}"
    return f"UPDATE {preparer.format_table(table)} SET {said}"  # noqa: S608 - names are quoted, values as Alembic has them


def send(connection: Connection, message: str) -> Callable[[], None]:
    """Send statements in one message of the simple protocol, in which they may hold BEGIN and COMMIT.

    Returns:
        What waits for the answer, and raises when it is an error. psycopg has waited for it already: it would take a
        connection that still works for one with a transaction that is to be ended.
    """
    adapted: Any = connection.connection.dbapi_connection
    if hasattr(adapted, "run_async"):
        answer = adapted.run_async(lambda driver: begun(driver.execute(message)))
        return lambda: adapted.run_async(lambda _: answer)
    from psycopg.pq import ExecStatus

    result = adapted.pgconn.exec_(message.encode(adapted.info.encoding))
    if result.status not in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
        raise ConnectionError(result.get_error_message())
    return lambda: None


async def begun(sending: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
    """Hand a message to the network, and return what ends with its answer."""
    task = asyncio.create_task(sending)
    # After Ctrl-C nobody may ask for the answer any more; asyncio would print the error that it is.
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.sleep(0)
    return task
