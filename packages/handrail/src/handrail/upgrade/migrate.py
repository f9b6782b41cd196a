"""Run revisions: look, take the turn, do one after the other, and say what is true at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic.runtime.migration import RevisionStep
from alembic.util import CommandError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from handrail.catalog import Catalog, Kind
from handrail.connection import INSUFFICIENT_PRIVILEGE, ServerMessage, quoted
from handrail.errors import BusyError, DatabaseUnavailableError, HeadsError, InvalidIndexError, VersionTableError
from handrail.heads import unclear
from handrail.ownership import create_schema
from handrail.upgrade.bundle import Bundle
from handrail.upgrade.drift import Drift, drift
from handrail.upgrade.invalid import INVALID
from handrail.upgrade.journal import Done, Journal, Step
from handrail.upgrade.lost import first_refusal, lost, versions_now
from handrail.upgrade.patience import Patience
from handrail.upgrade.progress import Progress, Running
from handrail.upgrade.session import considerate, pid_of, refuse_pooler, refuse_read_only, refuse_wrong_role
from handrail.upgrade.touched import Pending, refuse_touched
from handrail.upgrade.turn import Turn, release, turn
from handrail.upgrade.versions import check_versions, name_of, refuse_edited, rows
from handrail.upgrade.watch import Watch

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext, MigrationStep
    from alembic.script import ScriptDirectory
    from sqlalchemy import URL, Connection

    from handrail.config import Project
    from handrail.review import Reviewed
    from handrail.upgrade.journal import Entry

ALREADY_THERE = {"42P07", "42710", "42P06", "42701"}  # table, object, schema, column


@dataclass
class Upgrade:
    """One `alembic upgrade`, `downgrade` or `stamp`.

    Attributes:
        migration: Alembic's context of the command.
        connection: On which it runs; no transaction is open.
        project: Its settings.
        directory: The revision files.
        command: `upgrade`, `downgrade` or `stamp`.
        schema: Where version table and journal are.
        run: Lets Alembic do its work.
        url: Of the database; None on a connection that was handed over.
        wait_seconds: For others, in all.
        accepted: Revisions of which an edit is declared to be meant.
        keep_drift: Manual edits of what the revisions touch are no reason to stop.
    """

    migration: MigrationContext
    connection: Connection
    project: Project
    directory: ScriptDirectory
    command: str
    schema: str
    run: Callable[[], None]
    url: URL | None
    wait_seconds: float
    accepted: Sequence[str] = ()
    keep_drift: bool = False
    reviews: Sequence[Reviewed] = field(default=(), init=False)  # of what is pending
    drift: Drift | None = field(default=None, init=False)
    settled: set[str] = field(default_factory=set, init=False)
    journal: Journal = field(init=False)
    versions: list[str] = field(default_factory=list, init=False)
    entries: list[Entry] = field(default_factory=list, init=False)
    running: Running | None = field(default=None, init=False)
    patience: Patience = field(init=False)
    first: bool = field(default=False, init=False)  # whether the step is the first of all, and
    last: bool = field(default=False, init=False)  # whether it is the last of this command
    reached: Sequence[str] = field(default=(), init=False)  # by it, once its version is written
    moved: bool = field(default=False, init=False)  # by any step
    progress: Progress = field(init=False)

    def __post_init__(self) -> None:
        self.journal = Journal(self.schema, self.project.version)
        self.patience = Patience(self.wait_seconds)

    @property
    def version_table(self) -> str:
        """Its name in SQL."""
        return name_of(self.schema, self.project.version_table)

    def look(self) -> list[MigrationStep]:
        """Read where the database stands, make sure that it can be believed, and return what is to be done."""
        self.read()
        if self.command != "stamp":
            check_versions(self.versions, self.directory, self.version_table, self.entries)
        try:
            return list(self.migration.opts["fn"](tuple(self.versions), self.migration))
        except CommandError as error:
            raise HeadsError(unclear(self.directory, error)) from error

    def read(self) -> None:
        """Read version table and journal."""
        with self.connection.begin():
            # One snapshot: between two questions another process may have moved the version, and journalled it.
            self.connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            self.versions = rows(self.connection, self.version_table)
            self.journal.look(self.connection)
            self.entries = self.journal.entries(self.connection)

    def migrate(self) -> None:
        """Do what the command asks for."""
        steps = self.look()
        edited = self._refuse_edited()
        if not steps and self.versions and not edited:
            self.run()  # says what Alembic says when there is nothing to do
            self.refuse_invalid_indexes()
            return
        with self.connection.begin():
            refuse_read_only(self.connection)
            refuse_wrong_role(self.connection, self.project.expect_role)
        with considerate(self.connection), self.keeper() as keeper:
            if keeper is not self.connection:
                refuse_pooler(self.connection, keeper)
            with turn(self.connection, keeper, self.version_table, self.wait_seconds) as held:
                self.prepare()
                before = self.versions
                self.read()
                if self.versions != before:  # somebody else was here while we waited
                    steps = self.look()
                self._review(steps)
                self._accept(self._refuse_edited())
                self._refuse_drift(steps)
                self.go(held)
        self.refuse_invalid_indexes()

    def _refuse_edited(self) -> list[str]:
        if self.command == "stamp":
            return []
        return refuse_edited(self.versions, self.directory, self.entries, self.accepted, self.project.root)

    def _review(self, steps: Sequence[MigrationStep]) -> None:
        """Let what is pending through the gate; a database from its beginning has nothing to lose."""
        if self.command == "upgrade" and self.versions:
            # It brings a whole parser of SQL along.
            import click

            from handrail.gate import pass_gate
            from handrail.report.plan import as_plan

            assert self.migration.config is not None
            paths = [Path(step.revision.path) for step in steps if isinstance(step, RevisionStep)]
            with self.connection.begin():
                self.reviews = pass_gate(paths, self.connection, self.project, self.migration.config, self.directory)
            if sys.stderr.isatty():
                click.echo(f"{as_plan(self.reviews)}\n", err=True)

    def _refuse_drift(self, steps: Sequence[MigrationStep]) -> None:
        with self.connection.begin():
            self.drift = drift(
                self.connection, self.journal, self.project.version_table, self.project.tolerated, whole=False
            )
        if self.drift is not None and self.command != "stamp":
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

    def _catalog(self) -> Catalog:
        """Return what the database should be from now on: what it is, but for what was changed by hand before."""
        schemas: set[str] = {schema for schema in self.migration.opts.get("handrail_schemas", ()) if schema}
        schemas |= {name.name for name, _ in self.drift.expected.of_kind(Kind.SCHEMA)} if self.drift else set()
        now = self.journal.catalog_now(self.connection, self.project.version_table, schemas)
        return self.drift.carried(now, self.settled) if self.drift else now

    def _accept(self, edited: Sequence[str]) -> None:
        with self.connection.begin():
            for revision in edited:
                source = Path(self.directory.get_revision(revision).path).read_bytes()
                self.journal.note(self.connection, Done(revision, "accept", source, self.versions))

    @contextmanager
    def keeper(self) -> Iterator[Connection]:
        """Yield the session that holds the turn: one of its own, or ours where there is no way to open another."""
        if self.url is None:
            yield self.connection
            return
        keeper = self.connection.engine.connect()
        try:
            yield keeper.execution_options(isolation_level="AUTOCOMMIT")
        finally:
            keeper.close()

    def prepare(self) -> None:
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

    def go(self, held: Turn) -> None:
        """Run the revisions, again and again where others are in the way."""
        bundle = Bundle(self.connection, held.check, active=self.command == "upgrade" and not self.versions)
        progress = Progress(self.migration, self.journal, bundle, from_beginning=not self.versions)
        self.progress = progress
        self.observe(held, progress)
        pid = pid_of(self.connection)
        try:
            with closing(progress), Watch(self.url, pid, f"alembic ({self.project.package}), watching") as watch:
                self.watch = watch
                while not self.attempt():
                    pass
        except Exception:
            self._remember()
            raise

    def _remember(self) -> None:
        """After a failure: let the journal know what earlier revisions have made, or that would pass for drift."""
        if not self.moved or not self.journal.there or self.connection.invalidated:
            return
        with suppress(SQLAlchemyError):
            if self.connection.in_transaction():
                self.connection.rollback()
            with self.connection.begin():
                self.journal.remember(self.connection, self._catalog())

    def attempt(self) -> bool:
        """Run what is left; False when it was blocked and the pause is over."""
        try:
            self.run()
        except Exception as raised:
            blockers = self.watch.blockers
            self.watch.step(None)
            error = first_refusal(raised)
            gone = error is not None and (lost(error) or self.connection.invalidated)
            if not gone and self.progress.bundle.active and not isinstance(raised, BusyError):
                self.progress.bundle.give_up()
                # An invalidated connection would be replaced without a word, by one that has no turn.
                if not self.connection.invalidated:
                    return False
                gone = True
            if gone:
                self.say_the_truth(error or raised.__cause__ or raised)
                return True
            if error is None:
                raise
            if self.connection.in_transaction():
                self.connection.rollback()
            self._refuse_what_is_there(error)
            self.patience.pause_after(error, self.running.revision if self.running else "", blockers)
            return False
        self.watch.step(None)
        return True

    def _refuse_what_is_there(self, error: DBAPIError) -> None:
        message = ServerMessage.of(error)
        if message.sqlstate in ALREADY_THERE and self.first and self.running:
            heads = sorted(self.directory.get_heads())
            record = f"handrail baseline {heads[0]}" if len(heads) == 1 else f"alembic stamp {' '.join(heads)}"
            raise VersionTableError(
                f"nothing was changed: the version table {self.version_table} is empty, so revision "
                f"{self.running.revision} ({self.running.path.name}) was to be the first, but the database is not "
                f"empty: {message.text}. If it has another version table, name that in pyproject.toml "
                "(version_table, version_table_schema in [tool.handrail]). If it holds what the revisions create, up "
                f"to one of them: {record}  If it holds something else, use another database."
            ) from error

    def observe(self, held: Turn, progress: Progress) -> None:
        """Come between Alembic and each step."""
        plan: Callable[..., Any] = self.migration.opts["fn"]

        def steps(heads: tuple[str, ...], migration: MigrationContext) -> Iterator[MigrationStep]:
            unfinished = {} if self.command == "stamp" else self._unfinished()
            found = list(plan(heads, migration))
            for number, step in enumerate(found, start=1):
                last = number == len(found)
                source = Path(step.revision.path).read_bytes() if isinstance(step, RevisionStep) else b""
                progress.bundle.begin(source, last=last)
                self.first, self.last, self.reached = number == 1 and not heads, last, ()
                if isinstance(step, RevisionStep):
                    self._begin(step, source, unfinished, progress, f"{number} of {len(found)}")
                if not progress.bundle.holds_back:
                    held.check()
                yield step

        self.migration._migrations_fn = steps  # type: ignore[assignment]  # noqa: SLF001 - where Alembic keeps it
        self.migration.on_version_apply_callbacks = (*self.migration.on_version_apply_callbacks, self.applied)

    def _unfinished(self) -> dict[tuple[str, str], Entry]:
        found = self.journal.unfinished(self.connection)
        release(self.connection)
        return {(entry.revision, entry.direction): entry for entry in found}

    def _begin(
        self,
        step: RevisionStep,
        source: bytes,
        unfinished: dict[tuple[str, str], Entry],
        progress: Progress,
        count: str,
    ) -> None:
        revision, direction = step.revision.revision, "upgrade" if step.is_upgrade else "downgrade"
        if self.running is None or self.running.revision != revision:
            self.patience.progress()
        entry = unfinished.get((revision, direction))
        self.running = Running(revision, direction, Path(step.revision.path), source)
        if entry is not None:
            self.running.number, self.running.known = entry.id, entry.steps
        step.migration_fn = progress.run(self.running, step.migration_fn)
        self.watch.step(f"{direction} {revision} ({count})")

    def applied(self, *, step: Any, heads: set[str], **_: Any) -> None:
        """Record a step, in the transaction that moves the version."""
        self.reached, self.moved = sorted(heads), True
        if self.journal.there:
            self._record(heads, None if step.is_stamp else self.running)
        self.progress.bundle.end()

    def _record(self, heads: set[str], running: Running | None) -> None:
        catalog = self._catalog() if self.last else None
        if running is not None:
            done = Done(running.revision, running.direction, running.source, self.reached, self.patience.retries,
                        catalog, running.steps)  # fmt: skip
        else:
            done = Done(" ".join(heads) or "base", "stamp", None, self.reached, 0, catalog)
        self.journal.finish(self.progress.record, done, running.number if running else None)

    def say_the_truth(self, error: BaseException) -> None:
        """After a lost connection: find out what the server did, and return only when all of it is done."""
        said = ServerMessage.of(error).text
        try:
            versions = versions_now(self.connection, self.url, self.version_table, f"alembic ({self.project.package})")
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

    def refuse_invalid_indexes(self) -> None:
        """Raise InvalidIndexError rather than end well with an index that nobody can use."""
        with self.connection.begin() if not self.connection.in_transaction() else nullcontext():
            invalid = self.connection.scalars(text(INVALID), {"schema": self.schema}).all()
        if invalid and self.command == "upgrade":
            raise InvalidIndexError(
                f"all revisions are applied, but {', '.join(invalid)} is INVALID: a build failed, no query uses it, "
                f"and every write still maintains it. Build it again: REINDEX INDEX CONCURRENTLY {invalid[0]};  or "
                f"drop it: DROP INDEX CONCURRENTLY {invalid[0]};"
            )
