"""Fresh copies of the starter, as somebody has it who has just cloned it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from small_project import REPOSITORY
from starter_copy import Starter

COPIED = ("alembic", "alembic.ini", "app", "docs", "pyproject.toml", "README.md", "tests")


@pytest.fixture
def starter(tmp_path: Path) -> Iterator[Starter]:
    """A copy of the starter without a database; a development PostgreSQL that it starts is stopped in the end."""
    root = tmp_path / "my project"
    root.mkdir()
    for name in COPIED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, root / name)
    copy = Starter(root)
    yield copy
    copy.environment.clear()
    copy.shell("handrail db stop")


@pytest.fixture(params=["the development PostgreSQL", "a server that is given"])
def starter_with_database(request: pytest.FixtureRequest, starter: Starter) -> Starter:
    """The copy on the embedded PostgreSQL of its own, and on the scratch server of this test run."""
    if request.param == "a server that is given":
        starter.environment["DATABASE_URL"] = request.getfixturevalue("empty_database")
    return starter
