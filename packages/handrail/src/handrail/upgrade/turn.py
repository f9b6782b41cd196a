"""Whose turn it is to migrate: a session's advisory lock that is asked for again and again, never waited for.

A session that waits for a lock holds a snapshot, for which CREATE INDEX CONCURRENTLY of the holder waits in turn: a
deadlock that PostgreSQL cannot see. Between two questions ours holds nothing.
"""

from __future__ import annotations

import hashlib
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from handrail.errors import BusyError

if TYPE_CHECKING:
    from sqlalchemy import Connection

MIGRATING = "another process is migrating this database"
POLL_SECONDS = (0.1, 1.0)  # the first pause, and the longest

HOLDER = text(
    """
    SELECT l.pid, a.application_name, a.backend_start
    FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND (l.classid::bigint << 32) | l.objid::bigint = :key
    """
)
HELD = text(f"SELECT count(*) FROM ({HOLDER.text}) AS holder WHERE pid = pg_backend_pid()")  # noqa: S608 - no input


@dataclass(frozen=True)
class Turn:
    """The right to change one version table, held by two sessions.

    Attributes:
        keeper: A session that does nothing else. It is free to answer while the other one works.
        key: The number of its lock.
    """

    keeper: Connection
    key: int

    def check(self) -> None:
        """Make sure that the turn is still ours.

        Raises:
            BusyError: The keeper's session has ended: by now somebody else may be migrating.
        """
        try:
            held = self.keeper.scalar(HELD, {"key": self.key})
            release(self.keeper)
        except SQLAlchemyError:
            held = False
        if not held:
            raise BusyError(
                "stopped before the next step: the session that held the migration lock is gone (terminated, or the "
                "network was cut), so another process may be migrating by now. Run the same command again: it goes on "
                "where this one stopped."
            )


def key_of(version_table: str, part: str) -> int:
    """Return the number of a lock: the same for all processes that change this version table of a database."""
    digest = hashlib.sha256(f"handrail {part} {version_table}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


@contextmanager
def turn(
    migrator: Connection, keeper: Connection, version_table: str, wait_seconds: float, again: str
) -> Iterator[Turn]:
    """Hold the turn while the block runs.

    The migrating session holds a lock of its own beside the keeper's. Where a migrator was killed, its last statement
    may still be running on the server, with the keeper's session gone: that is the end of its turn only when both are.

    Raises:
        BusyError: Somebody else held it all the time.
    """
    deadline = time.monotonic() + wait_seconds
    keys = {keeper: key_of(version_table, "turn"), migrator: key_of(version_table, "work")}
    obtained: list[Connection] = []
    try:
        for connection, key in keys.items():
            obtain(connection, key, deadline, wait_seconds, again=again)
            obtained.append(connection)
        yield Turn(keeper, keys[keeper])
    finally:
        for connection in obtained:
            give_back(connection, keys[connection])


def obtain(
    connection: Connection, key: int, deadline: float, wait_seconds: float, why: str = MIGRATING, again: str = ""
) -> None:
    """Ask for a lock until it is ours or the time is up; tell once why we wait, and for whom."""
    pause, told = POLL_SECONDS[0], False
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}):
        release(connection)
        pid, who = holder(connection, key)
        if time.monotonic() >= deadline:
            longer = f", or with more patience: {again}  " if again else ". "
            raise BusyError(
                f"{why}{who}, and was not done within {wait_seconds:g} s. Nothing was changed by this one. Run the "
                f"same command again later{longer}If that process hangs, end its session on the server: "
                f"SELECT pg_terminate_backend({pid or '<pid>'});  Whatever it has left unfinished, the next upgrade "
                "finishes."
            )
        if not told:
            print(f"Waiting: {why}{who}.", file=sys.stderr, flush=True)
            told = True
        time.sleep(min(pause * random.uniform(0.7, 1.0), max(deadline - time.monotonic(), 0)))  # noqa: S311
        pause = min(pause * 1.5, POLL_SECONDS[1])
    release(connection)


def holder(connection: Connection, key: int) -> tuple[int | None, str]:
    """Return who holds a lock, by number and in words for a sentence; nothing when it has just become free."""
    row: Any = connection.execute(HOLDER, {"key": key}).first()
    release(connection)
    if row is None:
        return None, ""
    since = f", since {row.backend_start:%Y-%m-%d %H:%M:%S %Z}" if row.backend_start else ""
    return row.pid, f" (pid {row.pid}, {row.application_name or 'without a name'}{since})"


def release(connection: Connection) -> None:
    """End the transaction that SQLAlchemy has begun for a question."""
    if connection.in_transaction():
        connection.commit()


def give_back(connection: Connection, key: int) -> None:
    """Release a lock; where the session is gone, the server has done that."""
    try:
        if connection.in_transaction():
            connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})
        release(connection)
    except SQLAlchemyError:
        return  # with the session its locks are gone
