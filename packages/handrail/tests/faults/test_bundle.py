"""A database from its beginning: revisions go to the server many at a time, and nobody can tell from what they did."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import asyncpg
import pytest
from alembic.runtime.migration import HeadMaintainer, MigrationContext

from faults.shop import Shop, revision
from handrail.errors import DatabaseUnavailableError, MigrationError
from handrail.upgrade.bundle import REVISIONS, begun, version_move


def test_each_revision_is_a_transaction_of_its_own(shop: Shop) -> None:
    """With its version and its row of the journal, as one by one."""
    shop.project.succeeds("upgrade", "head")

    shop.assert_whole()
    assert (
        shop.sql("SELECT count(DISTINCT xmin::text) FROM shop.handrail_journal WHERE revision IN ('r1', 'r3', 'r5')")
        == "3"
    )


def test_what_is_refused_is_told_with_its_line(shop: Shop) -> None:
    """Revisions before it stay applied, and the next run goes on from there."""
    revision(shop.project, "r3", "r2", 'op.execute("ALTER TABLE shop.goods ADD COLUMN code text")')

    failed = shop.project.alembic("upgrade", "head")

    assert failed.returncode == MigrationError.exit_code, failed.stdout + failed.stderr
    assert "A part of what was sent together was refused; going on one by one." in failed.stderr
    assert 'alembic/versions/r3.py:10: PostgreSQL refused this: column "code" of relation' in failed.stdout
    assert shop.sql("SELECT version_num FROM shop.alembic_version") == "r2"
    assert shop.sql("SELECT string_agg(revision, ' ' ORDER BY id) FROM shop.handrail_journal") == "r1 r2"
    revision(shop.project, "r3", "r2", 'op.execute("ALTER TABLE shop.goods ADD COLUMN note text")')
    shop.project.succeeds("upgrade", "head")
    shop.assert_whole()


def test_what_is_refused_in_a_later_message(shop: Shop) -> None:
    """It is noticed when the next one is to be sent, and nothing of that one is done."""
    wrong, end = REVISIONS + 10, 2 * REVISIONS + 10
    for number in range(7, end):
        statement = "SELECT 1" if number != wrong else "SELECT nothing"
        revision(shop.project, f"r{number}", f"r{number - 1}", f'op.execute("{statement}")')

    failed = shop.project.alembic("upgrade", "head")

    assert failed.returncode == MigrationError.exit_code, failed.stdout + failed.stderr
    assert f'r{wrong}.py:10: PostgreSQL refused this: column "nothing" does not exist' in failed.stdout
    assert shop.sql("SELECT version_num FROM shop.alembic_version") == f"r{wrong - 1}"
    assert shop.sql("SELECT count(*) FROM shop.handrail_journal") == str(wrong - 1)


def test_the_move_of_a_version_is_written_as_alembic_means_it() -> None:
    """Were Alembic's statement another one some day, it would be compiled as before, which takes longer."""
    migration = MigrationContext.configure(dialect_name="postgresql", opts={"version_table_schema": "a-b"})
    said: list[Any] = []
    migration.impl._exec = said.append  # type: ignore[method-assign, assignment]
    migration.opts["as_sql"] = migration.as_sql = True

    HeadMaintainer(migration, ["r1"])._update_version("r1", "r2")

    moved = """UPDATE "a-b".alembic_version SET version_num = 'r2' WHERE version_num = 'r1'"""
    assert version_move(said[0], migration.dialect) == moved
    assert version_move(said[0].values(version_num="r3"), migration.dialect) is None


def test_statements_arrive_as_they_are_written(shop: Shop) -> None:
    """Signs that drivers and SQLAlchemy give a meaning to, parameters, a comment at the end, several in one text."""
    revision(
        shop.project,
        "r2",
        "r1",
        "import sqlalchemy as sa\n"
        r"""op.execute("UPDATE shop.goods SET name = '100% \\:x %s %(a)s {} $1 \\\\ ''' WHERE id = 1 -- the end")"""
        '\nop.execute(sa.text("UPDATE shop.goods SET name = :name WHERE id = 2").bindparams(name="a\'s 5% \\\\ :b"))\n'
        'goods = sa.table("goods", sa.column("id", sa.Integer), sa.column("name", sa.Text), schema="shop")\n'
        'op.bulk_insert(goods, [{"id": 9001, "name": "50%"}, {"id": 9002, "name": None}])',
    )
    revision(shop.project, "r3", "r2", "pass")

    shop.project.succeeds("upgrade", "r3")

    assert shop.sql("SELECT name FROM shop.goods WHERE id = 1") == r"100% :x %s %(a)s {} $1 \\ '"
    assert shop.sql("SELECT name FROM shop.goods WHERE id = 2") == r"a's 5% \ :b"
    assert shop.sql("SELECT name FROM shop.goods WHERE id = 9001") == "50%"
    assert shop.sql("SELECT count(*) FROM shop.goods WHERE id = 9002 AND name IS NULL") == "1"


def test_whoever_reads_sees_what_was_written(shop: Shop) -> None:
    """In the same revision and in earlier ones, on op.get_bind() and by way of another module."""
    shop.project.write("shop/reading.py", "def count(op):\n    return op.get_bind().exec_driver_sql(QUERY).scalar()\n"
                       'QUERY = "SELECT count(*) FROM shop.goods WHERE code = 0"\n')  # fmt: skip
    revision(shop.project, "r2", "r1", 'op.execute("UPDATE shop.goods SET code = 0 WHERE id = 1")')
    revision(
        shop.project,
        "r3",
        "r2",
        "from shop.reading import count\n"
        'op.execute("UPDATE shop.goods SET code = 0 WHERE id = 2")\n'
        "assert count(op) == 2\n"
        'op.execute("ALTER TABLE shop.goods ADD COLUMN note text")',
    )
    revision(shop.project, "r4", "r3", "pass")

    shop.project.succeeds("upgrade", "r4")

    assert shop.sql("SELECT count(note) FROM shop.goods") == "0"
    assert shop.sql("SELECT string_agg(revision, ' ' ORDER BY id) FROM shop.handrail_journal") == "r1 r2 r3 r4"


def test_a_session_that_is_ended_on_the_way(shop: Shop) -> None:
    """The truth is told as always, and the next run goes on."""
    revision(shop.project, "r3", "r2", 'op.execute("ALTER TABLE shop.goods ADD COLUMN note text")')
    create = (shop.project.root / "alembic/versions/r1.py").read_text(encoding="utf-8")
    slow = create.replace("\n\ndef downgrade", '    op.execute("SELECT pg_sleep(10)")\n\ndef downgrade')
    shop.project.write("alembic/versions/r1.py", slow)

    upgrade = shop.start("upgrade", "head")
    pid = shop.wait_for("SELECT min(pid) FROM pg_stat_activity WHERE query ~ 'BEGIN.*pg_sleep' AND state = 'active' "
                        "AND datname = current_database() AND pid <> pg_backend_pid()", 60)  # fmt: skip
    shop.sql(f"SELECT pg_terminate_backend({pid})")
    out, err = upgrade.communicate(timeout=60)

    assert "Traceback" not in out + err, out + err
    assert upgrade.returncode == DatabaseUnavailableError.exit_code, out + err
    assert "The database is at its beginning" in out
    shop.project.write("alembic/versions/r1.py", create)
    shop.project.succeeds("upgrade", "head")
    shop.assert_whole()


def test_a_session_that_is_ended_outside_of_a_bundle(shop: Shop) -> None:
    """In a statement that runs by itself: nothing goes on over another connection, which would not have the turn."""
    block = "with op.get_context().autocommit_block():\n    "
    revision(shop.project, "r2", "r1", block + 'op.execute("SELECT pg_sleep(10)")')

    upgrade = shop.start("upgrade", "r2")
    pid = shop.wait_for("SELECT min(pid) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep' AND state = 'active' "
                        "AND datname = current_database() AND pid <> pg_backend_pid()", 60)  # fmt: skip
    shop.sql(f"SELECT pg_terminate_backend({pid})")
    out, err = upgrade.communicate(timeout=60)

    assert "Traceback" not in out + err, out + err
    assert upgrade.returncode == DatabaseUnavailableError.exit_code, out + err
    assert "The database is at r1" in out


def test_ctrl_c_between_sending_and_waiting_says_nothing_more(shop: Shop) -> None:
    """What was sent is ended with its connection, which nobody awaits then: asyncio does not print that error."""
    said: list[object] = []

    async def interrupted() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
        driver = await asyncpg.connect(shop.dsn)
        sending = asyncio.create_task(begun(driver.execute("SELECT pg_sleep(20)")))
        await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        del sending
        await driver.close()
        gc.collect()

    asyncio.run(interrupted())

    assert said == []
