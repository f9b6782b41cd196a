"""A server, and a project that is migrated on it again and again, in several threads."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from faults.shop import Shop
from handrail.connection import with_connection
from handrail.scratch import ScratchServer
from handrail.upgrade.journal import Journal
from small_project import SmallProject

DRIVERS = ("asyncpg", "psycopg")
ROWS = 30_000


@dataclass
class Workbench:
    """Where faults are made.

    Attributes:
        jobs: How many rounds are done at the same time.
    """

    server: ScratchServer
    project: SmallProject
    chance: random.Random
    jobs: int = 1
    _templates: dict[str, str] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    @contextmanager
    def shop(self, driver: str, target: str | None = None) -> Iterator[Shop]:
        """Yield the project with an empty database, or one at a revision."""
        with self._lock:  # only one database can be copied from another at a time
            name = self.server.create(template=self._template(target) if target else None)
        try:
            yield self._shop(driver, name)
        finally:
            self.server.drop(name)

    def _shop(self, driver: str, database: str) -> Shop:
        url = self.server.url_of(database).replace("postgresql://", f"postgresql+{driver}://")
        project = replace(self.project, environment=dict(self.project.environment))
        return Shop(project.use(url), url, ROWS)

    def _template(self, target: str) -> str:
        """Return a database at a revision, which is made once."""
        if target not in self._templates:
            name = self.server.create()
            self._shop(DRIVERS[0], name).project.succeeds("upgrade", target)
            self._templates[target] = name
        return self._templates[target]

    def repeat(self, work: Callable[[int], None], wanted: Callable[[], bool]) -> None:
        """Do something again and again in every thread, with the number of the round, as long as it is wanted."""
        numbers, ended = iter(range(1_000_000)), threading.Event()

        def worker() -> None:
            while wanted() and not ended.is_set():
                with self._lock:
                    number = next(numbers)
                work(number)

        with ThreadPoolExecutor(self.jobs) as pool:
            try:
                for done in [pool.submit(worker) for _ in range(self.jobs)]:
                    done.result()
            finally:
                ended.set()  # also for Ctrl-C, which only this thread gets

    def times(self, work: Callable[[int], None], number: int) -> None:
        """Do something so many times, in all threads together."""
        with ThreadPoolExecutor(self.jobs) as pool:
            list(pool.map(work, range(number)))

    def catalog(self, shop: Shop) -> str:
        """Return the digest of everything in the schema."""
        url = self.server.url.set(database=shop.database)
        look = Journal("shop").catalog_now
        return with_connection(url, lambda opened: look(opened, "alembic_version").hash, application="bench")

    def undisturbed(self) -> tuple[dict[str, str], dict[str, float]]:
        """Return what an upgrade makes that nobody disturbs, and how long it takes, for each driver."""
        catalogs, seconds = {}, {}
        for driver in DRIVERS:
            for _ in range(2):  # the first one compiles
                with self.shop(driver) as shop:
                    begun = time.monotonic()
                    shop.project.succeeds("upgrade", "head")
                    seconds[driver] = time.monotonic() - begun
                    catalogs[driver] = self.catalog(shop)
        return catalogs, seconds
