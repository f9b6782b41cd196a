"""Where a cluster listens: a Unix socket in a private directory with a short, predictable name."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from handrail.errors import ServerError
from handrail.postgres.account import Account

# Only the name of the socket file: nothing listens on this port, so it collides with no other server.
PORT = 5432
# The kernel's limit for the path of a socket, without the closing zero byte: 107 bytes on Linux, 103 on macOS.
SOCKET_PATH_BYTES = 107 if sys.platform == "linux" else 103


@dataclass(frozen=True)
class SocketAddress:
    """A private socket directory.

    Its name is made from the path of the data, so every process knows it without asking; it lies in the temporary
    folder because a project's own path may be longer than a socket's may be.
    """

    directory: Path
    account: Account

    @property
    def socket(self) -> Path:
        return self.directory / f".s.PGSQL.{PORT}"

    @property
    def lock_file(self) -> Path:
        return self.directory / f".s.PGSQL.{PORT}.lock"

    def url(self, database: str) -> str:
        """Return the URL for `psql` and drivers; with the port, so that a `PGPORT` of the user does not lead away."""
        host = quote(str(self.directory), safe="/")
        return f"postgresql://postgres@/{quote(database, safe='')}?host={host}&port={PORT}"

    def environment(self, database: str) -> dict[str, str]:
        """Return the variables with which libpq's programs find the server by themselves."""
        return {"PGHOST": str(self.directory), "PGPORT": str(PORT), "PGUSER": "postgres", "PGDATABASE": database}

    def prepare(self) -> None:
        """Make the directory, for the server's account alone. Raises: ServerError, see `opened`."""
        self.directory.mkdir(mode=0o700, exist_ok=True)
        with self.opened() as descriptor:
            if sys.platform != "win32":
                os.fchmod(descriptor, 0o700)
                if self.account.dropped:
                    os.fchown(descriptor, self.account.uid, self.account.gid)

    def clear(self) -> None:
        """Remove socket and lock of a server that is gone. Raises: ServerError, see `opened`."""
        if not os.path.lexists(self.directory):
            return
        with self.opened() as descriptor:
            for name in (self.socket.name, self.lock_file.name):
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=descriptor)

    @contextmanager
    def opened(self) -> Iterator[int]:
        """Yield a descriptor of the directory, which stays the same whatever is done to its name meanwhile.

        Raises:
            ServerError: A link, a file or the directory of another account stands at this path, in a folder where
                everybody may write: connections could be caught there.
        """
        try:
            descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            raise self.foreign() from error
        try:
            owner = os.fstat(descriptor).st_uid
            # Root's own: we were interrupted between making it and giving it away.
            if owner != self.account.uid and not (self.account.dropped and owner == 0):
                raise self.foreign()
            yield descriptor
        finally:
            os.close(descriptor)

    def foreign(self) -> ServerError:
        return ServerError(
            f"{self.directory} is where the PostgreSQL of this project puts its socket, but somebody else made it, or "
            "it is no directory, so connections could be caught there. Look at it "
            f"(`ls -ld {self.directory}`), remove it (`sudo rm -r {self.directory}`) and try again."
        )

    def lock_holder(self) -> int | None:
        """Return the pid in the lock file that a server keeps beside its socket."""
        try:
            first = self.lock_file.read_text(encoding="utf-8", errors="replace").partition("\n")[0].strip()
        except OSError:
            return None
        return int(first) if first.isdecimal() else None

    def remove(self) -> None:
        """Remove the directory after the server has stopped, unless there is something in it that is not ours."""
        with suppress(OSError):
            self.directory.rmdir()


def socket_address(data: Path, account: Account) -> SocketAddress:
    """Return the address of the cluster in `data`. Reads nothing of the cluster and creates nothing.

    Raises:
        ServerError: The temporary folder's own path is too long for a socket.
    """
    # The account is in the name: a clone at the same path that another account makes later gets another one.
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    directory = temporary_folder() / f"handrail-{account.uid}-{digest}"
    address = SocketAddress(directory, account)
    if len(os.fsencode(address.socket)) > SOCKET_PATH_BYTES:
        raise ServerError(
            f"the temporary folder {directory.parent} has a path too long for a Unix socket (at most "
            f"{SOCKET_PATH_BYTES} bytes in all). Choose a shorter one: `export TMPDIR=/var/tmp`."
        )
    return address


def temporary_folder() -> Path:
    """Return /tmp, whatever TMPDIR says: all terminals must agree on it, and TMPDIR may be long, or differ in each.

    Only where /tmp is missing or closed it is Python's own choice.
    """
    shared = Path("/tmp")  # noqa: S108 - what we make there is checked, see SocketAddress.opened
    return shared if os.access(shared, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
