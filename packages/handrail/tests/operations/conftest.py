"""A database in which nothing is ever committed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, create_engine

from handrail.scratch import ScratchServer


@pytest.fixture(scope="session")
def shared_connection(handrail_scratch: ScratchServer) -> Iterator[Connection]:
    """One connection for all tests, since each of them leaves the database as it was."""
    server = ScratchServer(handrail_scratch.url)
    name = server.create()
    engine = create_engine(server.url_of(name).replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        yield connection
    engine.dispose()
    server.drop(name)


@pytest.fixture
def connection(shared_connection: Connection) -> Iterator[Connection]:
    yield shared_connection
    shared_connection.rollback()
