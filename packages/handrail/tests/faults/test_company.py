"""Others at the same time: ten upgrades at once, readers, and transactions that stay open."""

from __future__ import annotations

import os
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

import forking
from faults.readers import reading
from faults.shop import BLOCK, ROWS, Shop, revision
from handrail.errors import BlockedError, BusyError
from handrail.upgrade.lost import versions_now
from handrail.upgrade.turn import key_of

REPLICAS = 10
TURN = key_of('"shop"."alembic_version"', "turn")


def test_ten_upgrades_at_once_from_empty(shop: Shop) -> None:
    """As ten replicas of a service do it when they start: all succeed, and everything is done once."""
    with ThreadPoolExecutor(REPLICAS) as replicas:
        done = list(replicas.map(lambda _: shop.project.alembic("upgrade", "head"), range(REPLICAS)))

    assert [upgrade.returncode for upgrade in done] == [0] * REPLICAS, done
    shop.assert_whole()


def test_ten_upgrades_at_once_from_pending(shop: Shop) -> None:
    """As ten replicas of a new release do it."""
    shop.project.succeeds("upgrade", "r1")
    with ThreadPoolExecutor(REPLICAS) as replicas:
        done = list(replicas.map(lambda _: shop.project.alembic("upgrade", "head"), range(REPLICAS)))

    assert [upgrade.returncode for upgrade in done] == [0] * REPLICAS, done
    shop.assert_whole()


def test_our_own_lost_session_is_not_another_process(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """After a lost connection the server may take a while to notice; that is what is waited for then."""
    shop.project.succeeds("upgrade", "r1")
    engine = create_engine(f"postgresql+psycopg://{shop.dsn.partition('://')[2]}", poolclass=NullPool)
    with psycopg.connect(shop.dsn, autocommit=True) as lost, engine.connect() as connection:
        lost.execute("SELECT pg_advisory_lock(%s)", [key_of('"shop"."alembic_version"', "work")])
        ended = threading.Timer(1, lost.close)
        ended.start()
        versions = versions_now(connection, None, '"shop"."alembic_version"', "alembic (shop)")
        ended.join()

    assert versions == ["r1"]
    assert "Waiting: the server still has our lost session (pid " in capsys.readouterr().err


def test_who_is_migrating_is_named(shop: Shop) -> None:
    """Busy has an exit code of its own, and nothing was changed."""
    shop.project.succeeds("upgrade", "r1")
    with psycopg.connect(shop.dsn, application_name="the other deploy", autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [TURN])
        busy = shop.project.alembic("-x", "wait=1", "upgrade", "head")
        for command in ("downgrade -1", "stamp r2 r1", "-x drift=keep stamp --purge r2"):
            refused = shop.project.refuses("-x", "wait=0", *command.split())
            assert f"with more patience: alembic -x wait=600 {command} If" in refused
            assert f"SELECT pg_terminate_backend({other.info.backend_pid});" in refused

    assert busy.returncode == BusyError.exit_code, busy.stdout + busy.stderr
    assert "(pid " in busy.stdout
    assert "the other deploy, since 20" in busy.stdout
    assert "Waiting: another process is migrating" in busy.stderr
    assert shop.sql("SELECT version_num FROM shop.alembic_version") == "r1"
    shop.project.succeeds("upgrade", "head")


def test_at_head_nobody_is_waited_for(shop: Shop) -> None:
    """Where there is nothing to do, no lock is asked for."""
    shop.project.succeeds("upgrade", "head")
    with psycopg.connect(shop.dsn, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [TURN])
        shop.project.succeeds("-x", "wait=0", "upgrade", "head")


def test_a_turn_that_is_lost_stops_the_run(shop: Shop) -> None:
    """When the session that holds the lock is ended, no further step is begun."""
    shop.project.succeeds("upgrade", "r1")
    with shop.transaction("UPDATE shop.goods SET name = 'x' WHERE id = 1"):
        upgrade = shop.start("upgrade", "head")
        shop.migrator()
        keeper = shop.wait_for(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND "
            "database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND "
            f"(classid::bigint << 32) | objid::bigint = {TURN}"
        )
        shop.sql(f"SELECT pg_terminate_backend({keeper})")
    out, err = upgrade.communicate(timeout=60)

    assert upgrade.returncode == BusyError.exit_code, out + err
    assert "stopped before the next step" in out
    assert shop.sql("SELECT version_num FROM shop.alembic_version") == "r2"
    shop.project.succeeds("upgrade", "head")
    shop.assert_whole()


def test_readers_go_on_while_a_transaction_blocks_the_upgrade(shop: Shop) -> None:
    """The upgrade waits a second at a time, names who blocks it, and succeeds when the way is free."""
    shop.project.succeeds("upgrade", "r2")
    with reading(shop.dsn, 3) as stalls:
        with shop.transaction():
            upgrade = shop.start("upgrade", "r3")
            blocked_lines(upgrade, 2)
            read = len(stalls)
            told = blocked_lines(upgrade, 3)
            assert len(stalls) > read + 10
        out, err = upgrade.communicate(timeout=60)

    assert upgrade.returncode == 0, out + err
    assert all("SELECT count(*) FROM shop.goods" in line for line in told), told


def blocked_lines(upgrade: forking.Command, number: int) -> list[str]:
    """Wait until it has said so many times that it is blocked, and return the lines."""
    while len(lines := re.findall("Revision r3 is blocked by pid.*\n", upgrade.said())) < number:
        assert upgrade.poll() is None
        time.sleep(0.02)
    return lines


def test_what_takes_long_is_told(shop: Shop) -> None:
    """Which revision, which statement, for how long; who is in the way only as long as that is so."""
    shop.project.succeeds("upgrade", "r4")
    revision(shop.project, "r5", "r4", 'op.execute("SELECT pg_sleep(2)")')
    shop.begin_with("import handrail.upgrade.watch; handrail.upgrade.watch.TELL_SECONDS = 1.0")

    told = shop.project.alembic("upgrade", "r5").stderr

    assert re.search(r"  upgrade r5 \(1 of 1\): \d s, SELECT pg_sleep\(2\)\n", told), told


def test_a_terminal_sees_how_many_revisions_an_empty_database_gets(shop: Shop) -> None:
    """Before the first one begins."""
    ours, theirs = os.openpty()
    upgrade = shop.start_at(theirs, "upgrade", "r2")
    upgrade.communicate(timeout=60)
    said = os.read(ours, 65536).decode()
    os.close(theirs)
    os.close(ours)

    assert upgrade.returncode == 0, said
    assert said.index("Revisions from the beginning: 2, r1 to r2") < said.index("Running upgrade  -> r1")


def test_how_far_an_index_is_is_told_on_a_terminal(shop: Shop) -> None:
    """In each phase with what PostgreSQL counts there."""
    shop.project.succeeds("upgrade", "r5")
    shop.sql(
        "CREATE FUNCTION public.held(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS "
        f"$$ BEGIN IF $1 = {ROWS} THEN PERFORM pg_advisory_xact_lock(5); END IF; RETURN $1; END $$"
    )
    statement = "CREATE INDEX CONCURRENTLY ix_code ON shop.goods (public.held(code))"
    revision(shop.project, "r6", "r5", f'{BLOCK}op.execute("{statement}")')
    ours, theirs = os.openpty()
    said = ""

    def wait_for(pattern: str) -> None:
        nonlocal said
        while not re.search(pattern, said):
            said += os.read(ours, 65536).decode()  # raises when the command has ended

    try:
        with psycopg.connect(shop.dsn, autocommit=True) as holder:
            holder.execute("SELECT pg_advisory_lock(5)")
            with shop.transaction("UPDATE shop.goods SET note = 'x' WHERE id = 1") as writer:
                upgrade = shop.start_at(theirs, "upgrade", "head")
                os.close(theirs)
                named = re.escape(statement)
                wait_for(rf"\d+ s, {named}: waiting for writers before build, 0 of 1 transactions \(0 %\), blocked by")
                writer.rollback()
                wait_for(rf"\d+ s, {named}: building index: scanning table, \d+ of \d+ blocks \(\d\d %\), blocked by")
        upgrade.communicate(timeout=60)
    finally:
        os.close(ours)

    assert upgrade.returncode == 0, said
    shop.assert_whole()


def test_a_table_that_nobody_can_look_at_is_waited_for(shop: Shop) -> None:
    """Sizes and definitions are asked for before a revision begins; who keeps us from that is named, and waited for."""
    shop.project.succeeds("upgrade", "r2")
    shop.sql("CREATE TABLE public.busy (id int DEFAULT 1)")
    with shop.transaction("LOCK TABLE public.busy"):
        blocked = shop.project.alembic("-x", "wait=0", "upgrade", "r3")
        upgrade = shop.start("upgrade", "r3")
        told = blocked_lines(upgrade, 1)[0]
    out, err = upgrade.communicate(timeout=60)

    assert blocked.returncode == BlockedError.exit_code, blocked.stdout + blocked.stderr
    assert "revision r3 was not run: for 0 s other sessions did not let go" in blocked.stdout
    assert re.search(r"Revision r3 is blocked by pid \d+ \(.*: LOCK TABLE public.busy\); trying again", told), told
    assert upgrade.returncode == 0, out + err


def test_patience_has_an_end(shop: Shop) -> None:
    """Who blocks is named, with an exit code of its own; nothing is half done."""
    shop.project.succeeds("upgrade", "r2")
    with shop.transaction():
        blocked = shop.project.alembic("-x", "wait=2", "upgrade", "head")

    assert blocked.returncode == BlockedError.exit_code, blocked.stdout + blocked.stderr
    assert "did not let go of what it changes: it is blocked by pid" in blocked.stdout
    assert re.search(r"End what blocks: SELECT pg_terminate_backend\(\d+\);", blocked.stdout)
    assert blocked.stdout.rstrip().endswith("with more patience: alembic -x wait=600 upgrade head")
    assert shop.sql("SELECT version_num FROM shop.alembic_version") == "r2"
    shop.project.succeeds("upgrade", "head")
    shop.assert_whole()


def test_a_concurrent_index_waits_longer_than_a_lock(shop: Shop) -> None:
    """Nobody waits behind it, so it is not bound by lock_timeout."""
    shop.project.succeeds("upgrade", "r5")
    with shop.transaction("UPDATE shop.goods SET note = 'x' WHERE id = 1"):
        upgrade = shop.start("upgrade", "head")
        shop.wait_for(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
            "AND query LIKE 'CREATE UNIQUE INDEX CONCURRENTLY%' AND now() - query_start > '2 s'"
        )
    out, err = upgrade.communicate(timeout=60)

    assert upgrade.returncode == 0, out + err
    assert "is blocked" not in err
    shop.assert_whole()
