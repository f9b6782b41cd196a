"""The plugin as a project uses it: its tests run in a process of their own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator

import pytest

from handrail.config import Project
from handrail.connection import parse_url
from handrail.history import forget
from handrail.scratch import ScratchServer, new_name
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


def test_the_settings_name_the_test_database(handrail_project, database):
    assert handrail_project.database_url == database


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


def run_pytest(project: SmallProject, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the project's tests, with no other plugin than xdist: to load all that are installed takes a second."""
    options = ("-p", "handrail.pytest_plugin", "-p", "xdist", "-p", "no:cacheprovider", "-q")
    return project.run("pytest", *options, *arguments, cwd=project.root, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")


def pytest_in(project: SmallProject, *arguments: str) -> str:
    done = run_pytest(project, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def ordinary_role(shop: SmallProject, handrail_scratch: ScratchServer) -> Iterator[str]:
    """A role that may create databases and nothing else; the project's tests run as it."""
    role = new_name()
    handrail_scratch.execute(f"CREATE ROLE {role} LOGIN CREATEDB PASSWORD 'secret'")
    url = parse_url(shop.environment["HANDRAIL_SCRATCH_URL"]).set(username=role, password="secret")
    shop.environment["HANDRAIL_SCRATCH_URL"] = ScratchServer(url).url_of(url.database or "")
    yield role
    forget(handrail_scratch, Project(shop.root, "shop.base:Base"))
    handrail_scratch.execute(f"DROP ROLE {role}")


@pytest.mark.parametrize(("driver", "workers"), [("asyncpg", "2"), ("psycopg", "0")])
def test_every_test_gets_an_empty_migrated_database(shop: SmallProject, driver: str, workers: str) -> None:
    """With workers that run at the same time and alone, with either driver; nothing is left on the server."""
    _, _, rest = shop.environment["HANDRAIL_SCRATCH_URL"].partition("://")
    shop.environment["HANDRAIL_SCRATCH_URL"] = f"postgresql+{driver}://{rest}"

    assert "6 passed" in pytest_in(shop, "-n", workers)

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

    assert "6 passed" in pytest_in(shop)


def test_as_an_ordinary_role(shop: SmallProject, ordinary_role: str) -> None:
    assert "6 passed" in pytest_in(shop)


def test_before_there_is_a_table(shop: SmallProject, ordinary_role: str) -> None:
    """The first test of a new project: there is nothing to empty yet."""
    for revision in shop.root.glob("alembic/versions/*.py"):
        revision.unlink()
    shop.write("tests/test_shop.py", "def test_nothing(database):\n    pass\n")

    assert "1 passed" in pytest_in(shop)


@pytest.mark.parametrize("pyproject", ["", '[tool.handrail]\nmetadata = "shop.base:Base"\nexcluded = []\n'])
def test_a_wrong_setting_is_one_message(shop: SmallProject, pyproject: str) -> None:
    shop.write("pyproject.toml", pyproject)

    done = run_pytest(shop)

    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.startswith("ERROR: ")
    assert "[tool.handrail]" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_two_heads_are_both_run(shop: SmallProject) -> None:
    """As after a merge in git, until `alembic merge`: the tests go on meanwhile."""
    head = shop.succeeds("heads").split()[0]
    for name in ("first", "second"):
        shop.write(
            f"alembic/versions/{name}.py",
            f"""\
            from alembic import op

            revision = "{name}"
            down_revision = "{head}"


            def upgrade():
                op.execute("CREATE TABLE shop.{name} (id int)")


            def downgrade():
                op.execute("DROP TABLE shop.{name}")
            """,
        )
    shop.write(
        "tests/test_shop.py",
        TESTS.partition("@pytest")[0]
        + """\
def test_both(database):
    assert rows(database, "SELECT count(*) FROM shop.first, shop.second") == 0
""",
    )

    assert "1 passed" in pytest_in(shop)


LEAK = """\
import psycopg

CONNECTIONS = []


def connect(database):
    CONNECTIONS.append(psycopg.connect(database))
    return CONNECTIONS[-1]


def test_pools(database):
    connect(database).autocommit = True
    CONNECTIONS[0].execute("SELECT 1")


def test_leaks(database):
    connect(database).execute("LOCK TABLE shop.customers")


def test_afterwards(database):
    CONNECTIONS[0].execute("INSERT INTO shop.customers (name) VALUES ('Ada')")
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM shop.customers").fetchone() == (1,)
"""


@pytest.mark.parametrize("role", ["superuser", "ordinary_role"])
def test_the_test_that_leaves_a_lock_is_the_one_that_fails(
    shop: SmallProject, role: str, request: pytest.FixtureRequest
) -> None:
    """The tests after it are none the wiser, not even the pool that one of them had filled before."""
    if role != "superuser":
        request.getfixturevalue(role)
    shop.write("tests/test_shop.py", LEAK)

    done = run_pytest(shop, "-rA")

    assert "3 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "ERROR tests/test_shop.py::test_leaks" in done.stdout
    assert "idle in transaction, last statement: LOCK TABLE shop.customers" in done.stdout
