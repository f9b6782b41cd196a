"""What the tests of the target share: a history of a few statements, and the truth to compare with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Connection, MetaData

from handrail.cache import Cache
from handrail.catalog import Catalog, Kind, read_catalog
from handrail.connection import quoted, with_connection
from handrail.scratch import ScratchServer
from handrail.target import target_catalog


@dataclass
class Ground:
    """A database that stands for the history of a project, and its cache."""

    server: ScratchServer
    database: str
    cache: Cache

    def history(self) -> Catalog:
        return self.read(self.database)

    def read(self, database: str, work: Callable[[Connection], object] = lambda _: None) -> Catalog:
        """Do something in a database and return what it holds."""

        def run(connection: Connection) -> Catalog:
            work(connection)
            return read_catalog(connection)

        url = self.server.url.set(database=database)
        return with_connection(url, run, application="test", autocommit=True)

    def target(self, metadata: MetaData, cache: Cache | None = None) -> Catalog:
        return target_catalog(self.server, metadata, self.history(), self.database, cache or self.cache)

    def created(self, metadata: MetaData) -> Catalog:
        """Return what plain `create_all` makes in a new database, its schemas set aside."""
        name = self.server.create()
        schemas = {table.schema for table in metadata.tables.values()} | {metadata.schema}
        try:
            self.server.execute(
                *(f"CREATE SCHEMA {quoted(schema)}" for schema in schemas if schema and schema != "public"),
                database=name,
            )
            return without_schemas(self.read(name, metadata.create_all))
        finally:
            self.server.drop(name)


def without_schemas(catalog: Catalog) -> Catalog:
    kept = {name: value for name, value in catalog.objects.items() if name.kind not in (Kind.SCHEMA, Kind.EXTENSION)}
    return Catalog(catalog.version, kept)


@pytest.fixture
def ground(handrail_scratch: ScratchServer, tmp_path: Path) -> Iterator[Callable[..., Ground]]:
    """Yield a function that makes a history from statements, in a database that is dropped afterwards."""
    server = ScratchServer(handrail_scratch.url)
    names = []

    def create(*statements: str) -> Ground:
        names.append(server.create())
        server.execute(*statements, database=names[-1])
        return Ground(server, names[-1], Cache.of(tmp_path))

    yield create
    for name in names:
        server.drop(name)
