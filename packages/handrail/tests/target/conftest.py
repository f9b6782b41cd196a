"""What the tests of the target share: a history of a few statements, and the truth to compare with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Connection, MetaData
from sqlalchemy.schema import CreateSchema

from handrail.cache import Cache
from handrail.catalog import Catalog, Kind, read_catalog
from handrail.connection import with_connection
from handrail.scratch import ScratchServer
from handrail.target import target_catalog


@dataclass
class Ground:
    """A database that stands for the history of a project, and its cache.

    Attributes:
        spare: An empty database, in which nothing is ever committed.
    """

    server: ScratchServer
    database: str
    cache: Cache
    spare: str

    def history(self) -> Catalog:
        return self.read(self.database)

    def read(self, database: str) -> Catalog:
        """Return what a database holds."""
        url = self.server.url.set(database=database)
        return with_connection(url, read_catalog, application="test", autocommit=True)

    def target(self, metadata: MetaData, cache: Cache | None = None) -> Catalog:
        return target_catalog(self.server, metadata, self.history(), self.database, cache or self.cache)

    def created(self, metadata: MetaData) -> Catalog:
        """Return what plain `create_all` makes in an empty database, its schemas set aside."""
        schemas = {table.schema for table in metadata.tables.values()} | {metadata.schema}

        def run(connection: Connection) -> Catalog:
            for schema in schemas - {None, "public"}:
                connection.execute(CreateSchema(str(schema)))
            metadata.create_all(connection)
            catalog = read_catalog(connection)
            connection.rollback()
            return without_schemas(catalog)

        return with_connection(self.server.url.set(database=self.spare), run, application="test")


def without_schemas(catalog: Catalog) -> Catalog:
    kept = {name: value for name, value in catalog.objects.items() if name.kind not in (Kind.SCHEMA, Kind.EXTENSION)}
    return Catalog(catalog.version, kept)


@pytest.fixture(scope="session")
def spare(handrail_scratch: ScratchServer) -> Iterator[str]:
    """The name of an empty database for those who roll back what they do."""
    name = handrail_scratch.create()
    yield name
    handrail_scratch.drop(name)


@pytest.fixture
def ground(handrail_scratch: ScratchServer, spare: str, tmp_path: Path) -> Iterator[Callable[..., Ground]]:
    """Yield a function that makes a history from statements, in a database that is dropped afterwards."""
    server = ScratchServer(handrail_scratch.url)
    names = []

    def create(*statements: str) -> Ground:
        names.append(server.create())
        server.execute(*statements, database=names[-1])
        return Ground(server, names[-1], Cache.of(tmp_path), spare)

    yield create
    for name in names:
        server.drop(name)
