"""Run statements and note what each of them does, as PostgreSQL shows it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from handrail.effects import Effect, LockMode, Relation
from handrail.measure.contents import Contents, read_contents
from handrail.measure.difference import broken, locked, made, rewritten, scanned
from handrail.measure.losses import lost_columns, lost_schemas, lost_tables, lost_values
from handrail.measure.onlooker import Onlooker
from handrail.measure.snapshot import Snapshot
from handrail.place import Place, place_of_call

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

# Nothing happens by these, and after an error the first is all that PostgreSQL takes.
TRANSACTION = re.compile(r"\s*(ROLLBACK|SAVEPOINT|RELEASE|BEGIN|COMMIT|START)\b", re.IGNORECASE)


@dataclass
class Measured:
    """A statement that was run.

    Attributes:
        statement: As it was sent.
        place: The line of the revision that sent it; None when none did.
        effect: What it did, without demands: a statement that succeeded had all that it wanted.
        held: The strongest lock on each relation when it had ended, those of earlier statements included.
        seconds: How long it took.
        commits: Whether it was a transaction by itself.
    """

    statement: str
    place: Place | None
    effect: Effect = field(default_factory=Effect)
    held: dict[Relation, LockMode] = field(default_factory=dict)
    seconds: float = 0.0
    commits: bool = False


def measure(connection: Connection, statements: Iterable[str], *, server: URL | None = None) -> list[Measured]:
    """Run statements and return what each did. The transaction is left to the caller.

    Args:
        connection: To a scratch database with rows in it.
        statements: One at a time.
        server: See `watched`.
    """
    with watched(connection, server=server) as measured:
        for statement in statements:
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
    return measured


@contextmanager
def watched(
    connection: Connection,
    *,
    folders: Sequence[Path] = (),
    server: URL | None = None,
    contents: dict[int, Contents] | None = None,
) -> Iterator[list[Measured]]:
    """Note what every statement does that is run on a connection; the list is complete at the end.

    Args:
        connection: To a scratch database with rows in it. What goes past SQLAlchemy is not seen.
        folders: Of the revision files, whose lines are noted.
        server: Another database of the same server, from which to look at the locks of what commits by itself. They
            are gone when it has ended, so some may be missed.
        contents: What the tables hold, if that is known; it is kept up to date.
    """
    watch = _Watch(connection, [folder.resolve() for folder in folders], server, contents)
    event.listen(connection, "before_cursor_execute", watch.before)
    event.listen(connection, "after_cursor_execute", watch.after)
    try:
        yield watch.measured
    finally:
        event.remove(connection, "before_cursor_execute", watch.before)
        event.remove(connection, "after_cursor_execute", watch.after)
        watch.give_up()


class _Watch:
    """What is known from one statement to the next."""

    def __init__(
        self, connection: Connection, folders: Sequence[Path], server: URL | None, contents: dict[int, Contents] | None
    ) -> None:
        self.connection, self.folders, self.server = connection, folders, server
        self.measured: list[Measured] = []
        self.contents: dict[int, Contents] = {} if contents is None else contents
        self.stale = contents is None
        self.first: Snapshot | None = None  # at the beginning: what came later is nobody's loss
        self.known: frozenset[int] = frozenset()  # the relations that were there before this transaction
        self.transaction = ""
        self.snapshot: Snapshot | None = None  # before the statement that is running
        self.onlooker: Onlooker | None = None
        self.started = 0.0

    def ask(self, question: str) -> list[Any]:
        """Ask past SQLAlchemy, which would tell us of it."""
        cursor = self._driver().cursor()
        try:
            cursor.execute(question)
            return list(cursor.fetchall()) if cursor.description else []
        finally:
            cursor.close()

    def _driver(self) -> Any:
        return self.connection.connection.dbapi_connection

    @property
    def autocommit(self) -> bool:
        return bool(self._driver().autocommit)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Let what is read leave nothing behind: its locks are given up, and an error does not end the transaction."""
        try:
            self.ask("SAVEPOINT handrail_aside")
        except self.connection.dialect.loaded_dbapi.Error:
            yield  # outside of a transaction, which a revision can also have ended by itself
            return
        try:
            yield
        finally:
            self.ask("ROLLBACK TO SAVEPOINT handrail_aside")
            self.ask("RELEASE SAVEPOINT handrail_aside")

    def before(self, _conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        self.give_up()
        if TRANSACTION.match(statement):
            return
        if self.first is None or self.stale:
            self._begin()
        snapshot = Snapshot.take(self.ask, in_transaction=not self.autocommit)
        if snapshot.transaction != self.transaction:
            self.known, self.transaction = frozenset(snapshot.relations), snapshot.transaction
        if self.autocommit and self.server is not None:
            self.onlooker = Onlooker(self.server, self.ask)
            self.onlooker.start()
        self.snapshot = snapshot
        self.measured.append(Measured(statement, place_of_call(self.folders)))
        self.started = time.perf_counter()

    def _begin(self) -> None:
        with self.aside():
            self.first = Snapshot.take(self.ask, in_transaction=False)
            if self.stale:
                self.contents.clear()
                self.contents |= read_contents(self.ask, self.first, self.first.relations)
                self.stale = False

    def after(self, _conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seconds = time.perf_counter() - self.started
        if TRANSACTION.match(statement):
            if statement.upper().lstrip().startswith("ROLLBACK"):
                self.stale = True  # it may have brought back what we saw vanish
            return
        before, self.snapshot = self.snapshot, None
        if before is None:
            return
        measured, autocommit = self.measured[-1], self.autocommit
        measured.seconds = seconds
        after = Snapshot.take(self.ask, in_transaction=not autocommit)
        measured.commits = after.transaction != before.transaction
        effect = measured.effect
        if measured.commits:
            onlooker, self.onlooker = self.onlooker, None
            effect.locks = dict(locked(before, onlooker.finish() if onlooker else (), self.known))
            if not effect.locks:
                effect.unknown.append("which locks it held: it committed by itself, and nobody saw one meanwhile")
        else:
            effect.locks = dict(locked(before, after.locks, self.known, before.locks))
            measured.held = dict(locked(before, after.locks, self.known))
        effect.scans = scanned(before, after, self.known)
        effect.rewrites = rewritten(before, after, self.known)
        effect.created = made(before, after)
        effect.breaks = list(broken(before, after, self.known))
        self._note_losses(before, after, effect)

    def _note_losses(self, before: Snapshot, after: Snapshot, effect: Effect) -> None:
        effect.losses += lost_tables(before, after, self.contents)
        effect.losses += lost_columns(before, after, self.contents)
        if effect.losses:
            effect.losses += lost_schemas(before, self.ask)
        for oid in self.contents.keys() - after.relations.keys():
            del self.contents[oid]
        written = [oid for oid in self.contents if _written(oid, before, after)]
        for oid, now in self._read(before, after, written).items():
            for loss in lost_values(before, oid, self.contents[oid], now):
                if isinstance(loss, str):
                    effect.unknown.append(loss)
                elif loss not in effect.losses:
                    effect.losses.append(loss)
            if not now.rows and before.relations[oid].filenode != after.relations[oid].filenode:
                effect.scans.discard(before.relations[oid].name)  # TRUNCATE makes indexes of its new, empty file
        again = {*written, *(oid for oid in self.contents if _reshaped(oid, before, after))}
        if again:
            with self.aside():
                self.contents |= self._of_first(read_contents(self.ask, after, again))

    def _read(self, before: Snapshot, after: Snapshot, oids: Sequence[int]) -> dict[int, Contents]:
        """Read tables as their columns were before, or where a value does not fit there any more, as they are."""
        found: dict[int, Contents] = {}
        for oid in oids:
            try:
                with self.aside():
                    found |= read_contents(self.ask, after, [oid], {oid: before.columns.get(oid, {})})
            except self.connection.dialect.loaded_dbapi.Error:
                with self.aside():
                    found |= read_contents(self.ask, after, [oid])
        return found

    def _of_first(self, contents: dict[int, Contents]) -> dict[int, Contents]:
        """Leave out columns that were not there in the beginning."""
        assert self.first is not None
        return {
            oid: Contents(held.rows, held.key, {n: v for n, v in held.values.items() if n in self.first.columns[oid]})
            for oid, held in contents.items()
        }

    def give_up(self) -> None:
        """Say of a statement that has begun and not ended that PostgreSQL refused it."""
        if self.snapshot is not None:
            self.measured[-1].effect.unknown.append("PostgreSQL refused it")
            self.measured[-1].seconds = time.perf_counter() - self.started
        self.snapshot = None
        if self.onlooker is not None:
            onlooker, self.onlooker = self.onlooker, None
            onlooker.finish()


def _written(oid: int, before: Snapshot, after: Snapshot) -> bool:
    """Whether values may differ: rows were written, or the whole table."""
    old, new = before.relations[oid], after.relations[oid]
    return old.written != new.written or old.filenode != new.filenode


def _reshaped(oid: int, before: Snapshot, after: Snapshot) -> bool:
    """Whether the same values read differently now: the columns are other ones, or another primary key."""
    return before.columns.get(oid) != after.columns.get(oid)
