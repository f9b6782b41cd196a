"""The server of one cluster on POSIX: find it, start it, stop it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from handrail.errors import ServerError
from handrail.lock import FileLock
from handrail.postgres.account import Account
from handrail.postgres.address import PORT, SocketAddress, socket_address
from handrail.postgres.binaries import Binaries
from handrail.postgres.faults import program_failed, text_since
from handrail.postgres.greeting import Answer, greet
from handrail.postgres.layout import Layout
from handrail.postgres.postmaster import PidFile, is_postmaster_of, listens_at, read_pid_file, reap, send
from handrail.postgres.spawn import Detached, directory_for, start

# Bounds against waiting for ever; each is far above what was measured (start 0.03 s, stop 0.02 s).
START_SECONDS = 60.0
STOP_SECONDS = 60.0
POLL_SECONDS = 0.002
LOG_BYTES = 5_000_000


class Server:
    """The server process of one cluster. Whoever starts or stops it holds the lock of the layout.

    Liveness does not rest on pid files: the server inherits a lock on `layout.alive`, which the kernel frees with the
    last of its processes. A pid file is removed only while we hold that lock and the process is not the server; a
    signal is sent only to a process that was recognised as the server.
    """

    def __init__(self, layout: Layout, account: Account, settings: tuple[str, ...]) -> None:
        self.layout = layout
        self.account = account
        self.settings = settings
        self.address: SocketAddress = socket_address(layout.data, account)

    def pid(self) -> int | None:
        """Return the pid of our server when it accepts connections at our address. Changes nothing."""
        found = self.process()
        return found.pid if found and self.is_reachable(found) else None

    def process(self) -> PidFile | None:
        """Return our server in whatever state; None when no living process is it."""
        found = read_pid_file(self.layout.data)
        return found if found and self.is_ours(found.pid) else None

    def is_ours(self, pid: int) -> bool:
        return is_postmaster_of(pid, self.layout.data)

    def is_reachable(self, found: PidFile) -> bool:
        here = (found.port, found.socket_directory) == (PORT, str(self.address.directory))
        return found.status == "ready" and here and self.address.socket.exists()

    def claim(self) -> FileLock | None:
        """Return the lock to start the server with; None when it turns out to run and to be reachable.

        Waits for a server that is starting or stopping. One that runs where nobody finds it (the project was moved,
        its socket deleted) is stopped first.

        Raises:
            ServerError: Processes that are out of our reach keep using the data.
        """
        alive = FileLock(self.layout.alive)
        try:
            asked: int | None = None
            deadline = time.monotonic() + START_SECONDS
            while True:
                found = self.process()
                if found and self.is_reachable(found):
                    alive.release()
                    return None
                if found and found.status == "ready" and found.pid != asked:
                    asked = found.pid
                    send(found.pid, signal.SIGINT, self.is_ours)
                # Tried last: only now, without a process and with the lock, is there surely no server.
                if not found and alive.acquire() and not self.process():
                    return alive
                self.pause(deadline)
        except BaseException:
            alive.release()
            raise

    def pause(self, deadline: float) -> None:
        if time.monotonic() >= deadline:
            raise ServerError(
                f"processes of an earlier PostgreSQL still use {self.layout.data} and do not end, or a server in "
                f"another container shares the folder. Look for them (`lsof {self.layout.alive}`), end them and try "
                f"again; the server's log is {self.layout.log}."
            )
        time.sleep(POLL_SECONDS)

    def has_database(self, database: str) -> bool:
        return self.answer(database) is Answer.PRESENT

    def answer(self, database: str) -> Answer:
        return greet(self.address.socket, database)

    def authentication(self) -> tuple[str, ...]:
        """Return initdb's options: no password, because nobody else can enter the directory of the socket."""
        return ("--auth=trust",)

    def crashed(self) -> bool:
        """Return whether the last server of this data ended without shutting down; we hold the claim."""
        return os.path.lexists(self.layout.data / "postmaster.pid")

    def launch(self, claim: FileLock, binaries: Binaries) -> None:
        """Start the server and wait until it accepts connections; it keeps the claim, and lives on without us.

        Raises:
            ServerError: It ended or was not ready in time; its last words are in the message.
        """
        self.remove_stale_files()
        self.address.prepare()
        self.layout.data.chmod(0o700)
        rotate(self.layout.log)
        offset = self.layout.log.stat().st_size if self.layout.log.exists() else 0
        process = self.execute(claim, binaries)
        self.wait_until_ready(process, offset)

    def execute(self, claim: FileLock, binaries: Binaries) -> Detached:
        self.layout.log.touch(mode=0o600)
        with self.layout.log.open("ab") as log, directory_for(self.account, self.layout.data) as (name, inherited):
            argv: list[str | Path] = [binaries.program("postgres"), "-D", name]
            for setting in (*self.listening(), *self.settings):
                argv += ["-c", setting]
            return start(argv, self.account, descriptors=[claim.descriptor, *inherited], log=log)

    def listening(self) -> tuple[str, ...]:
        """Return the settings that make the socket the only door, whatever postgresql.conf says."""
        directory = self.address.directory
        return (
            "listen_addresses=",
            f"port={PORT}",
            f"unix_socket_directories={directory}",
            "unix_socket_permissions=0700",
        )

    def wait_until_ready(self, process: Detached, offset: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            found = read_pid_file(self.layout.data)
            if found and found.pid == process.pid and self.is_reachable(found):
                return
            if (code := process.poll()) is not None:
                raise self.failed(f"PostgreSQL ended while it was starting (exit code {code})", offset)
            if time.monotonic() >= deadline:
                raise self.failed(f"PostgreSQL was not ready after {START_SECONDS:.0f} s and is still starting", offset)
            time.sleep(POLL_SECONDS)

    def failed(self, what: str, offset: int) -> ServerError:
        self.address.remove()
        return program_failed(
            f"{what}; its log is {self.layout.log}", self.layout.data, text_since(self.layout.log, offset)
        )

    def remove_stale_files(self) -> None:
        """Remove pid and lock files of a server that is gone; the claim proves that none of its processes is left.

        PostgreSQL itself would refuse to start for as long as any process has the pid that stands in them.
        """
        (self.layout.data / "postmaster.pid").unlink(missing_ok=True)
        self.evict()
        self.address.clear()

    def evict(self) -> bool:
        """Stop a server that listens at our address but not with our data: that was deleted or moved under it."""
        holder = self.address.lock_holder()
        if holder is None or not send(holder, signal.SIGINT, self.listens_here):
            return False
        deadline = time.monotonic() + STOP_SECONDS
        while self.listens_here(holder):
            self.pause(deadline)
        return True

    def listens_here(self, pid: int) -> bool:
        return listens_at(pid, self.address.directory)

    def stop(self, *, losing: bool = False) -> bool:
        """Stop the server, breaking its connections; False when it was not running.

        Nothing is lost, unless `losing` says that the data will be deleted and need not be written down.

        Raises:
            ServerError: It did not end in time, or runs where we cannot reach it.
        """
        asked: int | None = None
        deadline = time.monotonic() + STOP_SECONDS
        with FileLock(self.layout.alive) as alive:
            while (found := self.process()) or not alive.acquire():
                if found and found.pid != asked:
                    asked = found.pid
                    send(found.pid, signal.SIGQUIT if losing else signal.SIGINT, self.is_ours)
                self.pause(deadline)
        if asked is not None:
            reap(asked, ending=True)
        self.address.remove()
        return asked is not None


def rotate(log: Path) -> None:
    """Put a log aside that has grown; one older log is kept."""
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_name(f"{log.name}.old"))
