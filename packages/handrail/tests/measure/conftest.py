"""A database with the tables of the truth table, to be copied for each of its rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from handrail.scratch import ScratchServer
from truth_table import SET_UP


@pytest.fixture(scope="session")
def furnished(handrail_scratch: ScratchServer) -> Iterator[str]:
    """Name of a database that holds them; nobody may change it."""
    name = handrail_scratch.create()
    handrail_scratch.execute(*SET_UP, database=name)
    yield name
    handrail_scratch.drop(name)


@pytest.fixture
def copy(handrail_scratch: ScratchServer, furnished: str) -> Iterator[str]:
    """Name of a copy of it."""
    name = handrail_scratch.create(template=furnished)
    yield name
    handrail_scratch.drop(name)


@pytest.fixture(scope="session")
def shared(handrail_scratch: ScratchServer, furnished: str) -> Iterator[str]:
    """Name of a copy of it for those who roll back what they do."""
    name = handrail_scratch.create(template=furnished)
    yield name
    handrail_scratch.drop(name)
