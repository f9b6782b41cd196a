"""Run the models' DDL in a throwaway database, and read what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from handrail.catalog import Catalog, Kind, Name, read_catalog
from handrail.catalog.read import AS_IT_IS
from handrail.connection import ServerMessage, quoted, with_connection
from handrail.errors import DatabaseUnavailableError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from handrail.scratch import ScratchServer

# Something was named that is not there: a function, type, collation, operator; a relation; a schema; a column.
UNDEFINED = {"42883", "42704", "42P01", "3F000", "42703"}
DUPLICATE_SCHEMA = "42P06"
IN_USE = "55006"
PATIENCE_SECONDS = 10  # until nobody else is connected to the history, which cannot be copied before
TABLES_AT_ONCE = 50  # dropped by one statement, which holds locks on all of them

Work = Callable[["Connection"], None]


@dataclass(frozen=True)
class Ground:
    """What there is before the models create anything.

    Attributes:
        history: What the revisions create.
        history_database: The database that holds it.
        copied: Whether all of it but the tables is there (functions, types, …), or only schemas and extensions.
        own: Names of what the models create besides tables.
    """

    server: ScratchServer
    history: Catalog
    history_database: str
    own: frozenset[Name] = frozenset()
    copied: bool = False

    def build(self, schemas: Iterable[str], work: Work) -> Catalog:
        """Run `work` on a connection to a new database, and return what that holds then.

        Args:
            schemas: Those that the models use; the history's are there anyhow.
            work: Gets a connection on which each statement commits by itself.
        """
        there = {name.name for name, _ in self.history.of_kind(Kind.SCHEMA)}
        try:
            return self._built(list(self._prelude({*there, *schemas})), work)
        except DBAPIError as error:
            if ServerMessage.of(error).sqlstate != DUPLICATE_SCHEMA or self.copied:
                raise
        # An event of the models creates them by itself, and does not ask whether they are there.
        return self._built(list(self._prelude(())), work)

    def _built(self, prelude: Iterable[str], work: Work) -> Catalog:
        def run(connection: Connection) -> Catalog:
            for statement in prelude:
                connection.exec_driver_sql(statement, execution_options=AS_IT_IS)
            work(connection)
            return read_catalog(connection)

        with self._database() as name:
            url = self.server.url.set(database=name)
            return with_connection(url, run, application="handrail target", autocommit=True)

    def _prelude(self, schemas: Iterable[str]) -> Iterator[str]:
        # It is thrown away, so nobody needs to wait for the disk.
        yield "SET synchronous_commit = off"
        extensions = list(self.history.of_kind(Kind.EXTENSION))
        for schema in sorted({*schemas, *(extension["schema"] for _, extension in extensions)}):
            if not schema.startswith("pg_"):
                yield f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}"
        for name, extension in extensions:
            place = f"SCHEMA {quoted(extension['schema'])} VERSION {quoted(extension['version'])}"
            yield f"CREATE EXTENSION IF NOT EXISTS {quoted(name.name)} {place} CASCADE"
        if self.copied:
            yield from drops(self.history, self.own)

    @contextmanager
    def _database(self) -> Iterator[str]:
        name = self._copy() if self.copied else self.server.create()
        try:
            yield name
        finally:
            self.server.drop(name)

    def _copy(self) -> str:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self.server.create(template=self.history_database)
            except DBAPIError as error:
                if ServerMessage.of(error).sqlstate != IN_USE:
                    raise
                if time.monotonic() > deadline:
                    raise DatabaseUnavailableError(
                        f'the throwaway database "{self.history_database}" is in use by another process for more than '
                        f"{PATIENCE_SECONDS} seconds, so it cannot be copied, and the models need functions or types "
                        "that only the revisions create. Run the same command again when the other one has ended."
                    ) from error
                time.sleep(0.1)


def drops(history: Catalog, own: Iterable[Name]) -> Iterator[str]:
    """Yield the statements that take out of a copied history its tables, and what the models create themselves."""
    for kind, wanted in (("TABLE", ("table", "partitioned")), ("FOREIGN TABLE", ("foreign",))):
        names = [name for name, attributes in history.of_kind(Kind.TABLE) if attributes["type"] in wanted]
        for start in range(0, len(names), TABLES_AT_ONCE):
            batch = ", ".join(map(_qualified, names[start : start + TABLES_AT_ONCE]))
            # A partition is gone when its parent is.
            yield f"DROP {kind} IF EXISTS {batch} CASCADE"
    for name in sorted(own):
        kind = "SEQUENCE" if name.kind is Kind.SEQUENCE else "TYPE"
        yield f"DROP {kind} IF EXISTS {_qualified(name)} CASCADE"


def _qualified(name: Name) -> str:
    return f"{quoted(name.schema)}.{quoted(name.name)}"
