"""The plugin as a project uses it: its tests run in a process of their own."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from small_project import ORDERS, SmallProject

TESTS = """\
import os

import pytest
from sqlalchemy import create_engine, text

URL_AT_IMPORT = os.environ["DATABASE_URL"]


def rows(url, statement="SELECT count(*) FROM shop.customers"):
    with create_engine(url.replace("postgresql://", "postgresql+psycopg://")).begin() as connection:
        result = connection.execute(text(statement))
        return result.scalar() if result.returns_rows else None


@pytest.mark.parametrize("time", range(3))
def test_rows_do_not_survive_a_test(database, time):
    assert database == URL_AT_IMPORT == os.environ["DATABASE_URL"]
    assert rows(database) == SEEDED
    rows(database, "INSERT INTO shop.customers (name) VALUES ('Ada')")
    rows(database, "INSERT INTO shop.orders (customer_id) SELECT id FROM shop.customers LIMIT 1")


def test_an_empty_database_is_empty(empty_database):
    assert rows(empty_database, "SELECT count(*) FROM pg_namespace WHERE nspname = 'shop'") == 0


def test_migrations(migrations):
    for revision in migrations.revisions():
        migrations.upgrade(revision)
        migrations.downgrade()
        migrations.upgrade(revision)
    migrations.check()
"""


@pytest.fixture
def shop(new_project: Callable[..., SmallProject], empty_database: str, pytestconfig: pytest.Config) -> SmallProject:
    """A project with one revision and tests, which must not touch the database that its settings name."""
    project = new_project()
    project.environment["DATABASE_URL"] = empty_database
    project.environment["HANDRAIL_SCRATCH_URL"] = empty_database
    project.write("shop/models.py", ORDERS)
    project.succeeds("revision", "--autogenerate", "-m", "orders")
    project.write("tests/test_shop.py", TESTS.replace("SEEDED", "0"))
    return project


def pytest_in(project: SmallProject, *arguments: str) -> str:
    done = project.run(
        "pytest", "-p", "handrail.pytest_plugin", "-p", "no:cacheprovider", "-q", *arguments, cwd=project.root
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("workers", ["0", "2"])
def test_every_test_gets_an_empty_migrated_database(shop: SmallProject, workers: str) -> None:
    """Alone and with workers that run at the same time; nothing is left on the server."""
    from handrail.connection import parse_url
    from handrail.scratch import ScratchServer

    assert "5 passed" in pytest_in(shop, "-n", workers)

    server = ScratchServer(parse_url(shop.environment["DATABASE_URL"]))
    assert server.scalar("SELECT to_regnamespace('shop')::text") is None
    comment = "SELECT count(*) FROM pg_database WHERE shobj_description(oid, 'pg_database') LIKE :of"
    others = server.scalar(comment, of=f"%process {os.getpid()} on%")
    assert others >= 1


def test_rows_that_migrations_insert_stay(shop: SmallProject) -> None:
    """Tests may rely on them, so they are there again for each test."""
    head = shop.succeeds("heads").split()[0]
    shop.write(
        "alembic/versions/seed.py",
        f"""\
        from alembic import op

        revision = "seed"
        down_revision = "{head}"


        def upgrade():
            op.execute("INSERT INTO shop.customers (name) VALUES ('the first')")


        def downgrade():
            op.execute("DELETE FROM shop.customers")
        """,
    )
    shop.write("tests/test_shop.py", TESTS.replace("SEEDED", "1"))

    assert "5 passed" in pytest_in(shop)
