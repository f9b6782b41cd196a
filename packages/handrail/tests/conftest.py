"""What handrail's own tests share."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from handrail.config import Project
from handrail.history import forget
from handrail.scratch import ScratchServer
from small_project import SmallProject, write_project

DRIVERS = ("asyncpg", "psycopg")


def pytest_configure() -> None:
    # What a shell runs in the background ignores Ctrl-C, and so would the commands that tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def forget_imports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Take out of Python what a test has imported from its project, and the folders Alembic has put into its path.

    Most projects of the tests have a package `shop`, and a later test of this process would be given an earlier one's.
    """
    path = sys.path[:]
    yield
    sys.path[:] = path
    folder = str(tmp_path_factory.getbasetemp())
    # All are found before one goes: the folders of a package without __init__.py are asked from its parent.
    for name in [name for name, module in list(sys.modules.items()) if folder in "".join(places(module))]:
        del sys.modules[name]


def places(module: ModuleType) -> list[str]:
    """Return the file and folders of a module; none for one that Python made itself."""
    spec = getattr(module, "__spec__", None)
    return [*(spec.submodule_search_locations or ()), spec.origin or ""] if spec else []


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
