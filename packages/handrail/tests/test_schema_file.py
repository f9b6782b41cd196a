"""`alembic/schema.sql`: what it holds, when it is renewed, and how a stale one is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from handrail.config import Project
from handrail.history import History
from handrail.schema_file import HEADER
from small_project import ORDERS, SmallProject

ORDERS_SQL = """
CREATE SCHEMA shop;

CREATE SEQUENCE shop.customers_id_seq AS integer;

CREATE TABLE shop.customers (
    id integer DEFAULT nextval('shop.customers_id_seq'::regclass) NOT NULL,
    name character varying DEFAULT 'it''s 50%'::character varying NOT NULL,
    CONSTRAINT pk_customers PRIMARY KEY (id),
    CONSTRAINT uq_customers_name UNIQUE (name)
);
ALTER SEQUENCE shop.customers_id_seq OWNED BY shop.customers.id;

CREATE SEQUENCE shop.orders_id_seq AS integer;

CREATE TABLE shop.orders (
    id integer DEFAULT nextval('shop.orders_id_seq'::regclass) NOT NULL,
    customer_id integer NOT NULL,
    CONSTRAINT pk_orders PRIMARY KEY (id)
);
ALTER SEQUENCE shop.orders_id_seq OWNED BY shop.orders.id;

CREATE INDEX ix_orders_customer_id ON shop.orders USING btree (customer_id);

ALTER TABLE shop.orders ADD CONSTRAINT fk_orders_customer_id_customers FOREIGN KEY (customer_id) \
REFERENCES shop.customers(id);
"""
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


REVISION = f'''\
from alembic import op

revision = "a1"
down_revision = None


def upgrade():
    for statement in """{ORDERS_SQL.replace("CREATE SCHEMA shop;", "")}""".split(";\\n"):
        if statement.strip():
            op.execute(statement)
'''


@pytest.fixture
def empty_shop(new_project: Callable[..., SmallProject]) -> SmallProject:
    """A project with two models; the configured database is never needed."""
    project = new_project()
    project.environment["DATABASE_URL"] = NOWHERE
    project.write("shop/models.py", ORDERS)
    return project


@pytest.fixture
def shop(empty_shop: SmallProject) -> SmallProject:
    """The project with the revision that creates its tables."""
    empty_shop.write("alembic/versions/a1.py", REVISION)
    empty_shop.write("alembic/schema.sql", f"{HEADER}\n-- Revision: a1\n{ORDERS_SQL}")
    return empty_shop


def written(project: SmallProject) -> str:
    return (project.root / "alembic/schema.sql").read_text(encoding="utf-8")


def test_a_generated_revision_renews_the_file(empty_shop: SmallProject) -> None:
    """To the same text on every version of PostgreSQL."""
    empty_shop.write("alembic/schema.sql", HEADER)

    empty_shop.succeeds("revision", "--autogenerate", "-m", "orders", "--rev-id", "a1")

    assert written(empty_shop) == f"{HEADER}\n-- Revision: a1\n{ORDERS_SQL}"
    done = empty_shop.handrail("schema", "--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert empty_shop.handrail("schema").stdout == written(empty_shop)


def test_a_stale_file_is_shown_as_a_diff_and_mended_by_the_command_that_is_named(shop: SmallProject) -> None:
    shop.write("alembic/schema.sql", written(shop).replace("customer_id integer", "customer_id bigint"))

    done = shop.handrail("schema", "--check")

    assert done.returncode == 1
    assert "\n-    customer_id bigint NOT NULL,\n+    customer_id integer NOT NULL,\n" in done.stdout
    assert done.stderr == (
        "alembic/schema.sql is not what the revisions create. Write and commit it:  handrail schema --write\n"
    )
    assert shop.handrail("schema", "--write").stdout == "Wrote alembic/schema.sql.\n"
    assert shop.handrail("schema", "--write").stdout == "alembic/schema.sql is up to date.\n"
    assert shop.handrail("schema", "--check").returncode == 0


def test_a_revision_without_operations_only_names_itself_and_asks_no_server(shop: SmallProject) -> None:
    shop.succeeds("revision", "-m", "by hand", "--rev-id", "b2", HANDRAIL_SCRATCH_URL=NOWHERE)

    assert written(shop) == f"{HEADER}\n-- Revision: b2\n{ORDERS_SQL}"
    assert shop.handrail("schema", "--check").returncode == 0


def test_what_is_written_into_that_revision_makes_the_file_stale(shop: SmallProject) -> None:
    shop.succeeds("revision", "-m", "by hand", "--rev-id", "b2")
    (file,) = shop.root.glob("alembic/versions/*b2*.py")
    file.write_text(file.read_text().replace("pass", 'op.execute("DROP TABLE shop.orders")', 1))

    done = shop.handrail("schema", "--check")

    assert done.returncode == 1
    assert "-CREATE TABLE shop.orders (" in done.stdout


def test_a_project_without_the_file_is_left_without_it(shop: SmallProject) -> None:
    (shop.root / "alembic/schema.sql").unlink()

    shop.succeeds("revision", "-m", "by hand")

    assert not (shop.root / "alembic/schema.sql").exists()
    assert "alembic/schema.sql is missing." in shop.handrail("schema", "--check").stderr


def test_a_file_that_handrail_did_not_make_is_left_alone(shop: SmallProject) -> None:
    shop.write("alembic/schema.sql", "SELECT 1;\n")

    done = shop.handrail("schema", "--write")

    assert (done.returncode, written(shop)) == (3, "SELECT 1;\n")
    assert "was not made by handrail" in done.stderr


def test_a_revision_that_fails_is_named_with_its_line(shop: SmallProject) -> None:
    shop.succeeds("revision", "-m", "broken", "--rev-id", "b2")
    (file,) = shop.root.glob("alembic/versions/*b2*.py")
    file.write_text(file.read_text().replace("pass", 'op.execute("SELECT nonsense")', 1))

    done = shop.handrail("schema", "--write")

    assert done.returncode == 7
    assert f"alembic/versions/{file.name}:" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_cannot_be_imported_is_named(shop: SmallProject) -> None:
    shop.write("alembic/versions/c3.py", "def upgrade(:\n")

    done = shop.handrail("schema", "--check")

    assert done.returncode == 7
    assert "alembic/versions/c3.py:1: SyntaxError" in done.stderr
    assert "Traceback" not in done.stderr


def test_both_options_at_once_are_refused(shop: SmallProject) -> None:
    assert shop.handrail("schema", "--write", "--check").returncode == 2


def test_two_branches_that_migrate_conflict_in_git(shop: SmallProject) -> None:
    base = written(shop)
    shop.git("init", "--quiet", "--initial-branch=main")
    shop.git("add", ".")
    shop.git("commit", "--quiet", "-m", "base")
    for branch in ("one", "two"):
        shop.git("switch", "--quiet", "-c", branch, "main")
        shop.succeeds("revision", "-m", branch, "--rev-id", branch)
        shop.git("add", ".")
        shop.git("commit", "--quiet", "-m", branch)
    assert written(shop) != base

    with pytest.raises(Exception, match="merge"):
        shop.git("merge", "one")

    assert "-- Revision: two\n=======\n-- Revision: one\n" in written(shop)


def test_the_file_makes_no_other_history(shop: SmallProject) -> None:
    """Otherwise writing it would have the revisions run again."""
    project = Project(shop.root, "shop.base:Base")

    def state() -> str:
        directory = ScriptDirectory.from_config(Config(shop.root / "alembic.ini"))
        return History.of(directory, project, "shop.alembic_version").states[-1]

    before = state()
    (shop.root / "alembic/schema.sql").unlink()
    Path(shop.root / "alembic/versions/.handrail-x").mkdir()
    shop.write("alembic/versions/.handrail-x/half.py", "rev")

    assert state() == before
