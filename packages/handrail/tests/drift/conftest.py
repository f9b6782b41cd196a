"""A database that was migrated with plain `alembic upgrade head`, and is edited in transactions that never commit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, text

from drift.edits import SHOP
from handrail.scratch import ScratchServer, new_name
from handrail.upgrade.drift import Drift, drift
from handrail.upgrade.journal import Journal
from small_project import REPOSITORY, SmallProject

REVISION = '''\
from alembic import op

revision = "r1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in SHOP.split(";\\n"):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})


def downgrade() -> None:
    pass


SHOP = """{sql}"""
'''


@dataclass
class Migrated:
    """A migrated database, and a connection to it whose transaction is rolled back after each test."""

    connection: Connection
    role: str

    def run(self, sql: str) -> None:
        """Run some statements by hand."""
        self.execute(sql.replace("{role}", self.role).split("; "))

    def execute(self, statements: Sequence[str]) -> None:
        """Run statements one by one."""
        for statement in statements:
            self.connection.exec_driver_sql(statement, execution_options={"no_parameters": True})

    def migrate(self, statements: Sequence[str]) -> None:
        """Run statements as `op.execute` does."""
        for statement in statements:
            self.connection.execute(text(statement))

    def drift(self, *, whole: bool = True) -> Drift:
        """Compare the database with its journal."""
        journal = Journal("shop")
        assert journal.look(self.connection)
        found = drift(self.connection, journal, "alembic_version", whole=whole)
        assert found is not None
        return found


def write_project(root: Path, scratch: str) -> SmallProject:
    """Write a project whose one revision creates the shop."""
    project = SmallProject(root)
    project.environment["HANDRAIL_SCRATCH_URL"] = scratch
    project.write("pyproject.toml", '[tool.handrail]\nmetadata = "shop.base:Base"\n')
    project.write("shop/__init__.py", "")
    project.write(
        "shop/base.py",
        """\
        from sqlalchemy import MetaData
        from sqlalchemy.orm import DeclarativeBase


        class Base(DeclarativeBase):
            metadata = MetaData(schema="shop")
        """,
    )
    for name in ("alembic.ini", "alembic/env.py", "alembic/script.py.mako"):
        project.write(name, (REPOSITORY / name).read_text(encoding="utf-8"))
    project.write("alembic/versions/r1.py", REVISION.replace("{sql}", SHOP))
    return project


@pytest.fixture(scope="session")
def drift_role(handrail_scratch: ScratchServer) -> Iterator[str]:
    """A role that owns nothing."""
    role = new_name()
    handrail_scratch.execute(f"CREATE ROLE {role}")
    yield role
    handrail_scratch.execute(f"DROP ROLE {role}")


@pytest.fixture(scope="session")
def shop_url(handrail_scratch: ScratchServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a database that holds the shop, with its journal."""
    server = ScratchServer(handrail_scratch.url)
    name = server.create()
    url = server.url_of(name).replace("postgresql://", "postgresql+psycopg://")
    project = write_project(tmp_path_factory.mktemp("drift") / "shop", server.url_of(server.url.database or ""))
    project.use(url).succeeds("upgrade", "head")
    yield url
    server.drop(name)


@pytest.fixture(scope="session")
def shop_connection(shop_url: str) -> Iterator[Connection]:
    engine = create_engine(shop_url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def migrated(shop_connection: Connection, drift_role: str) -> Iterator[Migrated]:
    """The migrated shop; whatever a test does to it is rolled back."""
    shop_connection.execute(text("SELECT 1"))
    yield Migrated(shop_connection, drift_role)
    shop_connection.rollback()
