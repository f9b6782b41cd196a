"""Fresh copies of the starter, as somebody has it who has just cloned it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from handrail.config import Project
from handrail.history import forget
from handrail.scratch import ScratchServer
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


@pytest.fixture
def starter_on_a_server(starter: Starter, empty_database: str, handrail_scratch: ScratchServer) -> Iterator[Starter]:
    """The copy on the scratch server of this test run, where its throwaway databases are, too."""
    scratch = handrail_scratch.url_of(handrail_scratch.url.database or "")
    starter.environment |= {"DATABASE_URL": empty_database, "HANDRAIL_SCRATCH_URL": scratch}
    yield starter
    forget(handrail_scratch, Project(starter.root, "app.models:Base"))


@pytest.fixture(params=["starter", "starter_on_a_server"], ids=["the development PostgreSQL", "a server that is given"])
def starter_with_database(request: pytest.FixtureRequest) -> Starter:
    """The copy on embedded PostgreSQLs of its own, and on a server that is given."""
    copy: Starter = request.getfixturevalue(request.param)
    return copy
