"""The journal: what was done to this database, when, by whom, and what it looked like afterwards.

One row for each revision that was applied, reverted or stamped, written in the transaction that moves the version. A
revision that cannot be one transaction has its row from the moment on at which a part of it is committed.
"""

from __future__ import annotations

import ast
import json
import socket
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from handrail.catalog import Catalog, Kind, Name, read_catalog
from handrail.catalog.fingerprints import naming, take_fingerprints
from handrail.catalog.read import AS_IT_IS
from handrail.catalog.stored import Stored, written
from handrail.config import JOURNAL
from handrail.quoting import literal
from handrail.revisions import sha256
from handrail.version_table import name_in_sql

if TYPE_CHECKING:
    from sqlalchemy import Connection

CREATE = """
CREATE TABLE {table} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    revision text NOT NULL,
    direction text NOT NULL,
    steps text NOT NULL DEFAULT '[]',
    heads text NOT NULL DEFAULT '',
    script_sha256 text,
    code_sha256 text,
    catalog text,
    catalog_sha256 text,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    retries integer NOT NULL DEFAULT 0,
    role text NOT NULL DEFAULT current_user,
    host text NOT NULL,
    application_version text
)
"""
# The others tell something of a database that they leave as it is.
CHANGES = "direction NOT IN ('accept', 'drift', 'untrue')"
# Times as numbers: psycopg reads them in no other DateStyle than ISO, and a role may have another one.
COLUMNS = (
    "id, revision, direction, steps, heads, script_sha256, code_sha256, catalog_sha256, "
    "extract(epoch FROM started_at)::float8 AS started_at, extract(epoch FROM finished_at)::float8 AS finished_at, "
    "retries, role, host, application_version"
)


@dataclass(frozen=True)
class Step:
    """A statement of a revision that cannot be one transaction.

    Attributes:
        statement: What is run, with its parameters.
        done: Whether it is known to be over; otherwise it was begun.
    """

    statement: str
    done: bool


@dataclass(frozen=True)
class Entry:
    """One row.

    Attributes:
        direction: `upgrade`, `downgrade`, `stamp`, `accept` for an edited file that was declared to be meant,
            `baseline` for a database that was found to be as the revisions say, `revert` for an undone manual edit,
            `given up` for a revision that was interrupted, when a stamp has said where the database stands instead,
            `untrue` for what is not as the stamp before it says (the objects are the steps),
            `drift` for one that an upgrade has left as it was (the objects are the steps, its begin is `started_at`).
        steps: Of a revision with steps outside of transactions: what is done of it.
        heads: What the version table said after it.
        script_sha256: Of the file.
        code_sha256: Of its code, comments and layout left out.
        finished_at: None while only a part of the revision is there.
    """

    id: int
    revision: str
    direction: str
    steps: Sequence[Step]
    heads: Sequence[str]
    script_sha256: str | None
    code_sha256: str | None
    catalog_sha256: str | None
    started_at: datetime
    finished_at: datetime | None
    retries: int
    role: str
    host: str
    application_version: str | None


@dataclass(frozen=True)
class Done:
    """What is recorded of a revision when it is over, or of something else that was done.

    Attributes:
        source: What is in the file of the revision.
        started: When it began; None means with the transaction that records it.
    """

    revision: str
    direction: str
    source: bytes | None
    heads: Sequence[str]
    retries: int = 0
    catalog: Catalog | None = None
    steps: Sequence[Step] = ()
    started: datetime | None = None


@dataclass(frozen=True)
class Snapshot:
    """What the database looked like after an entry."""

    entry: Entry
    stored: Stored


@dataclass
class Journal:
    """The table of one version table.

    Attributes:
        schema: Where both are.
        application_version: Of the code that migrates.
        host: Where it runs.
        there: Whether the table exists; without it nothing is recorded.
    """

    schema: str
    application_version: str | None = None
    host: str = field(default_factory=socket.gethostname)
    there: bool = field(default=False, init=False)

    @property
    def table(self) -> str:
        """Its name in SQL."""
        return name_in_sql(self.schema, JOURNAL)

    @property
    def _table(self) -> str:
        return in_text(self.table)

    def look(self, connection: Connection) -> bool:
        """Find out whether it exists."""
        self.there = bool(connection.scalar(text("SELECT to_regclass(:table) IS NOT NULL"), {"table": self.table}))
        return self.there

    def create(self, connection: Connection) -> None:
        """Create the table unless it is there."""
        if not self.look(connection):
            connection.exec_driver_sql(CREATE.format(table=self.table), execution_options=AS_IT_IS)
            self.there = True

    def entries(self, connection: Connection, condition: str = "true") -> list[Entry]:
        """Return the rows that meet a condition, the oldest first; none when there is no journal."""
        if not self.there:
            return []
        query = text(f"SELECT {COLUMNS} FROM {self._table} WHERE {condition} ORDER BY id")  # noqa: S608
        return [entry(row) for row in connection.execute(query).mappings()]

    def unfinished(self, connection: Connection) -> list[Entry]:
        """Return the revisions of which a part is there."""
        return self.entries(connection, "finished_at IS NULL")

    def last_snapshot(self, connection: Connection) -> Snapshot | None:
        """Return the newest one, if it still counts.

        It does not when something was done after it (a command that was killed leaves no snapshot), and when an older
        handrail has written it.
        """
        if not self.there:
            return None
        query = (
            f"SELECT {COLUMNS}, catalog FROM {self._table} WHERE catalog IS NOT NULL AND id = "  # noqa: S608
            f"(SELECT max(id) FROM {self._table} WHERE {CHANGES})"
        )
        row = connection.execute(text(query)).mappings().one_or_none()
        if row is None:
            return None
        try:
            stored = Stored.read(row["catalog"])
        except ValueError:
            return None
        return Snapshot(entry({key: value for key, value in row.items() if key != "catalog"}), stored)

    def origins(self, connection: Connection) -> dict[str, Entry]:
        """Return, for each object with an edit that upgrades have passed by, the entry of the first of them."""
        found: dict[str, Entry] = {}
        for entry in self.entries(connection, "direction IN ('drift', 'revert', 'baseline')"):
            names = {step.statement for step in entry.steps}
            found = {name: found.get(name, entry) for name in names}
        return found

    def remember(self, connection: Connection, catalog: Catalog) -> None:
        """Add what the database looks like to the last entry, when that was not the end of its command."""
        connection.execute(
            text(
                f"UPDATE {self._table} SET catalog = :catalog, catalog_sha256 = :hash WHERE catalog IS NULL AND id = "  # noqa: S608
                f"(SELECT max(id) FROM {self._table} WHERE {CHANGES}) "
                "AND finished_at IS NOT NULL"
            ),
            {"catalog": written(catalog), "hash": catalog.hash},
        )

    def catalog_now(self, connection: Connection, version_table: str, schemas: Collection[str] = ()) -> Catalog:
        """Return what our schemas hold at this moment, without the two tables that are no part of it.

        Args:
            connection: To the database.
            version_table: Alembic's, beside the journal.
            schemas: Others that are ours.
        """
        # First, so that they do not vouch for what somebody changes meanwhile.
        fingerprints = take_fingerprints(connection, {self.schema, *schemas})
        own = self._own(version_table)
        return replace(
            read_catalog(connection, schemas={self.schema, *schemas}).without(*own), fingerprints=fingerprints
        )

    def since(self, connection: Connection, version_table: str, stored: Stored) -> tuple[Catalog, Catalog]:
        """Return what a snapshot says and what is there now, both of them without what has surely not changed.

        Nine tenths of what a whole catalog costs are definitions of tables that nobody has touched.
        """
        schemas, own = {self.schema, *stored.schemas}, self._own(version_table)
        before = stored.fingerprints
        changed = before.changed(take_fingerprints(connection, schemas)) if before else None
        if changed is None:
            return stored.whole, read_catalog(connection, schemas=schemas).without(*own)
        changed -= {(name.schema, name.name) for name in own}
        changed |= stored.unmarked
        changed |= naming(connection, changed)
        return stored.part(changed), read_catalog(connection, schemas=schemas, relations=changed).without(*own)

    def _own(self, version_table: str) -> Sequence[Name]:
        return [Name(Kind.TABLE, self.schema, "", name) for name in (version_table, JOURNAL)]

    def begin(self, connection: Connection, revision: str, direction: str, source: bytes) -> int | None:
        """Record that a part of a revision is about to be committed; return the row's number."""
        if not self.there:
            return None
        number: int = connection.scalar(
            text(
                f"INSERT INTO {self._table} (revision, direction, started_at, host, application_version, "  # noqa: S608
                "script_sha256, code_sha256) VALUES (:revision, :direction, clock_timestamp(), :host, "
                ":application_version, :script_sha256, :code_sha256) RETURNING id"
            ),
            {"revision": revision, "direction": direction, **self._here(), **digests(source)},
        )
        return number

    def progress(self, connection: Connection, number: int, steps: Sequence[Step]) -> None:
        """Record how far it has come."""
        connection.execute(
            text(f"UPDATE {self._table} SET steps = :steps WHERE id = :id"),  # noqa: S608
            {"steps": as_json(steps), "id": number},
        )

    def finish(self, execute: Callable[[str], object], done: Done, number: int | None = None) -> None:
        """Record that a revision is over.

        Args:
            execute: Runs the statement, in the transaction that moves the version.
            done: What is recorded.
            number: Of the row that is there already.
        """
        if not self.there:
            return
        values: dict[str, str | int | None] = {
            "heads": " ".join(done.heads),
            "retries": done.retries,
            "steps": as_json(done.steps),
            "catalog": written(done.catalog) if done.catalog else None,
            "catalog_sha256": done.catalog.hash if done.catalog else None,
        }
        if number is None:
            values |= {"revision": done.revision, "direction": done.direction, **self._here(), **digests(done.source)}
            started = f"{literal(done.started.isoformat())}::timestamptz" if done.started else "now()"
            execute(
                f"INSERT INTO {self.table} ({', '.join(values)}, started_at, finished_at) VALUES "  # noqa: S608
                f"({', '.join(map(constant, values.values()))}, {started}, clock_timestamp())"
            )
            return
        assignments = ", ".join(f"{name} = {constant(value)}" for name, value in values.items())
        execute(f"UPDATE {self.table} SET {assignments}, finished_at = clock_timestamp() WHERE id = {number}")  # noqa: S608

    def give_up(self, connection: Connection) -> None:
        """Record that interrupted revisions will not be finished, in the transaction that is open: a stamp says so."""
        for entry in self.unfinished(connection):
            print(
                f"Revision {entry.revision}, whose {entry.direction} was interrupted, will not be finished: the stamp "
                "counts instead.",
                file=sys.stderr,
            )
            connection.execute(
                text(
                    f"UPDATE {self._table} SET direction = 'given up', finished_at = clock_timestamp() "  # noqa: S608
                    "WHERE id = :id"
                ),
                {"id": entry.id},
            )

    def note(self, connection: Connection, done: Done) -> None:
        """Record what was done, in the transaction that is open."""
        self.finish(partial(connection.exec_driver_sql, execution_options=AS_IT_IS), done)

    def _here(self) -> Mapping[str, str | None]:
        return {"host": self.host, "application_version": self.application_version}


def in_text(name: str) -> str:
    """Return a quoted name as it stands in `text()`, where a colon would begin a parameter."""
    return name.replace(":", r"\:")


def entry(row: Mapping[Any, Any]) -> Entry:
    """Make an entry of a row."""
    steps = [Step(statement, done) for statement, done in json.loads(row["steps"])]
    times = {key: row[key] and datetime.fromtimestamp(row[key], UTC) for key in ("started_at", "finished_at")}
    return Entry(**{**row, **times, "steps": steps, "heads": row["heads"].split()})


def as_json(steps: Sequence[Step]) -> str:
    """Return steps as they are stored."""
    return json.dumps([[step.statement, step.done] for step in steps])


def constant(value: str | int | None) -> str:
    """Return a value as SQL has it."""
    return "NULL" if value is None else literal(value) if isinstance(value, str) else str(value)


def digests(source: bytes | None) -> dict[str, str | None]:
    """Return the SHA-256 of what is in a revision's file, and of its code alone."""
    if source is None:
        return {"script_sha256": None, "code_sha256": None}
    return {"script_sha256": sha256(source), "code_sha256": code_sha256(source)}


def code_sha256(source: bytes) -> str:
    """Return the SHA-256 of what a file does: comments, layout and docstrings change nothing."""
    return sha256(in_words(ast.parse(source)).encode())


def in_words(part: object) -> str:
    """Return a part of a syntax tree as text, without what is empty: a later Python may know more fields."""
    if isinstance(part, ast.AST):
        told = [type(part).__name__]
        for name in part._fields:
            value = getattr(part, name, None)
            # Whether a name is read or assigned shows in the place where it stands.
            if value is not None and value != [] and name != "ctx":
                told.append(f"{name}={value!r}" if isinstance(value, str) else f"{name}={in_words(value)}")
        return f"({' '.join(told)})"
    if isinstance(part, list):
        return f"[{' '.join([in_words(element) for element in part if not is_text(element)])}]"
    return repr(part)


def is_text(node: object) -> bool:
    """Whether a statement is a text that nobody reads."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
