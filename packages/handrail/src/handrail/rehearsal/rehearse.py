"""Run revisions up, down and up again on a throwaway database, one after the other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.runtime.environment import EnvironmentContext
from alembic.util import CommandError, to_tuple
from sqlalchemy.exc import DBAPIError

from handrail.catalog import Kind, Name
from handrail.config import JOURNAL
from handrail.configuration import script_folders
from handrail.discovery import load_metadata
from handrail.errors import HandrailError, MigrationError, ServerError
from handrail.history import history_database, history_server, on_throwaway
from handrail.measure import Contents, watched
from handrail.place import place_of_error
from handrail.rehearsal.clone import clone
from handrail.rehearsal.filled import Filled, filled_copy
from handrail.rehearsal.load import load_on
from handrail.rehearsal.outcome import Rehearsal, Run, Way
from handrail.rehearsal.restored import State, missing_values, schema_differences
from handrail.rehearsal.rows import fill
from handrail.rehearsal.watchdog import TimedOut, time_limit
from handrail.schema_file import NAME_ONE, NO_SERVER
from handrail.upgrade.versions import rows
from handrail.version_table import name_in_sql

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.config import Config
    from alembic.script import Script, ScriptDirectory
    from sqlalchemy import URL, Connection

    from handrail.config import Project
    from handrail.effects import Relation
    from handrail.scratch import ScratchServer


@dataclass(frozen=True)
class Stage:
    """Where it is rehearsed.

    Attributes:
        project: Whose revisions.
        config: Alembic's.
        directory: The revisions.
        rows: How many rows each table is given.
        original: A database of which a copy is used instead; None for made-up rows.
        seconds: After that time a revision is stopped.
        under_load: Whether others read and write in its tables during the second upgrade.
    """

    project: Project
    config: Config
    directory: ScriptDirectory
    rows: int = 1000
    original: URL | None = None
    seconds: float = 60.0
    under_load: bool = False

    @property
    def schema(self) -> str:
        """Where the version table is."""
        return self.project.version_table_schema or load_metadata(self.project).schema or "public"

    @property
    def ours(self) -> list[Name]:
        """What is no matter of the revisions: the version table, the journal, and the schema that is made for them."""
        return [
            Name(Kind.TABLE, self.schema, "", self.project.version_table),
            Name(Kind.TABLE, self.schema, "", JOURNAL),
            Name(Kind.SCHEMA, "", "", self.schema),
        ]

    @property
    def folders(self) -> list[Path]:
        """The folders of the revision files."""
        return script_folders(self.directory)

    def in_words(self, error: Exception) -> str:
        """Return what the code of a revision has raised, and where."""
        place = place_of_error(error, self.folders)
        return f"{place.shown(self.project.root) + ': ' if place else ''}{type(error).__name__}: {error}"


def rehearse(stage: Stage, scripts: Sequence[Script]) -> list[Rehearsal]:
    """Rehearse revisions in their order, and leave no database behind.

    Raises:
        HandrailError: There is no server for it, the revisions before the first one do not run there, or the original
            cannot be copied.
    """
    if not scripts:
        return []
    with EnvironmentContext(stage.config, stage.directory), history_server(stage.project) as server:
        if server is None:
            raise ServerError(NO_SERVER + NAME_ONE)
        with _database(stage, server, _parents(scripts[0])) as (database, problems):
            found: list[Rehearsal] = []

            def work(connection: Connection) -> None:
                connection.exec_driver_sql("SET jit = off")  # our own questions are long, and each is asked once
                connection.commit()
                _Rehearser(stage, server, database, connection, found, problems).rehearse_all(scripts)

            try:
                on_throwaway(server, database, stage.config, work, application="handrail rehearse")
            except (KeyboardInterrupt, DBAPIError, HandrailError, CommandError):
                # A revision that was stopped takes the connection with it; everything else is not its fault.
                if not found or not found[-1].runs or not found[-1].runs[-1].failure:
                    raise
            return found


def _parents(script: Script) -> tuple[str, ...]:
    return (*to_tuple(script.down_revision, ()), *to_tuple(script.dependencies, ()))


@contextmanager
def _database(stage: Stage, server: ScratchServer, parents: Sequence[str]) -> Iterator[Filled]:
    """Yield a database that is at the parents of the first revision."""
    if stage.original is not None:
        filled = Filled(clone(stage.original, server), [])
    else:
        table = f"{stage.schema}.{stage.project.version_table}"
        try:
            history = history_database(server, stage.config, stage.project, table, parents)
        except (CommandError, HandrailError, DBAPIError):
            raise
        except Exception as error:  # whatever the code of a revision raises
            raise MigrationError(
                f"a revision before it cannot be run, so there is nothing to begin with: {stage.in_words(error)}"
            ) from error
        filled = filled_copy(server, history, stage.project, stage.rows, stage.ours)
    try:
        yield filled
    finally:
        server.drop(filled.database)


class _Rehearser:
    """Rehearses on one connection."""

    def __init__(
        self,
        stage: Stage,
        server: ScratchServer,
        database: str,
        connection: Connection,
        found: list[Rehearsal],
        problems: list[str] | None,
    ) -> None:
        self.stage, self.server, self.connection, self.found = stage, server, connection, found
        self.url = server.url.set(database=database)
        self.problems = problems  # of the rows that are there; None when there are none yet
        self.contents: dict[int, Contents] = {}

    def rehearse_all(self, scripts: Sequence[Script]) -> None:
        """Rehearse until one fails in a way that leaves nothing to go on from."""
        self._go_to(scripts[0])
        for script in scripts:
            rehearsal = Rehearsal(script.revision, script.doc, Path(script.path))
            self.found.append(rehearsal)
            self._fill(rehearsal, first=script is scripts[0])
            self._rehearse(rehearsal, script)
            if script.revision not in self._versions():
                return

    def _go_to(self, script: Script) -> None:
        """Bring a database to the state before a revision: a copy may be behind, and a history was perhaps in use."""
        versions = self._versions()
        below = self.stage.directory.iterate_revisions(tuple(versions), "base") if versions else ()
        applied = {script.revision for script in below}
        if script.revision in applied:
            raise HandrailError(
                f"{script.revision} is already applied in the database that was to be copied, so it cannot be "
                "rehearsed with its rows. Copy a database from before it, or leave out --from: then rows are made up."
            )
        for parent in _parents(script):
            if parent not in applied:
                command.upgrade(self.stage.config, parent)

    def _versions(self) -> list[str]:
        found = rows(self.connection, name_in_sql(self.stage.schema, self.stage.project.version_table))
        self.connection.rollback()
        return found

    def _fill(self, rehearsal: Rehearsal, *, first: bool) -> None:
        if first and self.problems is not None:
            rehearsal.problems = self.problems
        elif self.stage.original is None:
            rehearsal.problems = fill(self.connection, self.stage.rows, self.stage.ours).in_words
            self.contents.clear()

    def _rehearse(self, rehearsal: Rehearsal, script: Script) -> None:
        before = self._state()
        rehearsal.rows = sum(held.rows for held in before.tables.values())
        if self._run(rehearsal, Way.UP, script.revision):
            return
        first = self._state()
        # Where it follows none, only it goes: what it needs may be on another branch.
        below, *_ = (*to_tuple(script.down_revision, ()), f"{script.revision}@-1")
        if self._run(rehearsal, Way.DOWN, below):
            return
        after = self._state()
        rehearsal.not_restored = [*schema_differences(before, after), *missing_values(before, after)]
        again = self._run_under_load if self.stage.under_load else self._run
        if not again(rehearsal, Way.AGAIN, script.revision):
            rehearsal.differs = schema_differences(first, self._state())

    def _state(self) -> State:
        return State.of(self.connection, self.stage.ours, self.contents)

    def _run(self, rehearsal: Rehearsal, way: Way, revision: str) -> str:
        """Run the revision in one direction; return why that failed, or nothing."""
        run = Run(way)
        rehearsal.runs.append(run)
        with watched(
            self.connection, folders=self.stage.folders, server=self.server.url, contents=self.contents
        ) as measured:
            try:
                self._attempt(run, revision)
            finally:
                run.statements = [m for m in measured if m.place is not None]
                run.seconds = sum(m.seconds for m in run.statements)
        if run.failure:
            self.contents.clear()  # what was seen was rolled back
        return run.failure

    def _run_under_load(self, rehearsal: Rehearsal, way: Way, revision: str) -> str:
        """Run it while others read and write. What we ask in between would make them wait, so nothing is measured."""
        run = Run(way)
        rehearsal.runs.append(run)
        touched = self._touched(rehearsal)
        self.contents.clear()
        with load_on(self.url, touched) as rehearsal.stalls:
            began = time.perf_counter()
            self._attempt(run, revision)
            run.seconds = time.perf_counter() - began
        return run.failure

    def _touched(self, rehearsal: Rehearsal) -> list[Relation]:
        """Return the tables that the first upgrade has locked, as far as they are there now."""
        there = self._state().tables
        return [name for name in rehearsal.locked if name in there]

    def _attempt(self, run: Run, revision: str) -> None:
        """Run the revision, and note why it failed."""
        go = command.downgrade if run.way is Way.DOWN else command.upgrade
        try:
            with time_limit(self.connection, self.server, self.stage.seconds):
                go(self.stage.config, revision)
        except TimedOut as stopped:
            run.failure = str(stopped)
            raise
        except (CommandError, HandrailError) as error:
            run.failure = str(error)
        except Exception as error:  # noqa: BLE001 - whatever the code of a revision raises
            run.failure = self.stage.in_words(error)
        if self.connection.in_transaction():
            self.connection.rollback()
