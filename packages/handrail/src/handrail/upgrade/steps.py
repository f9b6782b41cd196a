"""The steps of one command: one after the other, again where others are in the way, recorded with the version."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic.runtime.migration import RevisionStep
from sqlalchemy.exc import SQLAlchemyError

from handrail.connection import ServerMessage, was_interrupted
from handrail.errors import BusyError, DatabaseUnavailableError, VersionTableError
from handrail.upgrade.bundle import Bundle
from handrail.upgrade.journal import Done
from handrail.upgrade.lost import first_refusal, lost, versions_now
from handrail.upgrade.patience import Patience
from handrail.upgrade.progress import Progress, Running
from handrail.upgrade.session import pid_of
from handrail.upgrade.turn import release
from handrail.upgrade.versions import not_empty
from handrail.upgrade.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alembic.runtime.migration import MigrationContext, MigrationStep
    from sqlalchemy.exc import DBAPIError

    from handrail.upgrade.journal import Entry
    from handrail.upgrade.task import Task
    from handrail.upgrade.turn import Turn

ALREADY_THERE = {"42P07", "42710", "42P06", "42701"}  # table, object, schema, column


class Steps:
    """What an upgrade, downgrade or stamp runs once it is its turn.

    Attributes:
        task: The command.
        held: Its turn.
        patience: With what blocks it.
        running: The revision that is being run, or was last.
        first: Whether the step is the first of all.
        last: Whether it is the last of this command.
        reached: The versions after it, once they are written.
        moved: Whether any step has moved the version.
    """

    def __init__(self, task: Task, held: Turn) -> None:
        """Come between Alembic and each step.

        Args:
            task: The command; it has looked at the database.
            held: Its turn.
        """
        self.task, self.held = task, held
        self.patience = Patience(task.wait_seconds, task.again)
        self.running: Running | None = None
        self.first = self.last = self.moved = False
        self.reached: Sequence[str] = ()
        active = task.command == "upgrade" and not task.versions
        self.bundle = Bundle(task.connection, held.check, active=active)
        self.progress = Progress(task.migration, task.journal, self.bundle, from_beginning=not task.versions)
        application = f"alembic ({task.project.package}), watching"
        self.watch = Watch(task.url, pid_of(task.connection), application)
        self._observe(task.migration)

    def run(self) -> None:
        """Run them, again and again where others are in the way."""
        try:
            with closing(self.progress), self.watch:
                while not self._attempt():
                    pass
        except Exception:
            self._remember()
            raise

    def _attempt(self) -> bool:
        """Run what is left; False when it was blocked and the pause is over."""
        connection = self.task.connection
        try:
            # The rows that a purge deletes are gone with the commit of the new one, not before.
            with connection.begin() if self.task.purges else nullcontext():
                self.task.run()
        except Exception as raised:
            if was_interrupted(raised):
                raise
            blockers, pids = self.watch.blockers, self.watch.pids
            self.watch.step(None)
            error = first_refusal(raised)
            gone = error is not None and (lost(error) or connection.invalidated)
            if not gone and self.bundle.active and not isinstance(raised, BusyError):
                self.bundle.give_up()
                # An invalidated connection would be replaced without a word, by one that has no turn.
                if not connection.invalidated:
                    print("A part of what was sent together was refused; going on one by one.", file=sys.stderr)
                    return False
                gone = True
            if gone:
                self._say_the_truth(error or raised.__cause__ or raised)
                return True
            if error is None:
                raise
            if connection.in_transaction():
                connection.rollback()
            self._refuse_what_is_there(error)
            self.patience.pause_after(error, self.running.revision if self.running else "", blockers, pids)
            return False
        self.watch.step(None)
        return True

    def _observe(self, migration: MigrationContext) -> None:
        plan: Callable[..., Any] = migration.opts["fn"]

        def steps(heads: tuple[str, ...], migration: MigrationContext) -> Iterator[MigrationStep]:
            unfinished = {} if self.task.command == "stamp" else self._unfinished()
            found = list(plan(heads, migration))
            for number, step in enumerate(found, start=1):
                last = number == len(found)
                source = Path(step.revision.path).read_bytes() if isinstance(step, RevisionStep) else b""
                self.bundle.begin(source, last=last)
                self.first, self.last, self.reached = number == 1 and not heads, last, ()
                if isinstance(step, RevisionStep):
                    self._begin(step, source, unfinished, f"{number} of {len(found)}")
                if not self.bundle.holds_back:
                    self.held.check()
                yield step

        migration._migrations_fn = steps  # type: ignore[assignment]  # noqa: SLF001 - where Alembic keeps it
        migration.on_version_apply_callbacks = (*migration.on_version_apply_callbacks, self._applied)

    def _unfinished(self) -> dict[tuple[str, str], Entry]:
        found = self.task.journal.unfinished(self.task.connection)
        release(self.task.connection)
        return {(entry.revision, entry.direction): entry for entry in found}

    def _begin(self, step: RevisionStep, source: bytes, unfinished: dict[tuple[str, str], Entry], count: str) -> None:
        revision, direction = step.revision.revision, "upgrade" if step.is_upgrade else "downgrade"
        if self.running is None or self.running.revision != revision:
            self.patience.progress()
        entry = unfinished.get((revision, direction))
        self.running = Running(revision, direction, Path(step.revision.path), source)
        if entry is not None:
            self.running.number, self.running.known = entry.id, entry.steps
        step.migration_fn = self.progress.run(self.running, step.migration_fn)
        self.watch.step(f"{direction} {revision} ({count})")

    def _applied(self, *, step: Any, heads: set[str], **_: Any) -> None:
        """Record a step, in the transaction that moves the version."""
        self.reached, self.moved = sorted(heads), True
        if self.task.journal.there:
            self._record(heads, None if step.is_stamp else self.running)
        self.bundle.end()

    def _record(self, heads: set[str], running: Running | None) -> None:
        catalog = self.task.catalog() if self.last else None
        if running is not None:
            done = Done(running.revision, running.direction, running.source, self.reached, self.patience.retries,
                        catalog, running.steps)  # fmt: skip
        else:
            done = Done(" ".join(heads) or "base", "stamp", None, self.reached, 0, catalog)
            self.task.journal.give_up(self.progress.connection)
        self.task.journal.finish(self.progress.record, done, running.number if running else None)

    def _remember(self) -> None:
        """After a failure: let the journal know what earlier revisions have made, or that would pass for drift."""
        connection, journal = self.task.connection, self.task.journal
        if not self.moved or not journal.there or connection.invalidated:
            return
        with suppress(SQLAlchemyError):
            if connection.in_transaction():
                connection.rollback()
            with connection.begin():
                journal.remember(connection, self.task.catalog())

    def _refuse_what_is_there(self, error: DBAPIError) -> None:
        message, task = ServerMessage.of(error), self.task
        if message.sqlstate in ALREADY_THERE and self.first and self.running:
            running, heads = self.running, sorted(task.directory.get_heads())
            raise VersionTableError(
                not_empty(task.version_table, running.revision, running.path, message.text, heads)
            ) from error

    def _say_the_truth(self, error: BaseException) -> None:
        """After a lost connection: find out what the server did, and return only when all of it is done."""
        said, task = ServerMessage.of(error).text, self.task
        try:
            application = f"alembic ({task.project.package})"
            versions = versions_now(task.connection, task.url, task.version_table, application)
        except Exception as second:
            raise DatabaseUnavailableError(
                f"the connection was lost during the migration ({said}), and no other could be had to see what was "
                "committed. Run the same command again: it goes on where this one stopped."
            ) from second
        if self.last and sorted(versions) == list(self.reached):
            print(
                f"The connection was lost ({said}), but after the last commit: everything is applied.", file=sys.stderr
            )
            return
        at = " and ".join(versions) or "its beginning"
        raise DatabaseUnavailableError(
            f"the connection was lost during the migration ({said}). The database is at {at}; that was read again just "
            "now. Run the same command again: it goes on from there."
        ) from error
