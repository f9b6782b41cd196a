"""Models are compared with what the revisions create, whatever state the developer's database is in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from handrail.config import Project
from handrail.connection import parse_url
from handrail.history import HISTORY_PREFIX, KEPT, forget
from handrail.scratch import PREFIX, ScratchServer, new_name
from small_project import ORDERS, SmallProject

NOTE = """
class Note(Base):
    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
"""


@pytest.fixture
def shop(new_project: Callable[..., SmallProject], empty_database: str) -> SmallProject:
    """A project with one revision, applied to its database."""
    project = new_project().use(empty_database)
    project.write("shop/models.py", ORDERS)
    project.succeeds("revision", "--autogenerate", "-m", "orders")
    project.succeeds("upgrade", "head")
    return project


@pytest.fixture
def server(handrail_scratch: ScratchServer) -> ScratchServer:
    return ScratchServer(handrail_scratch.url)


def execute(project: SmallProject, *statements: str) -> None:
    """Edit the developer's database by hand."""
    ScratchServer(parse_url(project.environment["DATABASE_URL"])).execute(*statements)


def histories(server: ScratchServer, project: SmallProject) -> int:
    """Return how many histories of the project are kept."""
    query = "SELECT count(*) FROM pg_database WHERE shobj_description(oid, 'pg_database') LIKE :comment"
    return int(server.scalar(query, comment=f"History of the revisions of {project.root} on %"))


def proposed(project: SmallProject) -> str:
    """Write a revision and return its operations."""
    project.succeeds("revision", "--autogenerate", "-m", "proposed")
    newest = max(project.root.glob("alembic/versions/*.py"), key=lambda file: file.stat().st_mtime_ns)
    text = newest.read_text(encoding="utf-8")
    newest.unlink()
    return "\n".join(line.strip() for line in text.partition("def upgrade()")[2].splitlines() if line.strip())


STATES: dict[str, tuple[list[str], list[str]]] = {
    "at head": ([], []),
    "behind": (["downgrade", "base"], []),
    "edited by hand": ([], ["ALTER TABLE shop.orders ADD COLUMN extra int", "DROP INDEX shop.ix_orders_customer_id"]),
    "with somebody's table in our schema": ([], ["CREATE TABLE shop.theirs (id int)"]),
    "with the new table already": ([], ["CREATE TABLE shop.notes (id serial PRIMARY KEY)"]),
    "without our schema": ([], ["DROP SCHEMA shop CASCADE"]),
    "at a revision of another branch": ([], ["UPDATE shop.alembic_version SET version_num = 'somewhere_else'"]),
}


@pytest.mark.parametrize("state", STATES)
def test_the_state_of_the_database_makes_no_difference(shop: SmallProject, state: str) -> None:
    """The generated revision is the same, and nobody has to upgrade first."""
    shop.write("shop/models.py", ORDERS + NOTE)
    expected = proposed(shop)
    assert expected.count("op.create_table(") == 1
    command, statements = STATES[state]
    if command:
        shop.succeeds(*command)
    execute(shop, *statements)

    assert proposed(shop) == expected
    assert "+ table shop.notes" in shop.refuses("check")
    shop.write("shop/models.py", ORDERS)
    assert "No new upgrade operations" in shop.succeeds("check")


def test_without_any_database(shop: SmallProject) -> None:
    """Neither `check` nor `revision --autogenerate` needs the developer's database."""
    shop.environment["DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/nothing"
    shop.write("shop/models.py", ORDERS + NOTE)

    assert "create_table" in proposed(shop)


def test_an_unchanged_history_is_built_once(shop: SmallProject, server: ScratchServer) -> None:
    """And grown by one revision when one is added: those before it are not run again."""
    shop.succeeds("check")
    kept = histories(server, shop)
    shop.succeeds("check")
    assert histories(server, shop) == kept

    stamp = shop.root / "ran"
    shop.write("alembic/versions/zz.py", later(shop, f'open({str(stamp)!r}, "a").write("x")'))
    shop.succeeds("check")
    shop.succeeds("check")
    assert stamp.read_text() == "x"
    shop.write("alembic/versions/zzz.py", later(shop, "pass"))
    shop.succeeds("check")
    assert stamp.read_text() == "x"


def later(project: SmallProject, statement: str) -> str:
    """Return a revision on top of the newest one that runs a statement."""
    head = project.succeeds("heads").split()[0]
    return f"revision = {head + '_'!r}\ndown_revision = {head!r}\n\n\ndef upgrade():\n    {statement}\n"


def test_files_beside_the_revisions_count(shop: SmallProject) -> None:
    """A revision that reads an SQL file is another one when that file changes."""
    shop.write("alembic/extra.sql", "ALTER TABLE shop.orders ADD COLUMN extra int")
    read = "pathlib.Path(__file__).parents[1].joinpath('extra.sql').read_text()"
    shop.write("alembic/versions/zz.py", "import pathlib\n" + later(shop, f'__import__("alembic").op.execute({read})'))
    assert "- column" in shop.refuses("check")

    shop.write("alembic/extra.sql", "SELECT 1")

    assert "No new upgrade operations" in shop.succeeds("check")


def test_a_revision_with_a_connection_of_its_own_stays_in_the_history(shop: SmallProject) -> None:
    """What opens `DATABASE_URL` by itself gets the throwaway database, and not the configured one."""
    shop.write(
        "alembic/versions/own.py",
        "import os\nfrom sqlalchemy import create_engine\n"
        + later(
            shop,
            "create_engine(os.environ['DATABASE_URL'].replace('postgresql:', 'postgresql+psycopg:'), "
            "isolation_level='AUTOCOMMIT').connect().exec_driver_sql('CREATE TABLE public.mine (id int)')",
        ),
    )

    assert "- table public.mine" in shop.refuses("check")

    server = ScratchServer(parse_url(shop.environment["DATABASE_URL"]))
    assert server.scalar("SELECT to_regclass('public.mine')::text") is None


def test_an_edited_revision_is_another_history(shop: SmallProject) -> None:
    """What counts is the content of the scripts, applied or not."""
    assert "No new upgrade operations" in shop.succeeds("check")
    (first,) = shop.root.glob("alembic/versions/*.py")
    text = first.read_text(encoding="utf-8")
    shop.write("alembic/versions/" + first.name, text.replace("it''s 50%", "another default"))

    assert "default" in shop.refuses("check")


def test_only_the_newest_histories_are_kept(shop: SmallProject, server: ScratchServer) -> None:
    """Whoever goes on for years does not collect databases."""
    for _ in range(KEPT + 2):
        shop.succeeds("revision", "-m", "one more")
        shop.succeeds("check")

    assert histories(server, shop) == KEPT
    forget(server, Project(shop.root, "shop.base:Base"))
    assert histories(server, shop) == 0


def test_a_revision_that_cannot_run_there_names_the_way_out(shop: SmallProject) -> None:
    """A missing extension, for instance; nothing is left on the server."""
    head = shop.succeeds("heads").split()[0]
    shop.write(
        "alembic/versions/gis.py",
        f"""\
        from alembic import op

        revision = "gis"
        down_revision = "{head}"


        def upgrade():
            op.execute("CREATE EXTENSION no_such_extension")
        """,
    )

    message = shop.refuses("check")

    assert "alembic/versions/gis.py:8" in message
    assert "no_such_extension" in message
    assert 'scratch_url = "postgresql://…" in [tool.handrail]' in message


@pytest.mark.parametrize("schema", ["shop", None])
def test_tables_that_an_extension_brought_are_not_ours(
    new_project: Callable[..., SmallProject], empty_database: str, schema: str | None
) -> None:
    """Although a revision of ours created the extension: PostGIS, for instance, brings `spatial_ref_sys`."""
    project = new_project(schema).use(empty_database)
    project.write("shop/models.py", ORDERS)
    project.succeeds("revision", "--autogenerate", "-m", "orders")
    place = schema or "public"
    brings = f"CREATE TABLE {place}.spatial_ref_sys (id int); ALTER EXTENSION plpgsql ADD TABLE {place}.spatial_ref_sys"
    statements = [f'__import__("alembic").op.execute("{statement}")' for statement in brings.split("; ")]
    project.write("alembic/versions/gis.py", later(project, "\n    ".join(statements)))

    assert "No new upgrade operations" in project.succeeds("check")


def test_the_progress_of_the_history_is_not_shown(shop: SmallProject) -> None:
    """`Running upgrade` would be read as the developer's database."""
    shop.succeeds("revision", "-m", "empty")

    assert "Running upgrade" not in shop.alembic("check").stderr


def test_two_heads(shop: SmallProject) -> None:
    """Both are in the history; how to get back to one is said before anything is compared."""
    head = shop.succeeds("heads").split()[0]
    shop.succeeds("revision", "-m", "left", "--head", head)
    shop.succeeds("revision", "-m", "right", "--head", head, "--splice")

    assert "No new upgrade operations" in shop.succeeds("check")
    assert "there are 2 heads" in shop.refuses("revision", "--autogenerate", "-m", "third")
    assert len(shop.revisions()) == 3


def test_several_at_once(shop: SmallProject) -> None:
    """They build the same history at the same time, and all get the same answer."""
    shop.succeeds("revision", "-m", "empty")
    commands = [shop.start("alembic", "check") for _ in range(4)]

    for command in commands:
        output, errors = command.communicate(timeout=100)
        assert command.returncode == 0, errors
        assert "No new upgrade operations" in output


def test_killed_it_leaves_nothing_that_looks_like_a_history(shop: SmallProject, server: ScratchServer) -> None:
    """kill -9 while the history is built: the next command sweeps the rest, and answers right."""
    shop.write("alembic/versions/slow.py", later(shop, '__import__("alembic").op.execute("SELECT pg_sleep(60)")'))
    command = shop.start("alembic", "check")
    mine = f"{PREFIX}{command.pid}_"
    count = "SELECT count(*) FROM pg_database WHERE starts_with(datname, :name)"
    busy = "SELECT count(*) FROM pg_stat_activity WHERE starts_with(datname, :name) AND query LIKE '%pg_sleep%'"
    deadline = time.monotonic() + 60
    while not server.scalar(busy, name=mine) and time.monotonic() < deadline:
        time.sleep(0.05)
    command.kill()
    command.communicate()
    assert server.scalar(count, name=mine) == 1
    (shop.root / "alembic/versions/slow.py").unlink()

    assert "No new upgrade operations" in shop.succeeds("check")
    assert server.scalar(count, name=mine) == 0


@pytest.fixture
def weak_role(handrail_scratch: ScratchServer, empty_database: str) -> Iterator[str]:
    """URL of the database for a role that may not create databases."""
    name = new_name()
    database = parse_url(empty_database).database
    handrail_scratch.execute(f"CREATE ROLE {name} LOGIN", f"GRANT CREATE ON DATABASE {database} TO {name}")
    yield parse_url(empty_database).set(drivername="postgresql", username=name).render_as_string(hide_password=False)
    handrail_scratch.drop(database or "")
    handrail_scratch.execute(f"DROP ROLE {name}")


def test_without_a_throwaway_server_the_database_itself_is_compared(shop: SmallProject, weak_role: str) -> None:
    """With one line that says so. In production nothing is started, and no database is created."""
    shop.succeeds("downgrade", "base")
    execute(shop, "DROP SCHEMA shop CASCADE")
    shop.environment = {"DATABASE_URL": weak_role, "ENVIRONMENT": "production"}
    shop.succeeds("upgrade", "head")

    done = shop.alembic("check")

    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "INFO" not in line]
    assert line.startswith("Compared with the database itself, manual edits included")
    assert not (shop.root / ".postgres").exists()


def test_the_configured_server_is_used_where_no_other_is(
    shop: SmallProject, server: ScratchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If its role may create databases: with no binaries of PostgreSQL at hand, as in a slim container."""
    shop.environment.pop("HANDRAIL_SCRATCH_URL")
    shop.write("hide.py", HIDE_BINARIES)

    done = shop.run("hide", cwd=shop.root)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "No new upgrade operations" in done.stdout
    assert "Compared with the database itself" not in done.stderr
    assert histories(server, shop) >= 1


HIDE_BINARIES = """\
import alembic.config

import handrail.postgres.cluster
from handrail.errors import ServerError


def none_found():
    raise ServerError("no PostgreSQL was found")


handrail.postgres.cluster.find_binaries = none_found
alembic.config.main(argv=["check"])
"""


def test_the_name_says_what_it_is() -> None:
    """So that somebody who lists the databases knows."""
    assert HISTORY_PREFIX == "handrail_history_"
