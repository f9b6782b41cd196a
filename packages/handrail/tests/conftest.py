"""What handrail's own tests share."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from zlib import crc32

import pytest

from handrail.config import Project
from handrail.history import forget
from handrail.scratch import ScratchServer
from small_project import SmallProject, write_project

DRIVERS = ("asyncpg", "psycopg")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "one_driver: what is tested is no matter of the driver, so one of them will do")
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


@pytest.hookimpl(trylast=True)  # after the tests were shuffled
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker is alone with it in the end."""
    items.sort(key=lambda item: "starter" not in getattr(item, "fixturenames", ()))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test of a `url` with each driver; where one will do, half of the tests get this one and half that one."""
    if "driver_of_url" in metafunc.fixturenames:
        one = metafunc.definition.get_closest_marker("one_driver") is not None
        chosen = crc32(metafunc.definition.nodeid.encode()) % len(DRIVERS)
        metafunc.parametrize("driver_of_url", [DRIVERS[chosen]] if one else DRIVERS, scope="function")


@pytest.fixture
def url(driver_of_url: str, empty_database: str) -> str:
    """URL of an empty database, once for each driver unless the test is marked with `one_driver`."""
    return empty_database.replace("postgresql://", f"postgresql+{driver_of_url}://")


@pytest.fixture
def asyncpg_url(empty_database: str) -> str:
    """URL of an empty database, for what is no matter of the driver."""
    return empty_database.replace("postgresql://", "postgresql+asyncpg://")
