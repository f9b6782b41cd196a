"""The gate: what is dangerous on this very database is not run before its revision says why it may be."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from faults.shop import Shop, revision
from small_project import SmallProject

REFUSED = 22
BIG = "INSERT INTO shop.orders SELECT n, n FROM generate_series(1, 120000) n; ANALYZE shop.orders"
NOTE = "# handrail: allow {} — nobody has used it since May\n"


@pytest.fixture
def shop(new_project: Callable[..., SmallProject], asyncpg_url: str) -> Shop:
    """A project whose database has one revision, and a table with a few rows."""
    project = new_project()
    project.use(asyncpg_url)
    tables = (
        'op.execute("CREATE TABLE shop.orders (id int PRIMARY KEY, total int, note text)")\n'
        'op.execute("INSERT INTO shop.orders VALUES (0, 0)")\n'
        'op.execute("CREATE TABLE shop.empty (id int)")'
    )
    revision(project, "r1", None, tables)
    project.succeeds("upgrade", "head")
    return Shop(project, asyncpg_url)


def refused(shop: Shop) -> str:
    """Run the upgrade, which the gate must refuse; nothing may have happened."""
    done = shop.project.alembic("upgrade", "head")
    assert done.returncode == REFUSED, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert shop.sql("SELECT version_num FROM shop.alembic_version") == "r1"
    return " ".join(done.stdout.split())


def passes(shop: Shop, to: str = "r2") -> str:
    done = shop.project.alembic("upgrade", "head")
    assert done.returncode == 0, done.stdout + done.stderr
    assert shop.sql("SELECT version_num FROM shop.alembic_version") == to
    return done.stderr


@pytest.mark.parametrize(
    ("statement", "rule", "thing"),
    [
        ("DROP TABLE shop.orders", "drops-table", "shop.orders"),
        ("ALTER TABLE shop.orders DROP COLUMN note", "drops-column", "shop.orders.note"),
        ("TRUNCATE shop.orders", "truncates", "shop.orders"),
        ("DELETE FROM shop.orders", "deletes-all-rows", "shop.orders"),
        ("ALTER TABLE shop.orders ALTER total TYPE smallint", "narrows-type", "shop.orders.total"),
    ],
)
def test_what_is_lost_needs_a_reason(shop: Shop, statement: str, rule: str, thing: str) -> None:
    body = f"for statement in ['{statement}']:\n    op.execute(statement)"
    revision(shop.project, "r2", "r1", body)

    said = refused(shop)

    assert f"alembic/versions/r2.py:11 danger {rule}" in said
    assert f"# handrail: allow {rule} {thing} — <reason>" in said
    revision(shop.project, "r2", "r1", NOTE.format(f"{rule} {thing}") + body)
    passes(shop)


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("CREATE INDEX ix ON shop.orders (total)", "index-not-concurrent"),
        ("ALTER TABLE shop.orders ALTER total TYPE bigint", "type-rewrite"),
        ("ALTER TABLE shop.orders ALTER total SET NOT NULL", "set-not-null"),
        ("ALTER TABLE shop.orders ADD CONSTRAINT positive CHECK (total >= 0)", "check-scan"),
    ],
)
def test_what_takes_long_is_refused_on_a_large_table_only(shop: Shop, statement: str, rule: str) -> None:
    revision(shop.project, "r2", "r1", f'op.execute("{statement}")')
    shop.sql(BIG)

    said = refused(shop)

    assert rule in said
    assert "120,001 rows" in said
    shop.sql("TRUNCATE shop.orders; ANALYZE shop.orders")
    passes(shop)


def test_everything_is_in_one_report(shop: Shop) -> None:
    """Also what stands in a later revision: nothing is run before all of it may be."""
    revision(shop.project, "r2", "r1", 'op.execute("ALTER TABLE shop.orders DROP COLUMN note")')
    revision(shop.project, "r3", "r2", 'op.execute("DROP TABLE shop.orders")')

    said = refused(shop)

    assert "r2.py:10 danger drops-column" in said
    assert "r3.py:10 danger drops-table" in said


def test_what_fails_for_sure_is_not_begun(shop: Shop) -> None:
    revision(shop.project, "r2", "r1", 'op.execute("ALTER TABLE shop.orders ADD COLUMN a int")')
    revision(shop.project, "r3", "r2", 'op.execute("ALTER TABLE shop.orders ADD COLUMN b int NOT NULL")')

    assert "r3.py:10 danger required-column" in refused(shop)


def test_a_required_column_of_an_empty_table_is_nothing(shop: Shop) -> None:
    revision(shop.project, "r2", "r1", 'op.execute("ALTER TABLE shop.empty ADD COLUMN b int NOT NULL")')

    passes(shop)


def test_tables_of_the_same_batch_are_nobodys_yet(shop: Shop) -> None:
    revision(shop.project, "r2", "r1", 'op.execute("CREATE TABLE shop.fresh (id int, note text)")')
    body = 'op.execute("CREATE INDEX ON shop.fresh (id)")\nop.execute("ALTER TABLE shop.fresh DROP COLUMN note")'
    revision(shop.project, "r3", "r2", body)

    passes(shop, "r3")


def test_a_note_without_reason_or_object_is_told(shop: Shop) -> None:
    body = 'op.execute("ALTER TABLE shop.orders ADD COLUMN a int")'
    revision(shop.project, "r2", "r1", "# handrail: allow drops-table shop.orders\n" + body)

    assert "gives no reason" in refused(shop)

    revision(shop.project, "r2", "r1", NOTE.format("drops-table shop.orders") + body)

    assert "has no drops-table shop.orders" in refused(shop)


def test_a_note_for_a_larger_database_is_one_here_as_well(shop: Shop) -> None:
    """The same revision is run where the table is small and where it is large."""
    body = 'op.execute("CREATE INDEX ix ON shop.orders (total)")'
    revision(shop.project, "r2", "r1", NOTE.format("index-not-concurrent shop.orders") + body)

    passes(shop)


def test_the_past_of_an_adopted_project_is_exempt(shop: Shop) -> None:
    revision(shop.project, "r2", "r1", 'op.execute("ALTER TABLE shop.orders DROP COLUMN note")')
    revision(shop.project, "r3", "r2", 'op.execute("ALTER TABLE shop.orders ADD COLUMN a int")')
    refused(shop)
    settings = '[tool.handrail]\nmetadata = "shop.base:Base"\nstart_after = "r2"\n'
    shop.project.write("pyproject.toml", settings)

    passes(shop, "r3")


def test_a_fresh_database_upgrades_without_ceremony(shop: Shop) -> None:
    revision(shop.project, "r2", "r1", 'op.execute("DROP TABLE shop.orders")')
    shop.sql("DROP SCHEMA shop CASCADE")

    passes(shop)


def test_what_cannot_be_seen_is_said_and_run(shop: Shop) -> None:
    body = (
        "if op.get_bind().execute(__import__('sqlalchemy').text('SELECT total FROM shop.orders')).one():\n"
        '    op.execute("ALTER TABLE shop.orders ADD COLUMN a int")'
    )
    revision(shop.project, "r2", "r1", body)

    assert "r2.py:10: not reviewed before it runs" in passes(shop)


def test_reviewing_leaves_nothing_behind(shop: Shop) -> None:
    """A revision that uses every way to the database is read before it is run, and then runs once."""
    body = (
        "from sqlalchemy import inspect, text\n"
        "from sqlalchemy.orm import Session\n"
        "assert inspect(op.get_bind()).has_table('orders', schema='shop')\n"
        "with Session(op.get_bind()) as session:\n"
        "    session.execute(text('INSERT INTO shop.orders VALUES (7, 7)'))\n"
        "    session.flush()\n"
        "with op.batch_alter_table('orders', schema='shop') as batch:\n"
        "    batch.create_check_constraint('positive', 'total >= 0')\n"
    )
    revision(shop.project, "r2", "r1", body)

    passes(shop)

    assert shop.sql("SELECT count(*) FROM shop.orders WHERE id = 7") == "1"


def test_at_a_terminal_the_plan_is_shown_before_it_begins(shop: Shop) -> None:
    """And nowhere else: what a deployment logs stays what Alembic says."""
    revision(shop.project, "r2", "r1", 'op.execute("ALTER TABLE shop.orders ADD COLUMN a int")')
    ours, theirs = os.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "alembic", "upgrade", "head"],
            cwd=shop.project.root,
            env=shop.project.base_environment() | shop.project.environment | {"TERM": "dumb"},
            stdout=subprocess.DEVNULL,
            stderr=theirs,
            check=False,
            timeout=100,
        )
        said = os.read(ours, 65536).decode()
    finally:
        os.close(theirs)
        os.close(ours)

    assert done.returncode == 0, said
    assert said.index("ALTER TABLE shop.orders ADD COLUMN a int") < said.index("Running upgrade r1 -> r2")
    assert "reads and writes of shop.orders, for a moment wait" in said
