"""What `alembic upgrade`, `downgrade` and `stamp` do: look, take the turn, review, run the steps, look again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from alembic.runtime.migration import RevisionStep
from alembic.util import CommandError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from handrail.connection import INSUFFICIENT_PRIVILEGE, ServerMessage, quoted, translated_connect_errors
from handrail.errors import DatabaseUnavailableError, HeadsError
from handrail.heads import unclear
from handrail.ownership import create_schema
from handrail.upgrade.drift import Drift, drift
from handrail.upgrade.interrupted import refuse_half_done
from handrail.upgrade.invalid import INVALID, refuse_invalid
from handrail.upgrade.journal import Done, Step
from handrail.upgrade.patience import BLOCKED, Patience
from handrail.upgrade.session import considerate, refuse_pooler, refuse_read_only, refuse_wrong_role
from handrail.upgrade.steps import Steps
from handrail.upgrade.task import Task
from handrail.upgrade.turn import release, turn
from handrail.upgrade.versions import check_versions, refuse_edited
from handrail.upgrade.watch import holders

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationStep
    from sqlalchemy import Connection

    from handrail.review import Reviewed


@dataclass
class Upgrade(Task):
    """What the command does.

    Attributes:
        reviews: Of what is pending.
    """

    reviews: Sequence[Reviewed] = field(default=(), init=False)

    def _look(self) -> list[MigrationStep]:
        """Read where the database stands, make sure that it can be believed, and return what is to be done."""
        self.read()
        if not self.purges:
            stamped = self.command == "stamp"
            check_versions(self.versions, self.directory, self.version_table, self.entries, stamped=stamped)
        try:
            return list(self.migration.opts["fn"](() if self.purges else tuple(self.versions), self.migration))
        except CommandError as error:
            raise HeadsError(unclear(self.directory, error)) from error

    def migrate(self) -> None:
        """Do what the command asks for."""
        steps = self._look()
        edited = self._refuse_edited()
        if not steps and self.versions and not edited and not self._settles():
            refuse_half_done(self.command, self.entries, self.versions)
            self.run()  # says what Alembic says when there is nothing to do
            self._refuse_invalid_indexes()
            return
        with self.connection.begin():
            refuse_read_only(self.connection)
            refuse_wrong_role(self.connection, self.project.expect_role)
        with considerate(self.connection), self._keeper() as keeper:
            if keeper is not self.connection:
                refuse_pooler(self.connection, keeper)
            with turn(self.connection, keeper, self.version_table, self.wait_seconds, self.again) as held:
                self._prepare()
                before = self.versions
                self.read()
                if self.versions != before:  # somebody else was here while we waited
                    steps = self._look()
                refuse_half_done(self.command, self.entries, self.versions)
                self._patiently(steps, self._review)
                self._accept(self._refuse_edited())
                self._patiently(steps, self._refuse_drift)
                Steps(self, held).run()
                if self.command == "stamp" and not steps:
                    self._patiently(steps, self._note_stamp)
        self._refuse_invalid_indexes()

    def _settles(self) -> bool:
        """Whether it is a stamp that changes more than the version."""
        interrupted = any(entry.finished_at is None for entry in self.entries)
        return self.purges or (self.command == "stamp" and interrupted)

    def _patiently(self, steps: Sequence[MigrationStep], look: Callable[[Sequence[MigrationStep]], None]) -> None:
        """Look at the tables, again where somebody holds one; what was not looked at may not be changed."""
        patience = Patience(self.wait_seconds, self.again)
        revisions = [step.revision.revision for step in steps if isinstance(step, RevisionStep)]
        while True:
            try:
                return look(steps)
            except DBAPIError as error:
                if ServerMessage.of(error).sqlstate not in BLOCKED:
                    raise
                if self.connection.in_transaction():
                    self.connection.rollback()
                with self.connection.begin():
                    blockers, pids = holders(self.connection)
                patience.pause_after(error, " ".join(revisions[:1]), blockers, pids)

    def _note_stamp(self, _steps: Sequence[MigrationStep]) -> None:
        """Record a stamp for which Alembic has nothing to do."""
        versions = [] if self.purges else self.versions
        release(self.connection)
        with self.connection.begin():
            done = Done(" ".join(versions) or "base", "stamp", None, versions, catalog=self.catalog())
            self.journal.give_up(self.connection)
            self.journal.note(self.connection, done)

    def _refuse_edited(self) -> list[str]:
        if self.command == "stamp":
            return []
        return refuse_edited(self.versions, self.directory, self.entries, self.accepted, self.project.root)

    def _review(self, steps: Sequence[MigrationStep]) -> None:
        """Let what is pending through the gate; a database from its beginning has nothing to lose."""
        scripts = [step.revision for step in steps if isinstance(step, RevisionStep)]
        if self.command == "upgrade" and not self.versions and scripts and sys.stderr.isatty():
            # Without their statements: to find out takes longer than to run them, and nobody waits for these.
            ends = " to ".join(dict.fromkeys(script.revision for script in (scripts[0], scripts[-1])))
            print(f"Revisions from the beginning: {len(scripts)}, {ends}\n", file=sys.stderr)
        if self.command == "upgrade" and self.versions:
            # It brings a whole parser of SQL along.
            import click

            from handrail.gate import pass_gate
            from handrail.report.plan import as_plan

            assert self.migration.config is not None
            paths = [Path(script.path) for script in scripts]
            release(self.connection)
            self.reviews = pass_gate(paths, self.connection, self.project, self.migration.config, self.directory)
            if sys.stderr.isatty():
                click.echo(f"{as_plan(self.reviews)}\n", err=True)

    def _refuse_drift(self, steps: Sequence[MigrationStep]) -> None:
        with self.connection.begin():
            self.drift = drift(
                self.connection, self.journal, self.project.version_table, self.project.tolerated, whole=False
            )
        if self.drift is not None and self.command != "stamp":
            # Brings the parser, too, which whatever is at head does without.
            from handrail.upgrade.touched import Pending, refuse_touched

            known = {reviewed.revision: reviewed for reviewed in self.reviews}
            revisions = [step.revision for step in steps if isinstance(step, RevisionStep)]
            pending = [Pending.of(Path(script.path), known.get(script.revision)) for script in revisions]
            keep = self.keep_drift or self.command == "downgrade"
            self.settled = refuse_touched(self.drift, pending, keep=keep)
            self._pass_by(self.drift)

    def _pass_by(self, found: Drift) -> None:
        """Let the journal know which edits were there before this migration, and since when."""
        if not found.differences or found.since is None:
            return
        names = [str(difference.name) for difference in found.differences]
        steps = [Step(name, done=False) for name in names if name not in self.settled]
        done = Done(" ".join(found.revisions), "drift", None, self.versions, steps=steps, started=found.since)
        with self.connection.begin():
            self.journal.note(self.connection, done)

    def _accept(self, edited: Sequence[str]) -> None:
        with self.connection.begin():
            for revision in edited:
                source = Path(self.directory.get_revision(revision).path).read_bytes()
                self.journal.note(self.connection, Done(revision, "accept", source, self.versions))

    @contextmanager
    def _keeper(self) -> Iterator[Connection]:
        """Yield the session that holds the turn: one of its own, or ours where there is no way to open another."""
        if self.url is None:
            yield self.connection
            return
        try:
            with translated_connect_errors(self.url):
                keeper = self.connection.engine.connect()
        except DatabaseUnavailableError as error:
            raise DatabaseUnavailableError(
                f"nothing was changed: a migration needs a second connection, which holds its turn, and {error}"
            ) from error
        try:
            yield keeper.execution_options(isolation_level="AUTOCOMMIT")
        finally:
            keeper.close()

    def _prepare(self) -> None:
        """Create what records how far the database is."""
        with self.connection.begin():
            create_schema(self.connection, self.schema)
        try:
            with self.connection.begin():
                self.journal.create(self.connection)
        except DBAPIError as error:
            if ServerMessage.of(error).sqlstate != INSUFFICIENT_PRIVILEGE:
                raise
            print(
                f"There is no journal: the role may not create {self.journal.table}. Let an administrator run: "
                f"GRANT CREATE ON SCHEMA {quoted(self.schema)} TO {quoted(self.connection.engine.url.username or '')};",
                file=sys.stderr,
            )

    def _refuse_invalid_indexes(self) -> None:
        """Do not end well with an index that nobody can use."""
        if self.command != "upgrade":
            return
        with self.connection.begin() if not self.connection.in_transaction() else nullcontext():
            invalid = self.connection.scalars(text(INVALID), {"schema": self.schema}).all()
            unfinished = self.journal.unfinished(self.connection) if invalid else ()
        refuse_invalid(invalid, unfinished)
