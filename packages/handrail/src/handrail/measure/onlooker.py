"""Another session that looks on: a statement which commits by itself holds no lock any more when it has ended."""

from __future__ import annotations

import secrets
import threading
import time
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from handrail.connection import with_connection
from handrail.errors import HandrailError
from handrail.measure.snapshot import MODES

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

    from handrail.effects import LockMode
    from handrail.measure.snapshot import Ask

READY_SECONDS = 10.0

# It looks as long as the watched session holds an advisory lock with the key, so it also ends when that session dies.
# It must not be in the same database: CREATE INDEX CONCURRENTLY waits there for every transaction that is open.
FUNCTION = """
CREATE FUNCTION pg_temp.locks_of(watched int, watched_database int8, key int8) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    seen text[] := '{}';
    rounds int := 0;
BEGIN
    LOOP
        seen := ARRAY(SELECT unnest(seen) UNION SELECT relation || ' ' || mode FROM pg_locks
            WHERE pid = watched AND locktype = 'relation' AND granted AND database = watched_database);
        EXIT WHEN NOT EXISTS (SELECT FROM pg_locks WHERE pid = watched AND locktype = 'advisory' AND objid = key);
        -- The first rounds are slow: everything has to be planned.
        IF rounds = 3 THEN
            PERFORM pg_advisory_xact_lock(key);
        END IF;
        rounds := rounds + 1;
        IF rounds > 1000 THEN
            PERFORM pg_sleep(0.002);
        END IF;
    END LOOP;
    RETURN seen;
END $$
"""
READY = "SELECT count(*)::int8 FROM pg_locks WHERE locktype = 'advisory' AND objid = {key} AND granted"
WHO = "SELECT pg_backend_pid()::int8, (SELECT oid::int8 FROM pg_database WHERE datname = current_database())"


class Onlooker:
    """Looks at the locks of one session while one statement is running.

    Args:
        server: Another database of the same server.
        ask: Asks in the watched session.
    """

    def __init__(self, server: URL, ask: Ask) -> None:
        self.server, self.ask = server, ask
        self.key = secrets.randbits(31)
        self.seen: list[str] = []
        self.thread = threading.Thread(target=self._look, args=tuple(ask(WHO)[0]), name="handrail onlooker")

    def start(self) -> None:
        """Begin to look, and return when nothing can be missed any more."""
        self.ask(f"SELECT pg_advisory_lock({self.key})::text")
        self.thread.start()
        deadline = time.monotonic() + READY_SECONDS
        while self.thread.is_alive() and time.monotonic() < deadline:
            if self.ask(READY.format(key=self.key))[0][0] > 1:
                return

    def finish(self) -> set[tuple[int, LockMode]]:
        """Return locks that were held on relations meanwhile: those that it saw, which need not be all."""
        self.ask(f"SELECT pg_advisory_unlock({self.key})::text")
        self.thread.join()
        pairs = (text.split(" ") for text in self.seen)
        return {(int(oid), MODES[mode]) for oid, mode in pairs}

    def _look(self, pid: int, database: int) -> None:
        def work(connection: Connection) -> list[str]:
            connection.exec_driver_sql(FUNCTION)
            question = f"SELECT pg_temp.locks_of({pid}, {database}, {self.key})"
            return list(connection.exec_driver_sql(question).scalar_one())

        try:
            self.seen = with_connection(self.server, work, application="handrail onlooker", autocommit=True)
        except (HandrailError, DBAPIError):
            self.seen = []  # nobody looked on, which is said of the statement
