"""What handrail's own tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from handrail.config import Project
from handrail.history import forget
from handrail.scratch import ScratchServer
from small_project import SmallProject, write_project

DRIVERS = ("asyncpg", "psycopg")


@pytest.fixture
def new_project(tmp_path: Path, handrail_scratch: ScratchServer) -> Iterator[Callable[..., SmallProject]]:
    """Yield a function that writes a project whose tables live in the given schema."""
    root = tmp_path / "shop"

    def create(schema: str | None = "shop") -> SmallProject:
        return write_project(root, handrail_scratch.url_of(handrail_scratch.url.database or ""), schema)

    yield create
    forget(handrail_scratch, Project(root, "shop.base:Base"))


@pytest.fixture(params=DRIVERS)
def url(request: pytest.FixtureRequest, empty_database: str) -> str:
    """URL of an empty database, once for each driver."""
    return empty_database.replace("postgresql://", f"postgresql+{request.param}://")


@pytest.fixture
def asyncpg_url(empty_database: str) -> str:
    """URL of an empty database, for what is no matter of the driver."""
    return empty_database.replace("postgresql://", "postgresql+asyncpg://")
