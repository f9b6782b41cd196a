"""Each trap of a hand-written env.py, shown with Alembic's own async template beside ours.

The first half of a test proves that the trap is real; if Alembic repairs it one day, the test says so.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest

from handrail.connection import parse_url
from handrail.scratch import ScratchServer
from small_project import ORDERS, SmallProject

Pair = Callable[..., tuple[SmallProject, SmallProject]]


@pytest.fixture
def pair(
    new_project: Callable[..., SmallProject], empty_database: str, handrail_scratch: ScratchServer
) -> Iterator[Pair]:
    """Yield a function that makes the same project twice: with the stock template as tutorials edit it, and ours."""

    database = handrail_scratch.create()

    def create(options: str = "", *, created: bool = True) -> tuple[SmallProject, SmallProject]:
        ours = new_project()
        ours.write("shop/models.py", ORDERS)
        stock = SmallProject(ours.root.with_name("stock"))
        shutil.copytree(ours.root / "shop", stock.root / "shop")
        stock.run("alembic", "init", "-t", "async", "alembic", cwd=stock.root)
        url = empty_database.replace("postgresql://", "postgresql+asyncpg://")
        edit(stock, "alembic.ini", "driver://user:pass@localhost/dbname", url.replace("%", "%%"))
        edit(
            stock,
            "alembic/env.py",
            "target_metadata = None",
            "import shop.models\ntarget_metadata = shop.base.Base.metadata",
        )
        edit(
            stock,
            "alembic/env.py",
            "context.configure(connection=connection, ",
            f"context.configure(connection=connection, {options}",
        )
        ours.environment["DATABASE_URL"] = handrail_scratch.url_of(database)
        stock.environment["DATABASE_URL"] = url
        if created:
            execute(stock, "CREATE SCHEMA shop")
        return stock, ours

    yield create
    handrail_scratch.drop(database)


def edit(project: SmallProject, path: str, before: str, after: str) -> None:
    """Replace what occurs once in a file."""
    text = (project.root / path).read_text(encoding="utf-8")
    assert text.count(before) == 1
    project.write(path, text.replace(before, after))


def execute(project: SmallProject, *statements: str) -> None:
    """Run statements in the project's database."""
    ScratchServer(parse_url(project.environment["DATABASE_URL"])).execute(*statements)


def migrate(*projects: SmallProject) -> None:
    """Write and apply the first revision."""
    for project in projects:
        project.succeeds("revision", "--autogenerate", "-m", "orders")
        project.succeeds("upgrade", "head")


SCHEMAS = "include_schemas=True, "
VERSIONS = "version_table_schema='shop', "


def test_a_schema_that_is_missing(pair: Pair) -> None:
    """Stock: somebody has to create it by hand. Ours: created."""
    stock, ours = pair(SCHEMAS, created=False)
    stock.succeeds("revision", "--autogenerate", "-m", "orders")
    assert 'schema "shop" does not exist' in stock.alembic("upgrade", "head").stderr

    migrate(ours)


def test_a_forgotten_import(pair: Pair) -> None:
    """Stock: the table is proposed for dropping. Ours: the model is found."""
    stock, ours = pair(SCHEMAS + VERSIONS + "include_name=lambda n, t, p: t != 'schema' or n == 'shop', ")
    migrate(stock, ours)
    edit(stock, "alembic/env.py", "import shop.models", "import shop.base")
    assert "remove_table" in stock.alembic("check").stdout

    assert "No new upgrade operations" in ours.succeeds("check")


def test_include_schemas_is_missing(pair: Pair) -> None:
    """Stock: the tables are created again and again. Ours: compared."""
    stock, ours = pair()
    migrate(stock, ours)
    assert "add_table" in stock.alembic("check").stdout

    assert "No new upgrade operations" in ours.succeeds("check")


def test_include_schemas_is_not_filtered(pair: Pair) -> None:
    """Stock: somebody else's table, and the own version table, are proposed for dropping. Ours: left alone."""
    stock, ours = pair(SCHEMAS)
    migrate(stock, ours)
    for project in (stock, ours):
        execute(project, "CREATE SCHEMA audit", "CREATE TABLE audit.log (id int)")
    said = stock.alembic("check").stdout
    assert "remove_table" in said
    assert "audit" in said

    assert "No new upgrade operations" in ours.succeeds("check")


def test_the_search_path(pair: Pair) -> None:
    """Stock, with the filter that tutorials show: every table twice. Ours: no difference."""
    stock, ours = pair(SCHEMAS + VERSIONS + "include_name=lambda n, t, p: t != 'schema' or n == 'shop', ")
    migrate(stock, ours)
    for project in (stock, ours):
        name = parse_url(project.environment["DATABASE_URL"]).database
        execute(project, f"ALTER DATABASE {name} SET search_path = shop, public")
    assert "add_table" in stock.alembic("check").stdout

    assert "No new upgrade operations" in ours.succeeds("check")


def test_a_statement_before_configure(pair: Pair) -> None:
    """Stock: exit code 0, and nothing has happened. Ours: the schema is created first, and the upgrade counts."""
    stock, ours = pair(SCHEMAS + VERSIONS, created=False)
    configure = "    context.configure(connection=connection, "
    statement = '    connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS shop")\n'
    edit(stock, "alembic/env.py", configure, statement + configure)
    migrate(stock, ours)
    assert stock.succeeds("current") == ""

    assert "(head)" in ours.succeeds("current")


def test_a_percent_sign_in_the_password(pair: Pair) -> None:
    """Stock: invalid interpolation. Ours: an ordinary character."""
    stock, ours = pair(SCHEMAS)
    edit(stock, "alembic.ini", "postgres@", "postgres:p%40ss@")
    assert "Traceback" in stock.alembic("current").stderr

    url = ours.environment["DATABASE_URL"].replace("postgres@", "postgres:p%40ss@")
    assert ours.alembic("current", DATABASE_URL=url).returncode == 0


def test_no_server(pair: Pair) -> None:
    """Stock: a traceback of some eighty lines. Ours: one line."""
    stock, ours = pair()
    url = "postgresql+asyncpg://127.0.0.1:1/shop"
    edit(stock, "alembic.ini", stock.environment["DATABASE_URL"].replace("%", "%%"), url)
    assert "Traceback" in stock.alembic("current").stderr

    done = ours.alembic("current", DATABASE_URL=url)
    assert len((done.stdout + done.stderr).strip().splitlines()) == 1


def test_inside_a_running_loop(pair: Pair) -> None:
    """Stock: asyncio.run() cannot be called. Ours: works."""
    stock, ours = pair(SCHEMAS)
    for project in (stock, ours):
        project.write(
            "lifespan.py",
            """\
            import asyncio

            from alembic import command
            from alembic.config import Config


            async def lifespan():
                command.upgrade(Config("alembic.ini"), "head")


            asyncio.run(lifespan())
            """,
        )
    assert "cannot be called from a running event loop" in stock.run("lifespan", cwd=stock.root).stderr

    done = ours.run("lifespan", cwd=ours.root)
    assert done.returncode == 0, done.stderr


def test_loggers_of_the_application(pair: Pair) -> None:
    """Stock: disabled. Ours: untouched."""
    stock, ours = pair(SCHEMAS)
    for project in (stock, ours):
        project.write(
            "logs.py",
            """\
            import logging

            from alembic import command
            from alembic.config import Config

            logger = logging.getLogger("shop.orders")
            command.current(Config("alembic.ini"))
            print("disabled" if logger.disabled else "enabled")
            """,
        )
    assert "disabled" in stock.run("logs", cwd=stock.root).stdout

    assert "enabled" in ours.run("logs", cwd=ours.root).stdout


def test_one_transaction_for_all_revisions(pair: Pair) -> None:
    """Stock: a failing revision takes those before it with it. Ours: they stay applied."""
    stock, ours = pair(SCHEMAS + VERSIONS)
    for project in (stock, ours):
        head = 'from alembic import op\nrevision = "{}"\ndown_revision = {}\n\n\ndef upgrade():\n    op.execute("{}")\n'
        project.write("alembic/versions/a.py", head.format("a", None, "CREATE TABLE shop.a (id int)"))
        project.write("alembic/versions/b.py", head.format("b", '"a"', "SELECT 1/0"))
        assert project.alembic("upgrade", "head").returncode != 0
    assert stock.succeeds("current") == ""

    assert ours.succeeds("current").split() == ["a"]
