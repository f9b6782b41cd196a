"""One `alembic upgrade`, `downgrade` or `stamp` of one database: what it was told, and what it has read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import text

from handrail.catalog import Catalog, Kind
from handrail.upgrade.journal import Journal
from handrail.upgrade.versions import rows
from handrail.version_table import name_in_sql

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from sqlalchemy import URL, Connection

    from handrail.config import Project
    from handrail.upgrade.drift import Drift
    from handrail.upgrade.journal import Entry


@dataclass
class Task:
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
        again: The command line that waits longer.
        accepted: Revisions of which an edit is declared to be meant.
        keep_drift: Manual edits of what the revisions touch are no reason to stop.
        drift: Those that there are, once they were looked for.
        settled: Objects whose edits the revisions make their own.
        journal: Of what is done.
        versions: The rows of the version table when it was read last.
        entries: The journal at the same moment.
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
    again: str
    accepted: Sequence[str] = ()
    keep_drift: bool = False
    drift: Drift | None = field(default=None, init=False)
    settled: set[str] = field(default_factory=set, init=False)
    journal: Journal = field(init=False)
    versions: list[str] = field(default_factory=list, init=False)
    entries: list[Entry] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.journal = Journal(self.schema, self.project.version)

    @property
    def version_table(self) -> str:
        """Its name in SQL."""
        return name_in_sql(self.schema, self.project.version_table)

    @property
    def purges(self) -> bool:
        """Whether it is `stamp --purge`, to which the rows of the version table mean nothing."""
        return self.command == "stamp" and bool(self.migration.purge)

    def read(self) -> None:
        """Read version table and journal."""
        with self.connection.begin():
            # One snapshot: between two questions another process may have moved the version, and journalled it.
            self.connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            self.versions = rows(self.connection, self.version_table)
            self.journal.look(self.connection)
            self.entries = self.journal.entries(self.connection)

    def catalog(self) -> Catalog:
        """Return what the database should be from now on: what it is, but for what was changed by hand before."""
        schemas: set[str] = {schema for schema in self.migration.opts.get("handrail_schemas", ()) if schema}
        schemas |= {name.name for name, _ in self.drift.expected.of_kind(Kind.SCHEMA)} if self.drift else set()
        now = self.journal.catalog_now(self.connection, self.project.version_table, schemas)
        return self.drift.carried(now, self.settled) if self.drift else now
