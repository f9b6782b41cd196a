"""Where a database stands, in one look: its revision, what is pending, and whatever needs somebody's attention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from handrail.catalog.words import in_words
from handrail.config import JOURNAL
from handrail.connection import INSUFFICIENT_PRIVILEGE, ServerMessage, quoted
from handrail.discovery import load_metadata
from handrail.errors import AccessDeniedError, HandrailError
from handrail.upgrade.drift import drift
from handrail.upgrade.interrupted import finishes
from handrail.upgrade.invalid import INVALID
from handrail.upgrade.journal import Entry, Journal
from handrail.upgrade.patience import BLOCKED
from handrail.upgrade.turn import holder, key_of
from handrail.upgrade.versions import applied, check_versions, edited, known, rows
from handrail.upgrade.watch import holders
from handrail.version_table import name_in_sql

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection

    from handrail.config import Project

NOT_VALIDATED = text(
    """
    SELECT conrelid::regclass::text || '.' || quote_ident(conname) FROM pg_constraint
    WHERE NOT convalidated AND connamespace = (SELECT oid FROM pg_namespace WHERE nspname = :schema) ORDER BY 1
    """
)
# Those of extensions come with these, and partitions with their table.
TABLES = text(
    """
    SELECT c.oid::regclass::text FROM pg_class c
    WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = :schema)
        AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> ALL (:own)
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') ORDER BY 1
    """
)


@dataclass(frozen=True)
class Standing:
    """What is true of a database now.

    Attributes:
        revisions: The rows of its version table.
        heads: The newest revisions of the files.
        pending: Revisions that `alembic upgrade heads` would run, the oldest first.
        problem: What the next upgrade would refuse about the version table; empty when nothing.
        unversioned: Tables that are there though no revision was ever recorded; the revisions may create the same.
        edited: Applied revisions whose files do something else now.
        unfinished: Revisions of which a part is there, because they were interrupted.
        finishes: The command that finishes the oldest of these; empty when there is none.
        invalid_indexes: Indexes that no query uses.
        not_validated: Constraints that are not known to hold for all rows.
        migrating: Who is migrating at the moment; empty when nobody.
        untrue: What is not as the last stamp said.
        drift: What differs from the catalog after the last step, or why that is not known; empty without a journal.
    """

    revisions: Sequence[str]
    heads: Sequence[str]
    pending: Sequence[str]
    problem: str
    unversioned: Sequence[str]
    edited: Sequence[str]
    unfinished: Sequence[str]
    finishes: str
    invalid_indexes: Sequence[str]
    not_validated: Sequence[str]
    migrating: str
    untrue: Sequence[str]
    drift: Sequence[str]

    @property
    def well(self) -> bool:
        """Whether nobody has to do anything. Constraints may be left unvalidated for a reason."""
        return not (
            self.pending
            or self.problem
            or self.edited
            or self.unfinished
            or self.invalid_indexes
            or self.untrue
            or self.drift
        )


@dataclass(frozen=True)
class Recorded:
    """What a database says of its own history.

    Attributes:
        table: The version table, as SQL names it.
        versions: Its rows.
        journal: Beside it.
        entries: All of the journal's, the oldest first.
    """

    table: str
    versions: Sequence[str]
    journal: Journal
    entries: Sequence[Entry]


def standing(connection: Connection, project: Project, directory: ScriptDirectory) -> Standing:
    """Look at a database. Reads only."""
    found = recorded(connection, project)
    versions, journal, entries = found.versions, found.journal, found.entries
    problem = ""
    try:
        check_versions(versions, directory, found.table, entries)
    except HandrailError as error:
        problem = str(error).removeprefix("nothing was changed: ")
    here = [version for version in versions if known(directory, version)]
    done = applied(directory, versions)
    pending = [script.revision for script in directory.walk_revisions() if script.revision not in done][::-1]
    unfinished = [entry for entry in entries if entry.finished_at is None]
    return Standing(
        versions,
        sorted(directory.get_heads()),
        [] if problem else pending,
        problem,
        [] if versions or entries else tables(connection, project, journal),
        [entry.revision for entry, _ in edited(here, directory, entries)],
        [entry.revision for entry in unfinished],
        finishes(unfinished),
        list(connection.scalars(text(INVALID), {"schema": journal.schema})),
        list(connection.scalars(NOT_VALIDATED, {"schema": journal.schema})),
        holder(connection, key_of(found.table, "work"))[1].strip(" ()"),
        untrue(entries),
        manual_edits(connection, project, journal),
    )


def manual_edits(connection: Connection, project: Project, journal: Journal) -> list[str]:
    """Return what differs from the catalog after the last step, or that somebody keeps us from looking."""
    try:
        edits = drift(connection, journal, project.version_table, project.tolerated, whole=False)
    except DBAPIError as error:
        if ServerMessage.of(error).sqlstate not in BLOCKED:
            raise
        connection.rollback()
        return [f"not known now: a table is locked{holders(connection)[0]}"]
    return in_words(edits.differences) if edits else []


def tables(connection: Connection, project: Project, journal: Journal) -> list[str]:
    """Return the tables beside the version table and the journal."""
    own = [project.version_table, JOURNAL]
    return list(connection.scalars(TABLES, {"schema": journal.schema, "own": own}))


def untrue(entries: Sequence[Entry]) -> list[str]:
    """Return the objects that are not as the last stamp said, unless the database was verified since."""
    told = [entry for entry in entries if entry.direction in ("stamp", "baseline", "untrue")][-1:]
    return [step.statement for entry in told if entry.direction == "untrue" for step in entry.steps]


def schema_of(connection: Connection, project: Project) -> str:
    """Return where the version table is."""
    schema = project.version_table_schema or load_metadata(project).schema
    return schema or connection.dialect.default_schema_name or "public"


def recorded(connection: Connection, project: Project) -> Recorded:
    """Read version table and journal; nothing of either where it is not there yet."""
    schema = schema_of(connection, project)
    table, journal = name_in_sql(schema, project.version_table), Journal(schema)
    with readable(connection, journal):
        versions = rows(connection, table)
        journal.look(connection)
        return Recorded(table, versions, journal, journal.entries(connection))


def journal_of(connection: Connection, project: Project) -> list[Entry]:
    """Return the whole journal, the oldest entry first."""
    journal = Journal(schema_of(connection, project))
    with readable(connection, journal):
        journal.look(connection)
        return journal.entries(connection)


@contextmanager
def readable(connection: Connection, journal: Journal) -> Iterator[None]:
    """Say which privilege a role lacks that may not read the version table or the journal."""
    try:
        yield
    except DBAPIError as error:
        said = ServerMessage.of(error)
        if said.sqlstate != INSUFFICIENT_PRIVILEGE:
            raise
        role, schema = quoted(connection.engine.url.username or ""), quoted(journal.schema)
        raise AccessDeniedError(
            f"the role {role} may not read where the database stands: {said.text}. Reading is enough; let the owner "
            f"run: GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role};  "
            f"(or only on {journal.table} and on the version table)"
        ) from error
