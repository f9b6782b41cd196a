"""What handrail's own tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from handrail.config import Project
from handrail.history import forget
from handrail.scratch import ScratchServer
from small_project import REPOSITORY, SmallProject

DRIVERS = ("asyncpg", "psycopg")


@pytest.fixture
def new_project(tmp_path: Path, handrail_scratch: ScratchServer) -> Iterator[Callable[..., SmallProject]]:
    """Yield a function that writes a project whose tables live in the given schema."""
    root = tmp_path / "shop"

    def create(schema: str | None = "shop") -> SmallProject:
        project = SmallProject(root)
        project.environment["HANDRAIL_SCRATCH_URL"] = handrail_scratch.url_of(handrail_scratch.url.database or "")
        project.write("pyproject.toml", '[tool.handrail]\nmetadata = "shop.base:Base"\n')
        project.write("shop/__init__.py", "")
        project.write(
            "shop/base.py",
            f"""\
            from sqlalchemy import MetaData
            from sqlalchemy.orm import DeclarativeBase


            class Base(DeclarativeBase):
                metadata = MetaData(
                    schema={schema!r},
                    naming_convention={{
                        "ix": "ix_%(table_name)s_%(column_0_name)s",
                        "uq": "uq_%(table_name)s_%(column_0_name)s",
                        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
                        "pk": "pk_%(table_name)s",
                    }},
                )
            """,
        )
        for name in ("alembic.ini", "alembic/env.py", "alembic/script.py.mako"):
            project.write(name, (REPOSITORY / name).read_text(encoding="utf-8"))
        (root / "alembic/versions").mkdir()
        return project

    yield create
    forget(handrail_scratch, Project(root, "shop.base:Base"))


@pytest.fixture(params=DRIVERS)
def url(request: pytest.FixtureRequest, empty_database: str) -> str:
    """URL of an empty database, once for each driver."""
    return empty_database.replace("postgresql://", f"postgresql+{request.param}://")
