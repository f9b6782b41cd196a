"""Simple reads and writes while a revision runs, to see how long somebody waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from handrail.connection import quoted, with_connection
from handrail.errors import HandrailError

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

    from handrail.effects import Relation

PAUSE = 0.001  # seconds between two statements of the same session
# What they do to a row does not matter; which lock they need on the table does.
READ = "SELECT 1 FROM {table} LIMIT 1"
WRITE = "DELETE FROM {table} WHERE false"


@dataclass
class Stall:
    """How long somebody waited at most.

    Attributes:
        table: For which table.
        what: `reads` or `writes`.
        seconds: The longest statement.
    """

    table: Relation
    what: str
    seconds: float = 0.0


@contextmanager
def load_on(url: URL, tables: Collection[Relation]) -> Iterator[list[Stall]]:
    """Read and write in tables all the while, in two sessions for each; the list is complete at the end."""
    stalls = [Stall(table, what) for table in tables for what in ("reads", "writes")]
    stop, started = threading.Event(), threading.Semaphore(0)
    workers = [threading.Thread(target=_work, args=(url, stall, stop, started)) for stall in stalls]
    try:
        for worker in workers:
            worker.start()
        for _ in workers:
            started.acquire()
        yield stalls
    finally:
        stop.set()
        for worker in workers:
            worker.join()


def _work(url: URL, stall: Stall, stop: threading.Event, started: threading.Semaphore) -> None:
    name = f"{quoted(stall.table.schema)}.{quoted(stall.table.name)}"
    statement = (READ if stall.what == "reads" else WRITE).format(table=name)

    def work(connection: Connection) -> None:
        connection.exec_driver_sql(statement)
        started.release()
        while not stop.wait(PAUSE):
            began = time.perf_counter()
            with suppress(DBAPIError):  # the table is gone, which is told elsewhere
                connection.exec_driver_sql(statement)
            stall.seconds = max(stall.seconds, time.perf_counter() - began)

    try:
        with_connection(url, work, application="handrail load", autocommit=True)
    except (HandrailError, DBAPIError):
        started.release()  # without this session, rather than not at all
