"""The faults at full size: `python -m bench faults`. Hundreds of interruptions, each looked at afterwards.

An upgrade that was interrupted is run once more. Whatever is not as after an upgrade that nobody disturbed then, a
person would have to mend.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import forking
from faults.outcome import FULL, QUICK, Outcome, Size
from faults.proxies import cutting_at_commit
from faults.readers import reading
from faults.shop import LOCKS_ON_GOODS, Shop, write_revisions
from faults.small_disk import TABLESPACE, NoDiskError, SmallDisk, small_disk
from faults.workbench import DRIVERS, ROWS, Workbench
from handrail.config import load_project
from handrail.errors import DiskFullError
from handrail.scratch import scratch_server
from small_project import REPOSITORY, write_project

REPLICAS = 10
READERS = 8
HANG_SECONDS = 180
SPACE = 2_000_000  # bytes of which a random part is left on a disk that gets full

SESSIONS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'alembic%'"


def interruptions(bench: Workbench, size: Size, how: str) -> Outcome:
    """Interrupt upgrades at random moments, and run each of them once more."""
    outcome = Outcome(f"{size.interruptions} x {how}, rerun once")
    expected, seconds = bench.undisturbed()
    span = {driver: seconds[driver] * (1.0 if how == "kill -9" else 0.4) for driver in DRIVERS}

    def interrupt(number: int) -> None:
        driver = DRIVERS[number % 2]
        with bench.shop(driver) as shop, outcome.one(f"{how} {driver}"):
            upgrade = shop.start("upgrade", "head")
            begun, hit = INTERRUPTIONS[how](shop, upgrade, bench.chance, span[driver])
            out, err = upgrade.communicate(timeout=HANG_SECONDS)
            assert "Traceback" not in out + err, out + err
            if not hit or upgrade.returncode == 0:
                outcome.count("came too late")
                # Other work on this machine makes all of them faster or slower.
                span[driver] += (time.monotonic() - begun - span[driver]) / 3
                if upgrade.returncode == 0:
                    shop.assert_whole()
                return
            found = shop.version()
            if found is None:
                span[driver] *= 1.03
            outcome.count("interrupted", f"exit code {upgrade.returncode}", f"found at {found or 'its beginning'}")
            again = shop.project.alembic("upgrade", "head")
            assert again.returncode == 0, again.stdout + again.stderr
            shop.assert_whole()
            assert bench.catalog(shop) == expected[driver], "another catalog than after a clean run"

    bench.repeat(interrupt, lambda: outcome.counts["interrupted"] < size.interruptions)
    return outcome


def kill(_: Shop, upgrade: forking.Command, chance: random.Random, span: float) -> tuple[float, bool]:
    """Kill a process at some moment of its life; return when that began, and whether it was still running."""
    begun = time.monotonic()
    time.sleep(chance.uniform(0.0, 1.0) * span)
    running = upgrade.poll() is None
    upgrade.kill()
    return begun, running


def terminate(shop: Shop, upgrade: forking.Command, chance: random.Random, span: float) -> tuple[float, bool]:
    """End one of an upgrade's sessions at some moment; return when they were there, and whether one still was."""
    there = f"SELECT count(*) FROM ({SESSIONS}) AS sessions"
    shop.wait_for(there, HANG_SECONDS, meanwhile=lambda: upgrade.poll() is None)
    begun = time.monotonic()
    time.sleep(chance.uniform(0.0, 1.0) * span)
    pids = shop.sql(f"SELECT string_agg(pid::text, ' ') FROM ({SESSIONS}) AS sessions")
    hit = pids is not None and shop.sql(f"SELECT pg_terminate_backend({chance.choice(pids.split())})") == "True"
    return begun, hit


INTERRUPTIONS = {"kill -9": kill, "pg_terminate_backend": terminate}


def together(bench: Workbench, size: Size, driver: str, target: str | None) -> Outcome:
    """Let ten replicas upgrade at once."""
    outcome = Outcome(f"{REPLICAS} upgrades at once x {size.rounds}, {driver}, from {target or 'empty'}")

    def upgrade(_: int) -> None:
        with bench.shop(driver, target) as shop, outcome.one("together"):
            begun = time.monotonic()
            upgrades = [shop.start("upgrade", "head") for _ in range(REPLICAS)]
            try:
                said = [upgrade.communicate(timeout=HANG_SECONDS) for upgrade in upgrades]
            finally:
                for upgrade in upgrades:
                    upgrade.kill()
                    upgrade.wait()
            outcome.worst("longest round", time.monotonic() - begun)
            failed = [text for upgrade, text in zip(upgrades, said, strict=True) if upgrade.returncode]
            outcome.count(*["processes"] * len(upgrades), *["failed processes"] * len(failed))
            assert not failed, failed
            shop.assert_whole()

    bench.times(upgrade, size.rounds)
    return outcome


def queue(bench: Workbench, size: Size) -> Outcome:
    """Put an ALTER TABLE behind a long transaction, with readers; then kill one that waits there."""
    outcome = Outcome(f"ALTER TABLE behind a transaction of {size.blocked_seconds:g} s, {READERS} readers")
    for driver in DRIVERS:
        with bench.shop(driver, "r2") as shop, outcome.one(driver):
            with reading(shop.dsn, READERS) as stalls:
                with shop.transaction():
                    upgrade = shop.start("upgrade", "r3")
                    time.sleep(size.blocked_seconds)
                ended = time.monotonic()
                out, err = upgrade.communicate(timeout=HANG_SECONDS)
                outcome.worst("success after the blocker", time.monotonic() - ended)
            outcome.worst("longest stall", max(stalls))
            assert upgrade.returncode == 0, out + err
        with bench.shop(driver, "r2") as shop, outcome.one(f"{driver}, killed"), reading(shop.dsn, READERS):
            outcome.worst("readers free after a kill", killed_in_the_queue(shop))
    return outcome


def killed_in_the_queue(shop: Shop) -> float:
    """Kill an upgrade whose statement waits for a table, and return how long readers wait after that, in seconds."""
    with shop.transaction():
        upgrade = shop.start("upgrade", "r3")
        shop.wait_for(f"{LOCKS_ON_GOODS} AND NOT granted")
        killed = time.monotonic()
        upgrade.kill()
        upgrade.communicate()
        shop.sql("SELECT name FROM shop.goods WHERE id = 1")
        return time.monotonic() - killed


def cuts(bench: Workbench, size: Size) -> Outcome:
    """Cut the connection at COMMIT, before the server has it or after."""
    outcome = Outcome(f"connection cut at COMMIT x {size.cuts}")

    def cut_one(number: int) -> None:
        driver, after = DRIVERS[number % 2], number // 2 % 2 == 1
        start, target = bench.chance.choice([("r2", "r3"), ("r4", "r5"), ("r2", "head"), ("r4", "head")])
        with bench.shop(driver, start) as shop, outcome.one(f"{driver} {'after' if after else 'before'}"):
            with cutting_at_commit(shop.url, after=after) as (url, cut):
                done = shop.project.alembic("upgrade", target, DATABASE_URL=url)
            told, version = done.stdout + done.stderr, shop.version()
            assert cut, told
            assert "Traceback" not in told, told
            if done.returncode == 0:
                assert version == ("r6" if target == "head" else target), told
            else:
                assert f"The database is at {version};" in told, told
            outcome.count(f"true, cut {'after' if after else 'before'} it")
            shop.project.succeeds("upgrade", "head")
            shop.assert_whole()

    bench.times(cut_one, size.cuts)
    return outcome


def disk(bench: Workbench, size: Size) -> Outcome:
    """Let the disk get full in the middle of an upgrade, give space back, and run it once more."""
    outcome = Outcome(f"disk full x {size.disks}, with space rerun once")
    try:
        with small_disk(bench.server) as small:
            expected, _ = bench.undisturbed()
            for number in range(size.disks):
                driver = DRIVERS[number % 2]
                with bench.shop(driver, bench.chance.choice([None, "r1", "r2", "r4", "r5"])) as shop:
                    bench.server.execute(f'ALTER DATABASE "{shop.database}" SET TABLESPACE {TABLESPACE}')
                    with outcome.one(f"{driver} from {shop.version() or 'its beginning'}"):
                        filled(small, shop, bench.chance.randrange(SPACE), outcome)
                        assert bench.catalog(shop) == expected[driver], "another catalog than after a clean run"
    except NoDiskError as error:
        outcome.what = f"disk full: not run, {error}"
    return outcome


def filled(small: SmallDisk, shop: Shop, left_bytes: int, outcome: Outcome) -> None:
    """Upgrade on a disk with so much space left, and then on one with enough."""
    small.fill(left_bytes)
    try:
        done = shop.project.alembic("upgrade", "head")
    finally:
        small.free()
    told = done.stdout + done.stderr
    assert "Traceback" not in told, told
    outcome.count(f"exit code {done.returncode}", f"found at {shop.version() or 'its beginning'}")
    if done.returncode:
        assert done.returncode == DiskFullError.exit_code, told
        assert "The server has no space left" in told, told
    shop.project.succeeds("upgrade", "head")
    shop.assert_whole()


Kind = Callable[[Workbench, Size], Outcome]
KINDS: dict[str, Kind] = {
    "kill": partial(interruptions, how="kill -9"),
    "terminate": partial(interruptions, how="pg_terminate_backend"),
    **{
        f"together-{driver}-{target or 'empty'}": partial(together, driver=driver, target=target)
        for driver in DRIVERS
        for target in (None, "r1")
    },
    "queue": queue,
    "cut": cuts,
    "disk": disk,
}


def main() -> int:
    """Do what was asked for, and print what became of it; any fault makes the exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m bench faults", description="Upgrades that are disturbed.")
    parser.add_argument("--quick", action="store_true", help="a few of each")
    parser.add_argument("--rounds", type=int, help="how often, in place of the usual numbers")
    parser.add_argument("--only", nargs="+", choices=list(KINDS), default=list(KINDS), help="these kinds of faults")
    parser.add_argument("--seed", type=int, default=7, help="of the random moments")
    parser.add_argument("--jobs", type=int, default=2, help="how many rounds at the same time")
    parser.add_argument("--format", choices=["text", "json"], default="text")
    options = parser.parse_args()
    size, found = QUICK if options.quick else FULL, []
    if (rounds := options.rounds) is not None:
        size = replace(size, interruptions=rounds, rounds=rounds, cuts=rounds, disks=rounds)
    with TemporaryDirectory(prefix="bench-") as folder, scratch_server(load_project(REPOSITORY)) as server:
        project = write_project(Path(folder, "shop"), server.url_of(server.url.database or ""))
        write_revisions(project, ROWS)
        bench = Workbench(server, project, random.Random(options.seed), options.jobs)
        for kind in options.only:
            found.append(KINDS[kind](bench, size))
            if options.format == "text":
                print(found[-1].told(), flush=True)
    if options.format == "json":
        print(json.dumps([outcome.as_json() for outcome in found], indent=2))
    return 1 if any(outcome.faults for outcome in found) else 0


if __name__ == "__main__":
    sys.exit(main())
