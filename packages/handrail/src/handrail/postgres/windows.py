"""The server of one cluster on Windows: loopback TCP with a password, driven through pg_ctl.

Untested: written from the manual for the system we have not got. It is kept apart so that nothing of it runs on POSIX.
There are no sockets with an owner here that every driver can use, so a random password guards a port of 127.0.0.1.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
from dataclasses import dataclass
from urllib.parse import quote

from handrail.errors import ServerError
from handrail.lock import FileLock
from handrail.postgres.account import Account
from handrail.postgres.binaries import Binaries, find_binaries
from handrail.postgres.faults import program_failed, text_since
from handrail.postgres.greeting import Answer
from handrail.postgres.layout import Layout
from handrail.postgres.postmaster import PidFile, read_pid_file
from handrail.postgres.spawn import environment

START_SECONDS = 60
STOP_SECONDS = 60
PSQL_SECONDS = 30
CONNECT_SECONDS = 0.5
HOST = "127.0.0.1"


@dataclass(frozen=True)
class TcpAddress:
    """A port of the loopback interface and the password of the role `postgres`, chosen once for each cluster."""

    port: int
    password: str

    def url(self, database: str) -> str:
        return f"postgresql://postgres:{self.password}@{HOST}:{self.port}/{quote(database, safe='')}"

    def environment(self, database: str) -> dict[str, str]:
        return {
            "PGHOST": HOST,
            "PGPORT": str(self.port),
            "PGUSER": "postgres",
            "PGPASSWORD": self.password,
            "PGDATABASE": database,
        }


def tcp_address(layout: Layout) -> TcpAddress:
    """Return port and password from the files in `.postgres/`; they are chosen when there are none."""
    port, password = layout.sibling("port"), layout.sibling("password")
    if not (port.exists() and password.exists()):
        layout.create_folder()
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as free:
            free.bind((HOST, 0))
            port.write_text(str(free.getsockname()[1]), encoding="ascii")
        password.write_text(secrets.token_hex(16), encoding="ascii")
    return TcpAddress(int(port.read_text(encoding="ascii")), password.read_text(encoding="ascii").strip())


class Server:
    """The same as on POSIX, as far as Windows allows: pg_ctl knows how to start, find and stop a server here."""

    def __init__(self, layout: Layout, account: Account, settings: tuple[str, ...]) -> None:
        self.layout = layout
        self.account = account
        self.settings = settings
        self.address = tcp_address(layout)

    def pid(self) -> int | None:
        found = self.process()
        return found.pid if found and found.status == "ready" else None

    def process(self) -> PidFile | None:
        """Return what postmaster.pid says if somebody listens on the port that stands in it, which is ours."""
        found = read_pid_file(self.layout.data)
        if found is None or found.port != self.address.port:
            return None
        try:
            with socket.create_connection((HOST, found.port), timeout=CONNECT_SECONDS):
                return found
        except OSError:
            return None

    def has_database(self, database: str) -> bool:
        return self.answer(database) is Answer.PRESENT

    def answer(self, database: str) -> Answer:
        """Ask with psql, which knows how to use the password."""
        answer = subprocess.run(
            [str(find_binaries().program("psql")), "-Xqc", ""],
            env=environment() | self.address.environment(database),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PSQL_SECONDS,
            check=False,
        )
        if answer.returncode == 0:
            return Answer.PRESENT
        return Answer.MISSING if f'database "{database}" does not exist' in answer.stderr else Answer.SILENT

    def authentication(self) -> tuple[str, ...]:
        return ("--auth=scram-sha-256", f"--pwfile={self.layout.sibling('password')}")

    def evict(self) -> bool:
        """Do nothing: Windows does not delete a directory that a server has open."""
        return False

    def claim(self) -> FileLock | None:
        if self.process():
            return None
        alive = FileLock(self.layout.alive)
        alive.acquire()
        return alive

    def crashed(self) -> bool:
        return os.path.lexists(self.layout.data / "postmaster.pid")

    def launch(self, claim: FileLock, binaries: Binaries) -> None:
        """Start the server and wait until it accepts connections. Raises: ServerError: it did not."""
        offset = self.layout.log.stat().st_size if self.layout.log.exists() else 0
        settings = ("listen_addresses=127.0.0.1", f"port={self.address.port}", "unix_socket_directories=")
        options = " ".join(f"-c {setting}" for setting in (*settings, *self.settings))
        code = self.pg_ctl(binaries, "start", "-l", str(self.layout.log), "-o", options, "-t", str(START_SECONDS))
        if code != 0:
            raise program_failed(
                f"PostgreSQL could not be started on port {self.address.port}; its log is {self.layout.log}",
                self.layout.data,
                text_since(self.layout.log, offset),
            )

    def stop(self, *, losing: bool = False) -> bool:
        """Stop the server; False when it was not running. Raises: ServerError: it did not end in time."""
        if self.process() is None:
            return False
        if self.pg_ctl(find_binaries(), "stop", "-m", "immediate" if losing else "fast", "-t", str(STOP_SECONDS)) != 0:
            raise ServerError(
                f"PostgreSQL was asked to stop and has not within {STOP_SECONDS} s. See {self.layout.log}, try again."
            )
        return True

    def pg_ctl(self, binaries: Binaries, verb: str, *options: str) -> int:
        # No pipes: the server would inherit them, and we would wait for its end.
        return subprocess.run(
            [str(binaries.program("pg_ctl")), verb, "-w", "-D", str(self.layout.data), *options],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        ).returncode
