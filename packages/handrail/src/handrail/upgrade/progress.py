"""How far a revision came that cannot be one transaction: `autocommit_block` commits what is before it.

Each statement outside of a transaction is recorded in the journal before it runs and after it. When the revision is run
again, what is done is passed over and what was interrupted is looked at, so that it always comes to its end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from handrail.catalog.read import AS_IT_IS
from handrail.errors import EditedRevisionError, MigrationError
from handrail.upgrade.bundle import literal_dialect
from handrail.upgrade.journal import Step
from handrail.upgrade.session import SETTINGS
from handrail.upgrade.unfinished import clear, is_over, runs_alone, waits_harmlessly

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy import Connection

    from handrail.upgrade.bundle import Bundle
    from handrail.upgrade.journal import Journal

WRITES = re.compile(
    r"^\s*(INSERT|UPDATE|DELETE|MERGE|CREATE|ALTER|DROP|TRUNCATE|COPY|WITH\b.*\b(INSERT|UPDATE|DELETE))\b",
    re.IGNORECASE | re.DOTALL,
)


@dataclass
class Running:
    """The revision that is being run.

    Attributes:
        source: What is in its file.
        number: Of its row in the journal, once a part of it is to be committed.
        known: What earlier runs did.
        steps: What is done or begun now, in its order.
        pending: Executed since the last commit, as Alembic was given it.
        position: How many statements it has run.
        own_write: A statement that it ran on op.get_bind(), which cannot be passed over.
    """

    revision: str
    direction: str
    path: Path
    source: bytes
    number: int | None = None
    known: Sequence[Step] = ()
    steps: list[Step] = field(default_factory=list)
    pending: list[tuple[Any, ...]] = field(default_factory=list)
    position: int = 0
    own_write: str | None = None


class Progress:
    """Stands between a revision and the database."""

    def __init__(self, migration: MigrationContext, journal: Journal, bundle: Bundle, *, from_beginning: bool) -> None:
        """Take the place of two functions of Alembic's context, which is thrown away after the command.

        Args:
            migration: The context of the command.
            journal: Where it is recorded.
            bundle: Takes the statements that may run a little later.
            from_beginning: The database had no revision yet, so that nobody's data is at stake.
        """
        self.journal = journal
        self.bundle = bundle
        self.from_beginning = from_beginning
        self.running: Running | None = None
        self._migration = migration
        self._dialect = literal_dialect(migration.dialect)
        self._execute: Callable[..., Any] = migration.impl._exec  # noqa: SLF001 - all of Alembic's operations end there
        self._autocommit_block = migration.autocommit_block
        self._in_block = False
        self._own = False
        migration.impl._exec = self.execute  # type: ignore[method-assign]  # noqa: SLF001
        migration.autocommit_block = self.autocommit_block  # type: ignore[method-assign]
        event.listen(self.connection, "before_cursor_execute", self._notice)

    @property
    def connection(self) -> Connection:
        """The connection on which Alembic runs the revision at this moment."""
        connection = self._migration.connection
        assert connection is not None
        return connection

    def close(self) -> None:
        """Stop looking at the connection, which may be the caller's."""
        event.remove(self.connection, "before_cursor_execute", self._notice)

    def run(self, running: Running, function: Callable[..., None]) -> Callable[..., None]:
        """Return the revision's function, with every statement under our eyes."""

        @wraps(function)  # Alembic logs its name
        def observed(**arguments: Any) -> None:
            self.running = running
            try:
                function(**arguments)
            finally:
                self.running = None

        return observed

    def _notice(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        with self._ours():
            self.bundle.run_now()
        if self.running and not self._own and not self._in_block and WRITES.match(statement):
            self.running.own_write = self.running.own_write or statement

    def execute(
        self,
        construct: Any,
        execution_options: Mapping[str, Any] | None = None,
        multiparams: Sequence[Mapping[str, Any]] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run one statement, unless an earlier run has done so."""
        arguments = (construct, execution_options, multiparams, params or {})
        running = self.running
        if running is None or self._migration.as_sql:
            if running is None and self._bundled(*arguments):
                return None  # the version
            return self._execute(*arguments)
        position, running.position = running.position, running.position + 1
        if position >= len(running.known):
            if self._in_block:
                self._step(running, self.written(arguments), arguments, begun=False)
                return None
            running.pending.append(arguments)
            if self._bundled(*arguments):
                return None
            return self._stock(arguments, self.written(arguments) if _may_validate(construct) else "")
        statement, known = self.written(arguments), running.known[position]
        if statement != known.statement:
            raise EditedRevisionError(self._changed(running, position, known.statement, statement))
        if known.done:
            running.steps.append(known)
        elif self._in_block:
            self._step(running, statement, arguments, begun=True)
        return None

    def record(self, statement: str) -> None:
        """Run a statement of ours as it is, where a revision ends."""
        if self.bundle.holds_back:
            self.bundle.add(statement)
            return
        with self._ours():
            self.connection.exec_driver_sql(statement, execution_options=AS_IT_IS)

    def _bundled(self, *arguments: Any) -> bool:
        with self._ours():
            return self.bundle.take(*arguments)

    def _stock(self, arguments: tuple[Any, ...], statement: str) -> Any:
        unbound = statement and waits_harmlessly(statement) and self.running and len(self.running.pending) <= 1
        with self._unbound() if unbound else nullcontext(), self._ours():
            return self._execute(*arguments)

    @contextmanager
    def _ours(self) -> Iterator[None]:
        self._own, before = True, self._own
        try:
            yield
        finally:
            self._own = before

    @contextmanager
    def _unbound(self) -> Iterator[None]:
        """Let a statement take its time, behind which nobody waits."""
        change = text(
            "SELECT set_config('lock_timeout', :lock, false), set_config('statement_timeout', :statement, false)"
        )
        with self._ours():
            before = self.connection.scalar(text("SELECT current_setting('statement_timeout')"))
            self.connection.execute(change, {"lock": "0", "statement": "0"})
            try:
                yield
            finally:
                # A failed transaction takes the settings back by itself.
                with suppress(DBAPIError):
                    self.connection.execute(change, {"lock": SETTINGS["lock_timeout"], "statement": before})

    @contextmanager
    def autocommit_block(self) -> Iterator[None]:
        """Record what is about to be committed, then let Alembic commit it."""
        running = self.running
        if running is None or self._migration.as_sql:
            with self._autocommit_block():
                yield
            return
        self._refuse_own_writes(running)
        running.steps += [Step(self.written(arguments), done=True) for arguments in running.pending]
        running.pending.clear()
        with self._ours():
            self._record(running)
            with self._autocommit_block():
                self._own, self._in_block = False, True
                try:
                    yield
                finally:
                    self._own, self._in_block = True, False

    def _refuse_own_writes(self, running: Running) -> None:
        if running.own_write is None or self.from_beginning:
            return
        raise MigrationError(
            f"revision {running.revision} ({running.path.name}) was rolled back: before its autocommit_block it writes "
            f"with op.get_bind() ({' '.join(running.own_write.split())[:80]}), and the block would commit that without "
            "the version. If the block failed, the revision could neither be undone nor run again. Put what is before "
            'the block into a revision of its own:  alembic revision -m "..."  or run it with op.execute(...).'
        )

    def _step(self, running: Running, statement: str, arguments: tuple[Any, ...], *, begun: bool) -> None:
        """Run a statement outside of the revision's transaction, so that at any moment it is known how far it came."""
        with self._ours():
            if not runs_alone(statement):
                self._step_in_transaction(running, statement, arguments)
                return
            if begun and is_over(self.connection, statement):
                self._append(running, Step(statement, done=True))
                return
            clear(self.connection, statement)
            self._append(running, Step(statement, done=False))
            try:
                with self._unbound() if waits_harmlessly(statement) else nullcontext():
                    self._execute(*arguments)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    with suppress(DBAPIError):
                        clear(self.connection, statement)
                raise
            running.steps.pop()
            self._append(running, Step(statement, done=True))

    def _step_in_transaction(self, running: Running, statement: str, arguments: tuple[Any, ...]) -> None:
        self.connection.exec_driver_sql("BEGIN")
        try:
            self._execute(*arguments)
            self._append(running, Step(statement, done=True))
            self.connection.exec_driver_sql("COMMIT")
        except BaseException:
            with suppress(DBAPIError):
                self.connection.exec_driver_sql("ROLLBACK")
            raise

    def _append(self, running: Running, step: Step) -> None:
        running.steps.append(step)
        self._record(running)

    def _record(self, running: Running) -> None:
        if running.number is None:
            running.number = self.journal.begin(self.connection, running.revision, running.direction, running.source)
        if running.number is not None:
            # Of an earlier run there may be more than this one has come to again.
            steps = [*running.steps, *running.known[len(running.steps) :]]
            self.journal.progress(self.connection, running.number, steps)

    def written(self, arguments: tuple[Any, ...]) -> str:
        """Return a statement as text, with its parameters; the same whichever driver runs it."""
        construct, _, multiparams, params = arguments
        if isinstance(construct, str):
            construct = text(construct)
        compiled = construct.compile(dialect=self._dialect)
        values = multiparams or params or {}
        return str(compiled).strip() + (f" -- {values!r}" if values else "")

    @staticmethod
    def _changed(running: Running, position: int, before: str, now: str) -> str:
        return (
            f"nothing was changed: revision {running.revision} ({running.path.name}) was interrupted, and its file was "
            f"edited since. Its statement {position + 1} was: {before}  Now it is: {now}  Restore the file (git log -p "
            f"{running.path.name}), run the upgrade to its end, and put the change into a revision of its own."
        )


def _may_validate(construct: object) -> bool:
    """Whether a statement is written as text, as a validation is; the others need no look."""
    return isinstance(construct, str) or getattr(construct, "__visit_name__", "") in ("textclause", "text")
