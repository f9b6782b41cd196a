"""Killed, cut off, frozen: whatever ends an upgrade, running it again finishes it."""

from __future__ import annotations

import os
import random
import signal
import time

from faults.shop import BLOCK, LET_GO_SOON, LOCKS_ON_GOODS, Shop, index, revision
from handrail.errors import DatabaseUnavailableError, MigrationError, VersionTableError

KILLS = 6  # in the suite; `python -m bench faults` does 500


def test_a_killed_upgrade_is_finished_by_the_next(shop: Shop) -> None:
    """At random moments; whatever is half there then, nobody has to look at it."""
    chance = random.Random(7)
    for _ in range(KILLS):
        migrator = shop.start("upgrade", "head")
        time.sleep(chance.uniform(0.0, 0.5))
        migrator.kill()
        migrator.communicate()

    shop.project.succeeds("upgrade", "head")

    shop.assert_whole()


def test_a_terminated_session_is_told_as_it_is(shop: Shop) -> None:
    """The administrator ends the session in the middle of an index: one line, and the next run goes on."""
    shop.project.succeeds("upgrade", "r5")
    with shop.transaction("UPDATE shop.goods SET note = 'x' WHERE id = 1"):
        upgrade = shop.start("upgrade", "head")
        shop.sql(f"SELECT pg_terminate_backend({shop.migrator()})")
        out, err = upgrade.communicate(timeout=60)

    assert upgrade.returncode == DatabaseUnavailableError.exit_code, out + err
    assert "The database is at r5" in out
    assert "Traceback" not in out + err
    shop.project.succeeds("upgrade", "head")
    shop.assert_whole()


def test_an_index_that_failed_is_built_again(shop: Shop) -> None:
    """Duplicates stop a unique index; without them the same command builds it, and nothing INVALID stays meanwhile."""
    shop.project.succeeds("upgrade", "r5")
    shop.sql("UPDATE shop.goods SET code = 1 WHERE id = 2")

    failed = shop.project.alembic("upgrade", "head")

    assert failed.returncode == MigrationError.exit_code, failed.stdout + failed.stderr
    assert "could not create unique index" in failed.stdout
    assert shop.invalid() is None
    shop.sql("UPDATE shop.goods SET code = 2 WHERE id = 2")
    shop.project.succeeds("upgrade", "head")
    shop.assert_whole()


def test_an_invalid_index_of_earlier_times_is_not_taken_for_the_wanted_one(shop: Shop) -> None:
    """What plain Alembic left behind: `if_not_exists` would pass over it and report success."""
    shop.project.succeeds("upgrade", "r5")
    shop.sql("CREATE INDEX ix_code ON shop.goods (code)")
    shop.sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'shop.ix_code'::regclass")

    done = shop.project.alembic("upgrade", "head")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Dropping the INVALID index shop.ix_code" in done.stderr
    shop.assert_whole()


def test_an_index_whose_name_a_driver_spells_in_another_way_is_built_again(shop: Shop) -> None:
    """psycopg doubles a % in what it is given, and would look for an index that nobody has made."""
    shop.project.succeeds("upgrade", "r5")
    revision(shop.project, "r6", "r5", index("ix_50%", "code", unique=True))
    interrupted(shop, "upgrade", "r6", table="goods")
    assert shop.invalid() == 'shop."ix_50%"'

    shop.project.succeeds("upgrade", "head")

    assert shop.invalid() is None


def test_ctrl_c_is_said_in_a_line(shop: Shop) -> None:
    """While several revisions are on their way at once, and while a statement waits that is no transaction."""
    note = 'op.execute("ALTER TABLE shop.goods ADD COLUMN note text")'
    revision(shop.project, "r3", "r2", note + '\nop.execute("SELECT pg_sleep(3)")')
    waiting = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query ~ "
    ended = []
    process = shop.start("upgrade", "r5")
    shop.wait_for(waiting + "'pg_sleep[(]3'")
    process.send_signal(signal.SIGINT)
    ended.append((process.communicate(timeout=60), process.returncode))
    shop.project.succeeds("upgrade", "r5")
    with shop.transaction("UPDATE shop.goods SET note = 'x' WHERE id = 1"):
        process = shop.start("upgrade", "head")
        shop.wait_for(waiting + "'^CREATE UNIQUE INDEX CONCURRENTLY'")
        process.send_signal(signal.SIGINT)
        ended.append((process.communicate(timeout=60), process.returncode))

    for (out, err), code in ended:
        assert code == 130, out + err
        assert "FAILED: interrupted. Revisions that were complete stay as they are" in out
        assert "Traceback" not in out + err
    shop.project.succeeds("upgrade", "head")
    shop.assert_whole()


def interrupted(shop: Shop, *command: str, table: str = "alembic_version") -> None:
    """Run a command, and kill it while its concurrent statement waits for whoever reads a table."""
    with shop.transaction("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ") as transaction:
        transaction.execute(f"SELECT count(*) FROM shop.{table}".encode())
        process = shop.start(*command)
        shop.wait_for(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
            "AND query ~ '(CREATE|DROP).* INDEX CONCURRENTLY' AND application_name = 'alembic (shop)'"
        )
        process.kill()
        process.communicate()
        shop.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = 'alembic (shop)'"  # other tests have shops in databases of their own
        )


def test_a_half_applied_revision_goes_on_where_it_was_stopped(shop: Shop) -> None:
    """Its first half is committed by the block: the next run passes over it instead of failing at it.

    Nothing is taken away below it: the column that is known to be there would be gone, and it could not be finished.
    """
    shop.project.succeeds("upgrade", "r3")
    interrupted(shop, "upgrade", "r4")
    assert shop.version() == "r3"
    assert shop.sql("SELECT extra FROM shop.goods LIMIT 1") is None

    refused = shop.project.refuses("downgrade", "base")
    invalid = shop.project.refuses("upgrade", "r3")
    standing = shop.project.handrail("status").stdout

    assert "unfinished   r4; go on: alembic upgrade r4\n" in standing
    assert "the upgrade of r4, begun on " in refused
    assert "Finish it first: alembic upgrade r4 " in refused
    assert invalid.endswith("r4 was interrupted. Finish that, which builds its indexes again: alembic upgrade r4")
    shop.project.succeeds("upgrade", "r4")
    shop.project.succeeds("upgrade", "head")
    shop.assert_whole()


def test_a_stamp_ends_what_cannot_be_finished(shop: Shop) -> None:
    """Whoever has undone it by hand says so, and the revision begins anew."""
    shop.project.succeeds("upgrade", "r3")
    interrupted(shop, "upgrade", "r4")
    assert "stamp r3" in shop.project.refuses("downgrade", "base")
    shop.sql("ALTER TABLE shop.goods DROP COLUMN extra")

    stamped = shop.project.alembic("stamp", "r3")

    assert "Revision r4, whose upgrade was interrupted, will not be finished" in stamped.stderr
    assert stamped.returncode == 0
    shop.project.succeeds("upgrade", "head")
    shop.assert_whole()


def test_nothing_is_built_upon_a_half_reverted_revision(shop: Shop) -> None:
    """Its index is gone, or not; only to go on downwards brings certainty."""
    shop.project.succeeds("upgrade", "r1")
    drop = BLOCK + 'op.drop_index("ix_name", schema="shop", postgresql_concurrently=True)'
    revision(shop.project, "r2", "r1", index("ix_name", "name"), drop)
    shop.project.succeeds("upgrade", "r2")
    interrupted(shop, "downgrade", "r1", table="goods")

    # The second is where the version table says that the database is.
    for command in ("upgrade head", "upgrade r2"):
        assert "Finish it first: alembic downgrade r2@-1 " in shop.project.refuses(*command.split())
    assert shop.project.handrail("plan").returncode == VersionTableError.exit_code
    shop.project.succeeds("downgrade", "r2@-1")
    shop.project.succeeds("upgrade", "head")
    assert shop.invalid() is None


def test_an_edit_of_a_half_applied_revision_is_refused(shop: Shop) -> None:
    """Otherwise the number of its statements would no longer say which of them are done."""
    shop.project.succeeds("upgrade", "r3")
    mixed = 'op.execute("ALTER TABLE shop.goods ADD COLUMN {0} int")\n' + index("ix_extra", "nothing")
    revision(shop.project, "r4", "r3", mixed.format("extra"))
    assert shop.project.alembic("upgrade", "r4").returncode == MigrationError.exit_code
    revision(shop.project, "r4", "r3", mixed.format("other"))

    message = shop.project.refuses("upgrade", "r4")

    assert "its file was edited since. Its statement 1 was: ALTER TABLE shop.goods ADD COLUMN extra int" in message


def test_what_an_interrupted_first_revision_made_is_no_foreign_table(shop: Shop) -> None:
    """The plan goes on from there, as the upgrade does."""
    table = 'op.execute("CREATE TABLE shop.goods (id int)")\n'
    revision(shop.project, "r1", None, table + index("ix_id", "nothing"))
    assert shop.project.alembic("upgrade", "r1").returncode == MigrationError.exit_code

    planned = shop.project.handrail("plan", "r1")

    assert "CREATE TABLE shop.goods (id int)" in planned.stdout, planned.stderr


def test_writes_on_the_bind_before_a_block_are_refused(shop: Shop) -> None:
    """They could neither be undone nor passed over."""
    shop.project.succeeds("upgrade", "r3")
    bind = 'op.get_bind().exec_driver_sql("UPDATE shop.goods SET note = name")\n'
    revision(shop.project, "r4", "r3", bind + index("ix_extra", "code"))

    message = shop.project.refuses("upgrade", "r4")

    assert "before its autocommit_block it writes with op.get_bind() (UPDATE shop.goods SET note = name)" in message
    assert shop.sql("SELECT count(*) FROM shop.goods WHERE note IS NOT NULL") == "0"


def test_a_frozen_migrator_lets_go(shop: Shop) -> None:
    """Stopped in the middle of a transaction that holds a lock: readers wait a few seconds, not for ever."""
    shop.project.succeeds("upgrade", "r2")
    shop.begin_with(LET_GO_SOON)
    change = 'op.execute("ALTER TABLE shop.goods ADD COLUMN note text")\n'
    revision(shop.project, "r3", "r2", change + "import time; time.sleep(4)")
    upgrade = shop.start("upgrade", "r3")
    # The review of the revision sleeps as well.
    shop.wait_for(f"{LOCKS_ON_GOODS} AND granted AND mode = 'AccessExclusiveLock'", 60)
    os.kill(upgrade.pid, signal.SIGSTOP)
    try:
        shop.sql("SET lock_timeout = '60s'; SELECT count(*) FROM shop.goods")
    finally:
        upgrade.kill()
        upgrade.communicate()

    assert shop.sql("SELECT version_num FROM shop.alembic_version") == "r2"


def test_a_revision_may_work_in_python_for_as_long_as_it_says(shop: Shop) -> None:
    """Longer than a frozen migrator may hold its locks; also while its review finds out what it does."""
    shop.project.succeeds("upgrade", "r2")
    shop.begin_with(LET_GO_SOON)
    longer = "SET LOCAL idle_in_transaction_session_timeout = '10min'"
    revision(shop.project, "r3", "r2", f'op.execute("{longer}")\nimport time; time.sleep(2)')

    shop.project.succeeds("upgrade", "r3")


def test_a_migrator_killed_in_the_queue_blocks_nobody(shop: Shop) -> None:
    """Its statement would wait on in the server, and every reader behind it."""
    shop.project.succeeds("upgrade", "r2")
    with shop.transaction():
        upgrade = shop.start("upgrade", "r3")
        shop.wait_for(f"{LOCKS_ON_GOODS} AND NOT granted")
        upgrade.kill()
        shop.sql("SET lock_timeout = '60s'; SELECT count(*) FROM shop.goods")
    upgrade.communicate()


def test_an_end_in_the_last_revision_is_no_success(shop: Shop) -> None:
    """What the revision before it reached is not taken for the end."""
    shop.project.succeeds("upgrade", "r4")
    with shop.transaction("UPDATE shop.goods SET extra = 1 WHERE id = 1"):
        revision(shop.project, "r5", "r4", 'op.execute("SELECT 1")')
        upgrade = shop.start("upgrade", "head")
        shop.sql(f"SELECT pg_terminate_backend({shop.migrator()})")
        out, err = upgrade.communicate(timeout=60)

    assert upgrade.returncode == DatabaseUnavailableError.exit_code, out + err
    assert "The database is at r5" in out
    shop.project.succeeds("upgrade", "head")
    shop.assert_whole()
