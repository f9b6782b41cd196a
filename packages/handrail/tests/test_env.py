"""Plain `alembic` with an env.py of one call: every command, both drivers, and the traps of a hand-written env.py."""

from __future__ import annotations

import asyncio
import io
import logging
import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from handrail.connection import parse_url, with_connection
from handrail.scratch import ScratchServer
from small_project import ORDERS, SmallProject

NewProject = Callable[..., SmallProject]


@pytest.fixture
def shop(new_project: NewProject, url: str) -> SmallProject:
    """A project with two tables and one applied revision."""
    project = new_project()
    project.use(url)
    project.write("shop/orders/models.py", ORDERS)
    project.succeeds("revision", "--autogenerate", "-m", "create orders")
    project.succeeds("upgrade", "head")
    return project


def query(url: str, statement: str) -> str:
    """Run one statement in autocommit mode and return the first value as text."""

    def work(connection: Connection) -> str:
        result = connection.execute(text(statement))
        return str(result.scalar()) if result.returns_rows else ""

    return with_connection(parse_url(url), work, application="tests", autocommit=True)


def tables(url: str) -> str:
    """Return all tables but PostgreSQL's own and the journal, as `schema.table` in order."""
    return query(
        url,
        """
        SELECT string_agg(schemaname || '.' || tablename, ' ' ORDER BY (schemaname || '.' || tablename) COLLATE "C")
        FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND tablename <> 'handrail_journal'
        """,
    )


def test_the_whole_workflow_of_the_tutorials(shop: SmallProject, url: str) -> None:
    """Revision, upgrade, current, history, heads, check, downgrade, stamp and merge behave as documented."""
    assert "No new upgrade operations" in shop.succeeds("check")
    assert "(head)" in shop.succeeds("current")
    assert "create orders" in shop.succeeds("history")
    assert "(head)" in shop.succeeds("heads")
    assert tables(url) == "shop.alembic_version shop.customers shop.orders"

    shop.succeeds("downgrade", "-1")
    assert tables(url) == "shop.alembic_version"
    shop.succeeds("stamp", "head")
    assert tables(url) == "shop.alembic_version"
    assert "(head)" in shop.succeeds("current")
    shop.succeeds("stamp", "base")
    shop.succeeds("upgrade", "head")

    head = shop.succeeds("heads").split()[0]
    shop.succeeds("revision", "-m", "left", "--head", head)
    shop.succeeds("revision", "-m", "right", "--head", head, "--splice")
    shop.succeeds("merge", "-m", "together", "heads")
    shop.succeeds("upgrade", "head")
    assert "No new upgrade operations" in shop.succeeds("check")


@pytest.mark.one_driver
def test_progress_is_shown_as_alembic_shows_it(shop: SmallProject) -> None:
    """The stock logging configuration is not needed for the lines that everybody knows."""
    shop.succeeds("downgrade", "base")

    done = shop.alembic("upgrade", "head")

    assert "INFO  [alembic.runtime.migration] Running upgrade  -> " in done.stderr


@pytest.mark.one_driver
def test_a_model_in_a_module_that_nobody_imports_is_seen(shop: SmallProject) -> None:
    """The first classic mistake: a forgotten import must not become a missing or a dropped table."""
    shop.write("shop/deep/er/models.py", ORDERS.replace("customers", "guests").replace('"orders"', '"visits"'))

    shop.succeeds("revision", "--autogenerate", "-m", "guests")

    (text_of_revision,) = [revision for revision in shop.revisions() if "guests" in revision]
    assert "create_table" in text_of_revision
    assert "drop_table" not in text_of_revision.partition("def downgrade")[0]


@pytest.mark.one_driver
def test_tables_of_others_are_never_proposed(shop: SmallProject, url: str) -> None:
    """The second classic mistake: `include_schemas` is on, and nothing outside our schema takes part."""
    for statement in (
        "CREATE TABLE public.spatial_ref_sys (id int PRIMARY KEY)",
        "CREATE SCHEMA audit",
        "CREATE TABLE audit.orders (id int PRIMARY KEY)",
        "CREATE TABLE public.orders (id int PRIMARY KEY)",
    ):
        query(url, statement)

    assert "No new upgrade operations" in shop.succeeds("check")


@pytest.mark.parametrize("path", ["shop, public", "public, shop", "''"])
def test_the_search_path_of_the_role_makes_no_difference(shop: SmallProject, url: str, path: str) -> None:
    """With the own schema in the search path stock Alembic sees each table twice, or drops the version table."""
    query(url, "CREATE TABLE public.customers (id int PRIMARY KEY)")
    query(url, f"ALTER DATABASE {parse_url(url).database} SET search_path = {path}")
    scratch = f"{shop.environment['HANDRAIL_SCRATCH_URL']}{'&' if '?' in url else '?'}"
    shop.environment["HANDRAIL_SCRATCH_URL"] = f"{scratch}options={quote(f'-csearch_path={path}'.replace(' ', ''))}"

    assert "No new upgrade operations" in shop.succeeds("check")
    shop.succeeds("downgrade", "base")
    shop.succeeds("upgrade", "head")
    assert tables(url) == "public.customers shop.alembic_version shop.customers shop.orders"
    assert "nothing was written" in shop.alembic("revision", "--autogenerate", "-m", "nothing").stderr
    assert len(shop.revisions()) == 1


NAMES = ["my-service", "my service", 'the "best"', "o'brien", "Capitals", "100%", "a.b", "per%cent(s)s", "äöü"]
PSYCOPG_TOO = ['the "best"', "o'brien", "per%cent(s)s"]  # the driver that writes its own % and quotes


@pytest.mark.parametrize(
    ("schema", "driver"), [(name, "asyncpg") for name in NAMES] + [(name, "psycopg") for name in PSYCOPG_TOO]
)
def test_schema_names_that_need_quoting(new_project: NewProject, empty_database: str, schema: str, driver: str) -> None:
    """Any name that PostgreSQL allows works, online and offline."""
    url = empty_database.replace("postgresql://", f"postgresql+{driver}://")
    project = new_project(schema).use(url)
    project.write("shop/models.py", ORDERS)

    project.succeeds("revision", "--autogenerate", "-m", "create orders")
    project.succeeds("upgrade", "head")
    assert "No new upgrade operations" in project.succeeds("check")
    assert tables(url) == f"{schema}.alembic_version {schema}.customers {schema}.orders"

    script = project.succeeds("upgrade", "head", "--sql")
    project.succeeds("downgrade", "base")
    query(url, 'DROP SCHEMA "{}" CASCADE'.format(schema.replace('"', '""')).replace(":", r"\:"))
    run_script(url, script)
    assert "No new upgrade operations" in project.succeeds("check")


def run_script(url: str, script: str) -> None:
    """Run what `--sql` printed, as psql would: all of it over one connection, without parameters."""
    parsed = parse_url(url).set(drivername="postgresql+psycopg")
    with create_engine(parsed, isolation_level="AUTOCOMMIT").connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute(script)
        connection.connection.invalidate()


@pytest.mark.one_driver
def test_several_schemas(new_project: NewProject, url: str) -> None:
    """Each schema of the metadata is created when a revision first needs it, also in the output of `--sql`."""
    project = new_project()
    project.use(url)
    project.write("shop/models.py", ORDERS)
    project.write(
        "shop/audit.py",
        """\
        from sqlalchemy import ForeignKey
        from sqlalchemy.orm import Mapped, mapped_column

        from shop.base import Base
        from shop.models import Order


        class Entry(Base):
            __tablename__ = "entries"
            __table_args__ = {"schema": "audit log"}

            id: Mapped[int] = mapped_column(primary_key=True)
            order_id: Mapped[int] = mapped_column(ForeignKey(Order.id))
        """,
    )

    project.succeeds("revision", "--autogenerate", "-m", "all")
    project.succeeds("upgrade", "head")

    assert "No new upgrade operations" in project.succeeds("check")
    assert tables(url) == "audit log.entries shop.alembic_version shop.customers shop.orders"
    script = project.succeeds("upgrade", "head", "--sql")
    assert script.count("CREATE SCHEMA IF NOT EXISTS shop;") == 1
    assert script.count('CREATE SCHEMA IF NOT EXISTS "audit log";') == 1
    assert 'CREATE SCHEMA IF NOT EXISTS "audit log"' not in project.succeeds("downgrade", "head:base", "--sql")


@pytest.mark.one_driver
def test_models_without_a_schema_live_in_the_default_schema(new_project: NewProject, url: str) -> None:
    """A project that never named a schema keeps working in the schema that its search path says."""
    project = new_project(None)
    project.use(url)
    project.write("shop/models.py", ORDERS)
    query(url, "CREATE SCHEMA other")
    query(url, "CREATE TABLE other.t (id int)")

    project.succeeds("revision", "--autogenerate", "-m", "all")
    project.succeeds("upgrade", "head")

    assert "No new upgrade operations" in project.succeeds("check")
    assert tables(url) == "other.t public.alembic_version public.customers public.orders"


@pytest.mark.one_driver
def test_the_version_table_can_stay_where_it_is(shop: SmallProject, url: str) -> None:
    """A project that is adopted has its version table already, perhaps elsewhere and under another name."""
    shop.succeeds("downgrade", "base")
    settings = 'version_table = "versions"\nversion_table_schema = "public"\n'
    shop.write("pyproject.toml", '[tool.handrail]\nmetadata = "shop.base:Base"\n' + settings)
    query(url, "DROP TABLE shop.alembic_version")

    shop.succeeds("upgrade", "head")

    assert tables(url) == "public.versions shop.customers shop.orders"
    assert "No new upgrade operations" in shop.succeeds("check")


def test_looking_changes_nothing(new_project: NewProject, url: str) -> None:
    """Commands that only look create neither schema nor version table in an empty database."""
    project = new_project()
    project.use(url)
    project.write("shop/models.py", ORDERS)

    project.succeeds("current")
    project.succeeds("revision", "--autogenerate", "-m", "all")
    project.alembic("check")

    assert query(url, "SELECT count(*) FROM pg_namespace WHERE nspname = 'shop'") == "0"
    assert tables(url) == "None"


def test_offline_needs_no_database(new_project: NewProject) -> None:
    """`--sql` asks no server, in whichever direction."""
    project = new_project()
    project.environment["DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/nothing"
    project.write(
        "alembic/versions/one.py",
        "revision = 'one'\ndown_revision = None\ndef upgrade(): pass\ndef downgrade(): pass\n",
    )

    assert "CREATE SCHEMA IF NOT EXISTS shop;" in project.succeeds("upgrade", "head", "--sql")
    assert "CREATE SCHEMA" not in project.succeeds("downgrade", "one:base", "--sql")
    assert "CREATE SCHEMA IF NOT EXISTS shop;" in project.succeeds("stamp", "head", "--sql")


def test_each_revision_is_its_own_transaction(shop: SmallProject, url: str) -> None:
    """A failing revision leaves those before it applied, and nothing of itself; the message names its line."""
    head = shop.succeeds("heads").split()[0]
    shop.write(
        "alembic/versions/z1.py",
        f"""\
        from alembic import op

        revision = "good"
        down_revision = "{head}"


        def upgrade():
            op.execute("CREATE TABLE shop.good (id int)")
        """,
    )
    shop.write(
        "alembic/versions/z2.py",
        """\
        from alembic import op

        revision = "bad"
        down_revision = "good"


        def upgrade():
            op.execute("CREATE TABLE shop.half (id int)")
            op.execute("CREATE TABLE shop.good (id int)")
        """,
    )

    message = shop.refuses("upgrade", "head")

    assert 'alembic/versions/z2.py:9: PostgreSQL refused this: relation "good" already exists' in message
    assert tables(url) == "shop.alembic_version shop.customers shop.good shop.orders"
    assert shop.succeeds("current").split()[0] == "good"


@pytest.mark.one_driver
def test_from_any_working_directory(shop: SmallProject, tmp_path: Path) -> None:
    """The configuration file says where the project is; the working directory does not matter."""
    done = shop.run("alembic", "-c", str(shop.root / "alembic.ini"), "check", cwd=Path("/"))

    assert done.returncode == 0, done.stderr
    assert "No new upgrade operations" in done.stdout


@pytest.mark.one_driver
def test_the_url_can_be_given_in_three_places(shop: SmallProject, url: str) -> None:
    """`-x url=` wins over alembic.ini, which wins over the settings."""
    wrong = "postgresql://nobody@127.0.0.1:1/nothing"
    assert "(head)" in shop.succeeds("-x", f"url={url}", "current", DATABASE_URL=wrong)

    ini = (shop.root / "alembic.ini").read_text()
    shop.write("alembic.ini", ini.replace("[alembic]\n", f"[alembic]\nsqlalchemy.url = {url}\n"))
    assert "(head)" in shop.succeeds("current", DATABASE_URL=wrong)
    assert "127.0.0.1:1" in shop.refuses("-x", f"url={wrong}", "current")

    shop.write(
        "alembic.ini", ini.replace("[alembic]\n", "[alembic]\nsqlalchemy.url = driver://user:pass@localhost/dbname\n")
    )
    assert "(head)" in shop.succeeds("current")


@pytest.mark.one_driver
@pytest.mark.parametrize("percent", ["%", "%%"])
def test_a_percent_sign_in_the_ini_need_not_be_doubled(shop: SmallProject, url: str, percent: str) -> None:
    """`%40` in a password is what people write; ConfigParser alone would call it an invalid interpolation."""
    ini = (shop.root / "alembic.ini").read_text()
    coded = url.replace("postgres@", f"postgres:p{percent}40ss@")
    shop.write("alembic.ini", ini.replace("[alembic]\n", f"[alembic]\nsqlalchemy.url = {coded}\n"))

    assert "(head)" in shop.succeeds("current", DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")


@pytest.mark.one_driver
def test_settings_come_from_dotenv(shop: SmallProject, url: str) -> None:
    """`.env` is read as pydantic-settings would read it; the environment wins over it."""
    del shop.environment["DATABASE_URL"]
    shop.write(".env", f"DATABASE_URL='{url}'\n")

    assert "(head)" in shop.succeeds("current")
    assert "127.0.0.1:1" in shop.refuses("current", DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")


@pytest.mark.one_driver
def test_alembic_configured_by_pyproject_alone(shop: SmallProject) -> None:
    """`[tool.alembic]` in pyproject.toml does as well as an alembic.ini."""
    (shop.root / "alembic.ini").unlink()
    settings = '[tool.alembic]\nscript_location = "%(here)s/alembic"\nprepend_sys_path = ["."]\n'
    shop.write("pyproject.toml", '[tool.handrail]\nmetadata = "shop.base:Base"\n' + settings)

    assert "No new upgrade operations" in shop.succeeds("check")


@pytest.fixture
def config(shop: SmallProject, url: str, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Alembic's configuration of the project, for commands that run inside this process."""
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.syspath_prepend(shop.root)
    return Config(shop.root / "alembic.ini", stdout=io.StringIO())


def test_twice_in_one_process(config: Config, url: str) -> None:
    """Commands can be called from code, one after the other."""
    for _ in range(2):
        command.downgrade(config, "base")
        command.upgrade(config, "head")
        command.check(config)

    assert tables(url) == "shop.alembic_version shop.customers shop.orders"


def test_inside_a_running_event_loop(config: Config, url: str) -> None:
    """A FastAPI lifespan or a notebook may call Alembic although a loop is running."""

    async def lifespan() -> None:
        command.downgrade(config, "base")
        command.upgrade(config, "head")

    asyncio.run(lifespan())

    assert tables(url) == "shop.alembic_version shop.customers shop.orders"


def test_a_connection_that_is_handed_over_is_used(config: Config, url: str) -> None:
    """With its caller's transaction: what the caller rolls back has not happened."""

    def migrate(connection: object) -> None:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")

    async def roll_back() -> None:
        engine = create_async_engine(parse_url(url).set(drivername="postgresql+asyncpg"))
        async with engine.connect() as connection, connection.begin() as transaction:
            path = await connection.scalar(text("SHOW search_path"))
            await connection.run_sync(migrate)
            config.attributes["connection"] = connection.sync_connection
            await connection.run_sync(lambda _: command.upgrade(config, "head"))
            await connection.run_sync(lambda _: command.check(config))
            assert await connection.scalar(text("SHOW search_path")) == path
            await connection.run_sync(migrate)
            await transaction.rollback()
        await engine.dispose()

    asyncio.run(roll_back())

    assert tables(url) == "shop.alembic_version shop.customers shop.orders"


def test_several_commands_on_one_connection_of_the_caller(config: Config, url: str) -> None:
    """Without a transaction of the caller's each command is final; what a command only read leaves none open."""
    engine = create_engine(parse_url(url).set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.check(config)
        command.downgrade(config, "base")
        command.current(config)
        command.upgrade(config, "head")
    engine.dispose()

    assert tables(url) == "shop.alembic_version shop.customers shop.orders"
    assert query(url, "SELECT count(*) FROM shop.alembic_version") == "1"


@pytest.mark.one_driver
def test_loggers_of_the_application_stay_as_they_are(config: Config) -> None:
    """`fileConfig` of the stock template disables every logger that exists already."""
    logger = logging.getLogger("shop.orders")
    before = logging.getLogger().handlers[:]

    command.current(config)

    assert not logger.disabled
    assert logging.getLogger().handlers == before


def test_a_revision_that_commits_by_itself_is_told(shop: SmallProject) -> None:
    """Its version would be lost, and the next upgrade would fail on what is there already."""
    head = shop.succeeds("heads").split()[0]
    shop.write(
        "alembic/versions/z.py",
        f"""\
        from alembic import op

        revision = "z"
        down_revision = "{head}"


        def upgrade():
            op.execute("CREATE TABLE shop.z (id int)")
            op.get_bind().commit()
        """,
    )

    assert "the revision ended Alembic's transaction by itself" in shop.refuses("upgrade", "head")


def test_an_autocommit_block(shop: SmallProject, url: str) -> None:
    """`CREATE INDEX CONCURRENTLY` runs outside a transaction, and its revision is recorded."""
    head = shop.succeeds("heads").split()[0]
    shop.write(
        "alembic/versions/z.py",
        f"""\
        from alembic import op

        revision = "z"
        down_revision = "{head}"


        def upgrade():
            with op.get_context().autocommit_block():
                op.create_index("ix_z", "orders", ["customer_id"], schema="shop", postgresql_concurrently=True)
        """,
    )

    shop.succeeds("upgrade", "head")

    assert query(url, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'shop.ix_z'::regclass") == "True"
    assert shop.succeeds("current").split()[0] == "z"


@pytest.mark.one_driver
@pytest.mark.parametrize("argument", ["url=", "url", "URL=postgresql://somewhere/else"])
def test_a_url_that_is_not_one_is_not_ignored(shop: SmallProject, argument: str) -> None:
    """An empty shell variable must not lead to another database."""
    assert "it must be -x url=postgresql://" in shop.refuses("-x", argument, "current")


@pytest.mark.one_driver
@pytest.mark.parametrize("start", ["base", None])
def test_offline_from_the_beginning(shop: SmallProject, start: str | None) -> None:
    """However the beginning is written, the schema comes before the version table."""
    script = shop.succeeds("upgrade", f"{start}:head" if start else "head", "--sql")

    assert script.index("CREATE SCHEMA IF NOT EXISTS shop;") < script.index("CREATE TABLE shop.alembic_version")


def test_a_missing_privilege_on_the_version_table(
    shop: SmallProject, url: str, handrail_scratch: ScratchServer
) -> None:
    """One line, although no line of a revision is at fault."""
    role = f"handrail_reader_{os.getpid()}"
    handrail_scratch.execute(f"CREATE ROLE {role} LOGIN")
    try:
        message = shop.refuses("current", DATABASE_URL=str(parse_url(url).set(username=role)))
        assert "permission denied for schema shop" in message
    finally:
        handrail_scratch.execute(f"DROP ROLE {role}")


@pytest.mark.one_driver
def test_models_without_a_schema_beside_a_visible_schema_of_others(new_project: NewProject, url: str) -> None:
    """Alembic finds the tables of the whole search path under the name None; only those of the first are ours."""
    project = new_project(None).use(url)
    project.write("shop/models.py", ORDERS)
    project.succeeds("revision", "--autogenerate", "-m", "all")
    project.environment["ENVIRONMENT"] = "production"  # so that this very database is compared
    del project.environment["HANDRAIL_SCRATCH_URL"]
    project.succeeds("upgrade", "head")
    query(url, "CREATE SCHEMA audit")
    query(url, "CREATE TABLE audit.log (id int)")
    query(url, f"ALTER DATABASE {parse_url(url).database} SET search_path = public, audit")

    assert "No new upgrade operations" in project.succeeds("check")


@pytest.mark.one_driver
def test_several_schemas_that_are_all_visible(new_project: NewProject, url: str) -> None:
    """Foreign keys between them keep their schema."""
    project = new_project().use(url)
    project.write(
        "shop/models.py",
        ORDERS.replace(
            '__tablename__ = "customers"', '__tablename__ = "customers"\n    __table_args__ = {"schema": "people"}'
        ),
    )
    project.succeeds("revision", "--autogenerate", "-m", "all")
    project.environment["ENVIRONMENT"] = "production"
    del project.environment["HANDRAIL_SCRATCH_URL"]
    project.succeeds("upgrade", "head")
    query(url, f"ALTER DATABASE {parse_url(url).database} SET search_path = shop, people, public")

    assert "No new upgrade operations" in project.succeeds("check")


@pytest.mark.one_driver
def test_types_of_the_project_are_imported_where_they_are_used(new_project: NewProject, url: str) -> None:
    """Alembic writes `shop.types.Lower()` without importing `shop.types`."""
    project = new_project().use(url)
    project.write(
        "shop/types.py",
        """\
        from sqlalchemy import Text
        from sqlalchemy.types import TypeDecorator


        class Lower(TypeDecorator[str]):
            impl = Text
            cache_ok = True
        """,
    )
    project.write(
        "shop/models.py",
        ORDERS.replace('server_default="it\'s 50%", unique=True', "Lower()").replace(
            "from shop.base", "from shop.types import Lower\nfrom shop.base"
        ),
    )

    project.succeeds("revision", "--autogenerate", "-m", "all")

    assert "import shop.types" in project.revisions()[0]
    project.succeeds("upgrade", "head")


@pytest.mark.one_driver
def test_only_comparing_commands_import_the_models(shop: SmallProject) -> None:
    """`current`, `history`, `heads` and `upgrade` cost the same with a thousand models, and run where one is broken."""
    shop.write("shop/broken.py", "raise RuntimeError('imported')\n")

    for arguments in (
        ["current"],
        ["history"],
        ["heads"],
        ["upgrade", "head"],
        ["downgrade", "base"],
        ["upgrade", "head"],
    ):
        shop.succeeds(*arguments)
    assert "RuntimeError: imported" in shop.refuses("check")


@pytest.mark.one_driver
def test_production_never_touches_the_development_server(shop: SmallProject) -> None:
    """In production the code that starts servers is not even imported."""
    script = (
        "import sys, alembic.config; alembic.config.main(argv=['upgrade', 'head']); "
        "print([name for name in sys.modules if name.startswith('handrail.postgres')])"
    )
    shop.write("run_alembic.py", script)

    done = shop.run("run_alembic", cwd=shop.root, ENVIRONMENT="production")

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
