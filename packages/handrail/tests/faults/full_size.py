"""The faults at full size: `python -m bench faults`. Hundreds of interruptions, each looked at afterwards.

An upgrade that was interrupted is run once more. Whatever is not as after an upgrade that nobody disturbed then, a
person would have to mend.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from faults.proxies import cutting_at_commit
from faults.readers import reading
from faults.shop import Shop, write_revisions
from handrail.config import load_project
from handrail.connection import with_connection
from handrail.scratch import ScratchServer, scratch_server
from handrail.upgrade.journal import Journal
from small_project import REPOSITORY, SmallProject, write_project

DRIVERS = ("asyncpg", "psycopg")
ROWS = 30_000
REPLICAS = 10
READERS = 8
HANG_SECONDS = 120

SESSIONS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'alembic%'"


@dataclass(frozen=True)
class Size:
    """How often everything is done."""

    interruptions: int
    rounds: int
    cuts: int
    blocked_seconds: float


FULL = Size(interruptions=500, rounds=50, cuts=100, blocked_seconds=30)
QUICK = Size(interruptions=10, rounds=2, cuts=4, blocked_seconds=5)


@dataclass
class Outcome:
    """What became of one kind of fault.

    Attributes:
        counts: How often what happened.
        figures: The worst that was measured, in seconds.
        faults: What went wrong, in words; nothing should.
    """

    what: str
    counts: Counter[str] = field(default_factory=Counter)
    figures: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def worst(self, what: str, seconds: float) -> None:
        """Keep the longest."""
        self.figures[what] = round(max(seconds, self.figures.get(what, 0)), 2)

    @contextmanager
    def one(self, what: str) -> Iterator[None]:
        """Count what is done in the block, and whatever is not as expected there."""
        try:
            yield
        except (AssertionError, subprocess.TimeoutExpired) as error:
            self.faults.append(f"{what}: {type(error).__name__} {str(error)[:2000]}")
        self.counts["rounds"] += 1
        done = self.counts["rounds"]
        if done % 10 == 0:
            print(f"{self.what}: {dict(self.counts)}, {len(self.faults)} faults", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Bench:
    """A server, and a project that is migrated on it again and again."""

    server: ScratchServer
    project: SmallProject
    chance: random.Random

    @contextmanager
    def shop(self, driver: str, target: str | None = None) -> Iterator[Shop]:
        """Yield the project with an empty database, or one at a revision."""
        name = self.server.create()
        shop = Shop(self.project, self.server.url_of(name).replace("postgresql://", f"postgresql+{driver}://"), ROWS)
        self.project.use(shop.url)
        try:
            if target:
                self.project.succeeds("upgrade", target)
            yield shop
        finally:
            self.server.drop(name)

    def catalog(self, shop: Shop) -> str:
        """Return the digest of everything in the schema."""
        url = self.server.url.set(database=shop.dsn.rpartition("/")[2].partition("?")[0])
        look = Journal("shop").catalog_now
        return with_connection(url, lambda opened: look(opened, "alembic_version").hash, application="bench")


def interruptions(bench: Bench, size: Size, how: str) -> Outcome:
    """Interrupt upgrades at random moments, and run each of them once more."""
    outcome = Outcome(f"{size.interruptions} x {how}, rerun once")
    expected, seconds = undisturbed(bench)
    while outcome.counts["interrupted"] < size.interruptions:
        driver = DRIVERS[outcome.counts["rounds"] % 2]
        with bench.shop(driver) as shop, outcome.one(f"{how} {driver}"):
            upgrade = shop.start("upgrade", "head")
            if how == "kill -9":
                # What is before that only starts Python.
                time.sleep(bench.chance.uniform(0.35, 1.0) * seconds[driver])
                hit = kill(upgrade)
            else:
                shop.wait_for(f"SELECT count(*) FROM ({SESSIONS}) AS sessions")
                time.sleep(bench.chance.uniform(0.0, 0.6) * seconds[driver])
                hit = terminate(shop, bench.chance)
            out, err = upgrade.communicate(timeout=HANG_SECONDS)
            assert "Traceback" not in out + err, out + err
            if not hit or upgrade.returncode == 0:
                outcome.counts["came too late"] += 1
                if upgrade.returncode == 0:
                    shop.assert_whole()
                continue
            outcome.counts["interrupted"] += 1
            outcome.counts[f"exit code {upgrade.returncode}"] += 1
            again = shop.project.alembic("upgrade", "head")
            assert again.returncode == 0, again.stdout + again.stderr
            shop.assert_whole()
            assert bench.catalog(shop) == expected[driver], "another catalog than after a clean run"
    return outcome


def undisturbed(bench: Bench) -> tuple[dict[str, str], dict[str, float]]:
    """Return what an upgrade makes that nobody disturbs, and how long it takes, for each driver."""
    catalogs, seconds = {}, {}
    for driver in DRIVERS:
        for _ in range(2):  # the first one compiles
            with bench.shop(driver) as shop:
                begun = time.monotonic()
                shop.project.succeeds("upgrade", "head")
                seconds[driver] = time.monotonic() - begun
                catalogs[driver] = bench.catalog(shop)
    return catalogs, seconds


def kill(upgrade: subprocess.Popen[str]) -> bool:
    """Kill a process; whether it was still running."""
    running = upgrade.poll() is None
    upgrade.kill()
    return running


def terminate(shop: Shop, chance: random.Random) -> bool:
    """End one of an upgrade's sessions on the server; whether there was one."""
    pids = shop.sql(f"SELECT string_agg(pid::text, ' ') FROM ({SESSIONS}) AS sessions")
    return pids is not None and shop.sql(f"SELECT pg_terminate_backend({chance.choice(pids.split())})") == "True"


def together(bench: Bench, size: Size, driver: str, target: str | None) -> Outcome:
    """Let ten replicas upgrade at once."""
    outcome = Outcome(f"{REPLICAS} upgrades at once x {size.rounds}, {driver}, from {target or 'empty'}")
    for _ in range(size.rounds):
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
            outcome.counts["failed processes"] += len(failed)
            assert not failed, failed
            shop.assert_whole()
    return outcome


def queue(bench: Bench, size: Size) -> Outcome:
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
        shop.wait_for("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'shop.goods'::regclass")
        killed = time.monotonic()
        upgrade.kill()
        upgrade.communicate()
        shop.sql("SELECT name FROM shop.goods WHERE id = 1")
        return time.monotonic() - killed


def cuts(bench: Bench, size: Size) -> Outcome:
    """Cut the connection at COMMIT, before the server has it or after."""
    outcome = Outcome(f"connection cut at COMMIT x {size.cuts}")
    for number in range(size.cuts):
        driver, after = DRIVERS[number % 2], number // 2 % 2 == 1
        start, target = bench.chance.choice([("r2", "r3"), ("r4", "r5"), ("r2", "head"), ("r4", "head")])
        with bench.shop(driver, start) as shop, outcome.one(f"{driver} {'after' if after else 'before'}"):
            with cutting_at_commit(shop.url, after=after) as (url, cut):
                done = shop.project.alembic("upgrade", target, DATABASE_URL=url)
            told, version = done.stdout + done.stderr, shop.sql("SELECT version_num FROM shop.alembic_version")
            assert cut, told
            assert "Traceback" not in told, told
            if done.returncode == 0:
                assert version == ("r6" if target == "head" else target), told
            else:
                assert f"The database is at {version};" in told, told
            outcome.counts["true"] += 1
            shop.project.succeeds("upgrade", "head")
            shop.assert_whole()
    return outcome


Kind = Callable[[Bench, Size], Outcome]
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
}


def main() -> int:
    """Do what was asked for, and print what became of it; any fault makes the exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m bench faults", description="Upgrades that are disturbed.")
    parser.add_argument("--quick", action="store_true", help="a few of each")
    parser.add_argument("--rounds", type=int, help="how often, in place of the usual numbers")
    parser.add_argument("--only", nargs="+", choices=list(KINDS), default=list(KINDS), help="these kinds of faults")
    parser.add_argument("--seed", type=int, default=7, help="of the random moments")
    parser.add_argument("--format", choices=["text", "json"], default="text")
    options = parser.parse_args()
    size, found = QUICK if options.quick else FULL, []
    if options.rounds:
        size = replace(size, interruptions=options.rounds, rounds=options.rounds, cuts=options.rounds)
    with TemporaryDirectory(prefix="bench-") as folder, scratch_server(load_project(REPOSITORY)) as server:
        project = write_project(Path(folder, "shop"), server.url_of(server.url.database or ""))
        write_revisions(project, ROWS)
        bench = Bench(server, project, random.Random(options.seed))
        for kind in options.only:
            found.append(KINDS[kind](bench, size))
            if options.format == "text":
                print(text_of(found[-1]), flush=True)
    if options.format == "json":
        print(json.dumps([outcome.__dict__ for outcome in found], indent=2))
    return 1 if any(outcome.faults for outcome in found) else 0


def text_of(outcome: Outcome) -> str:
    """Return an outcome for people."""
    said = [f"{name} {number}" for name, number in sorted(outcome.counts.items())]
    said += [f"{name} {seconds:.2f} s" for name, seconds in outcome.figures.items()]
    return "\n  ".join([outcome.what, ", ".join(said), f"faults: {len(outcome.faults)}", *outcome.faults])


if __name__ == "__main__":
    sys.exit(main())
