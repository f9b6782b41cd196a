"""Who blocks us, and how far an index is: seen from another session while ours is waiting for the server's answer."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from handrail.connection import with_connection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import URL, Connection

QUIET_SECONDS = 0.3  # a statement that is faster is not worth a look
LOOK_SECONDS = 0.2
TELL_SECONDS = 10.0  # how often progress is told where nobody looks; on a terminal every second

SESSION = """a.pid, a.usename, a.state, left(regexp_replace(a.query, '\\s+', ' ', 'g'), 80) AS query,
        extract(epoch FROM clock_timestamp() - a.xact_start) AS seconds"""
BLOCKERS = text(
    f"""
    SELECT {SESSION}
    FROM unnest(pg_blocking_pids(:pid)) AS blocking JOIN pg_stat_activity a ON a.pid = blocking
    """  # noqa: S608 - no input
)
# Who has a lock that not even a look at the table's definition gets past.
HOLDERS = text(
    f"""
    SELECT DISTINCT {SESSION}
    FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.granted AND l.pid <> pg_backend_pid()
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    """  # noqa: S608 - no input
)
# PostgreSQL sets a measure that says nothing about the phase back to 0.
# (https://www.postgresql.org/docs/current/progress-reporting.html#CREATE-INDEX-PROGRESS-REPORTING)
INDEX = text(
    """
    SELECT phase, partitions_done, partitions_total, lockers_done AS transactions_done,
        lockers_total AS transactions_total, blocks_done, blocks_total, tuples_done, tuples_total
    FROM pg_stat_progress_create_index WHERE pid = :pid
    """
)
MEASURES = ("partitions", "transactions", "blocks", "tuples")
STATEMENT = text(
    "SELECT left(regexp_replace(query, '\\s+', ' ', 'g'), 80) FROM pg_stat_activity "
    "WHERE pid = :pid AND state = 'active'"
)


class Watch:
    """A thread with a connection of its own, which it opens when a step takes longer than a moment."""

    def __init__(self, url: URL | None, pid: int, application: str) -> None:
        """Watch nothing yet.

        Args:
            url: Of the database; None where there is no way to open another connection.
            pid: Of the session that is watched.
            application: What the watching session is called on the server.
        """
        self.url, self.pid, self.application = url, pid, application
        self.blockers, self.pids = "", list[int]()  # seen last
        self._since: float | None = None
        self._what = ""
        self._told = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="handrail watch", daemon=True)

    def __enter__(self) -> Watch:
        if self.url is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def step(self, what: str | None) -> None:
        """Tell what is being run now; None when nothing is."""
        self._what, self.blockers, self.pids = what or "", "", []
        self._since = time.monotonic() if what else None
        self._told = time.monotonic()

    def _run(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            if self._since is not None and time.monotonic() - self._since > QUIET_SECONDS:
                try:
                    assert self.url is not None
                    with_connection(self.url, self._look_on, application=self.application, autocommit=True)
                except Exception:  # noqa: BLE001 - nothing depends on what is seen here, and the migration goes on
                    return

    def _look_on(self, connection: Connection) -> None:
        while not self._ended.is_set():
            if self._since is not None:
                rows = connection.execute(BLOCKERS, {"pid": self.pid}).all()
                now = named(rows)
                if rows:
                    self.blockers, self.pids = now, [row.pid for row in rows]
                self._tell(connection, now)
            self._ended.wait(LOOK_SECONDS)

    def _tell(self, connection: Connection, blockers: str) -> None:
        since, now = self._since, time.monotonic()
        if since is None or now - self._told < (1.0 if sys.stderr.isatty() else TELL_SECONDS):
            return
        self._told = now
        index = connection.execute(INDEX, {"pid": self.pid}).first()
        statement = connection.scalar(STATEMENT, {"pid": self.pid})
        doing = (statement or "between two statements") + (f": {progress(index)}" if index else "")
        print(f"  {self._what}: {now - since:.0f} s, {doing}{blockers and f', blocked{blockers}'}",
              file=sys.stderr, flush=True)  # fmt: skip


def holders(connection: Connection) -> tuple[str, list[int]]:
    """Return who keeps others even from looking at a table, for a sentence and by number."""
    rows = connection.execute(HOLDERS).all()
    return named(rows), [row.pid for row in rows]


def named(rows: Sequence[Any]) -> str:
    """Name sessions at the end of a sentence: ` by pid 7 (…), and by pid 8 (…)`; empty where there are none."""
    return " by " + ", and by ".join(map(described, rows)) if rows else ""


def described(row: Any) -> str:
    """Describe a session that is in the way."""
    age = f", its transaction is {row.seconds:.0f} s old" if row.seconds is not None else ""
    return f"pid {row.pid} ({row.usename or 'unknown'}{age}, {row.state or 'unknown'}: {row.query})"


def progress(row: Any) -> str:
    """Describe how far the building of an index is."""
    numbers = {name: (getattr(row, f"{name}_done"), getattr(row, f"{name}_total")) for name in MEASURES}
    measured = [
        f"{done} of {total} {name} ({100 * done // total} %)" for name, (done, total) in numbers.items() if total
    ]
    return ", ".join([row.phase, *measured])
