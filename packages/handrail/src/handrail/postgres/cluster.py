"""One PostgreSQL cluster of a project: made, started, stopped and deleted on demand."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from handrail.errors import HandrailError
from handrail.lock import FileLock
from handrail.postgres import refusals
from handrail.postgres.account import server_account
from handrail.postgres.binaries import Binaries, find_binaries
from handrail.postgres.databases import ensure_database
from handrail.postgres.faults import translated
from handrail.postgres.initialise import discard, initialise, remove_leftovers
from handrail.postgres.layout import Layout
from handrail.postgres.public_copy import runnable
from handrail.postgres.record import read_record, write_record
from handrail.postgres.status import Status

if sys.platform == "win32":
    from handrail.postgres.windows import Server
else:
    from handrail.postgres.server import Server

# Longer than one start with its initialisation may take, so that of several waiting starts each gets its turn.
LOCK_SECONDS = 180.0

# Nothing in it is worth waiting for a disk. A crash of the machine may garble it, so it is made anew after one.
THROWAWAY_SETTINGS = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "autovacuum=off",
    "max_connections=300",
)


class Cluster:
    """A PostgreSQL server with its data below a project's `.postgres/`.

    Every method raises ServerError when it cannot do what it says, with a message for the person at the terminal.

    Attributes:
        database: The database that `start` sees to, and that `url` and `psql` mean unless told otherwise.
        throwaway: The data may be deleted at any start: it is, after a crash of the machine and for another version of
            PostgreSQL.
    """

    def __init__(
        self, root: Path, name: str, *, database: str, settings: tuple[str, ...] = (), throwaway: bool = False
    ) -> None:
        """Say where the cluster is; nothing is read or written yet."""
        self.layout = Layout(root.resolve(), name)
        self.database = database
        self.settings = settings
        self.throwaway = throwaway

    def start(self) -> bool:
        """Have the server running, accepting connections and holding its database; it stays when we end.

        Makes the data directory when there is none. Repeatable and safe to call from several processes at once: of
        those exactly one returns True, the one that started the server; False means that it was running already.

        Raises:
            ConfigurationError: `PGBIN` holds no PostgreSQL.
        """
        with translated(self.layout.folder):
            self.layout.check_owner()
            binaries = find_binaries()
            if self._is_serving(binaries):
                return False
            self.layout.create_folder()
            with self._locked() as lock:
                return self._start(binaries, lock)

    def stop(self) -> bool:
        """Stop the server, breaking its connections but losing nothing; False when it was not running."""
        with translated(self.layout.folder):
            self.layout.check_owner()
            if not self.layout.data.exists():
                return self._server().evict()
            with self._locked():
                return self._server().stop()

    def status(self) -> Status:
        """Return what is known about the cluster. Changes nothing, and needs no binaries."""
        with translated(self.layout.folder):
            self.layout.check_owner()
            server = self._server()
            pid = server.pid()
            idle = "stopped" if self.layout.exists() else "absent"
            return Status(
                state=idle if pid is None else "running",
                version=self.layout.version(),
                pid=pid,
                directory=str(self.layout.data),
                log=str(self.layout.log),
                binaries=self._binaries_in_use(running=pid is not None),
                url=None if pid is None else server.address.url(self.database),
            )

    def reset(self) -> bool:
        """Stop the server and delete its data directory with everything in it; False when there is none.

        Only a directory that `start` made for this project is ever deleted: not a link, not one that somebody put
        there, not one that is not a PostgreSQL's.
        """
        with translated(self.layout.folder):
            self.layout.check_owner()
            if not self.layout.exists():
                return False
            refusals.check_deletable(self.layout)
            with self._locked():
                self._server().stop(losing=True)
                discard(self.layout)
            return True

    @contextmanager
    def use(self) -> Iterator[Cluster]:
        """Have the server running inside the `with`; the last of all processes that leave theirs stops it.

        Users are counted by locks, so one that was killed does not count any more.
        """
        with translated(self.layout.folder):
            self.layout.check_owner()
            self.layout.create_folder()
            if self.throwaway and not self._is_recorded(find_binaries()):
                self._stop_if_unused()
            users = FileLock(self.layout.users)
        try:
            if not users.acquire(shared=True, timeout_seconds=LOCK_SECONDS):
                raise refusals.busy(self.layout.users, LOCK_SECONDS)
            self.start()
            yield self
        finally:
            users.release()
            with translated(self.layout.folder):
                self._stop_if_unused()

    def url(self, database: str | None = None) -> str:
        """Return the URL of a database of this cluster, without a driver name. Known before the first start."""
        return self._server().address.url(database or self.database)

    def psql(self, database: str | None = None) -> list[str]:
        """Return the beginning of a command line that runs psql here; the server must be running."""
        return [str(find_binaries().program("psql")), f"--dbname={self.url(database)}"]

    def environment(self, database: str | None = None) -> dict[str, str]:
        """Return the variables (PGHOST …) with which psql, pg_dump and their like find the database by themselves."""
        return self._server().address.environment(database or self.database)

    def _server(self) -> Server:
        # Anew each time: for root the account depends on whose the data is, which initialisation decides.
        return Server(self.layout, server_account(self.layout.data), self.settings)

    def _is_serving(self, binaries: Binaries) -> bool:
        """Return whether there is nothing to do, in a few milliseconds and without taking the lock."""
        server = self._server()
        if server.pid() is None or not self._is_recorded(binaries):
            return False
        return server.has_database(self.database)

    def _start(self, binaries: Binaries, lock: FileLock) -> bool:
        server = self._server()
        remove_leftovers(self.layout)
        refusals.check_made_by_handrail(self.layout)
        programs, major = runnable(binaries, server.account)
        claim = server.claim()
        if claim is None:
            refusals.check_version_of_running(self.layout, major, binaries, throwaway=self.throwaway)
        else:
            with claim:
                if self._is_spoilt(server, major):
                    discard(self.layout)
                if not self.layout.exists():
                    # One whose data was deleted under it would write its last checkpoint into the new data.
                    server.evict()
                    initialise(self.layout, programs, major, server.account, server.authentication(), lock)
                refusals.check_owner(self.layout, server.account)
                refusals.check_version(self.layout, major, binaries)
                server.launch(claim, programs)
                write_record(self.layout.record, binaries)
        ensure_database(server, binaries, self.database)
        return claim is not None

    def _is_spoilt(self, server: Server, major: int) -> bool:
        """Return whether there is throwaway data that is better made anew than trusted."""
        if not self.throwaway or not self.layout.exists():
            return False
        record = read_record(self.layout.record)
        # Without fsync a killed server loses nothing, since the system still writes its files; a crashed machine does.
        crashed = server.crashed() and not (record and record.is_of_this_boot())
        # Root copied the project: the files are root's now, and the account that runs the server may not read them.
        foreign = server.account.dropped and not server.account.owns(self.layout.data)
        return crashed or foreign or self.layout.version() != str(major)

    def _is_recorded(self, binaries: Binaries) -> bool:
        """Return whether the server was last started with these programs."""
        record = read_record(self.layout.record)
        return record is not None and record.is_of(binaries)

    def _stop_if_unused(self) -> None:
        if not self.layout.folder.exists():
            self.stop()  # Deleted under the server: nobody can be using it.
            return
        with FileLock(self.layout.users) as users:
            if users.acquire():
                self.stop()

    def _binaries_in_use(self, *, running: bool) -> str | None:
        if running and (record := read_record(self.layout.record)):
            return record.directory
        try:
            return str(find_binaries().directory)
        except HandrailError:
            return None

    @contextmanager
    def _locked(self) -> Iterator[FileLock]:
        """Keep other processes from starting, stopping or deleting this cluster at the same time."""
        with FileLock(self.layout.lock) as lock:
            if not lock.acquire(timeout_seconds=LOCK_SECONDS):
                raise refusals.busy(self.layout.lock, LOCK_SECONDS)
            yield lock


def development_cluster(root: Path) -> Cluster:
    """Return the cluster that keeps the developer's data, in `root/.postgres/data`; it has the usual durability."""
    return Cluster(root, "data", database="development")


def scratch_cluster(root: Path) -> Cluster:
    """Return the cluster for databases that tests and rehearsals throw away, in `root/.postgres/scratch`.

    It is fast because it may forget: after a crash of the machine it starts empty. Work with it inside
    `with cluster.use():`.
    """
    return Cluster(root, "scratch", database="postgres", settings=THROWAWAY_SETTINGS, throwaway=True)
