"""A disk of a few megabytes with databases on it, which only root can make, on the server's own machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Connection

from handrail.connection import with_connection
from handrail.scratch import ScratchServer
from handrail.upgrade.session import pid_of

MEGABYTES = 40
TABLESPACE = "handrail_small_disk"


class NoDiskError(Exception):
    """There is none to be had; the message says why."""


@dataclass(frozen=True)
class SmallDisk:
    """A file system in memory, where the server keeps a tablespace."""

    folder: Path

    @property
    def _filler(self) -> Path:
        return self.folder / "filler"

    def fill(self, left_bytes: int) -> None:
        """Leave so much space."""
        with self._filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(self.folder).free - left_bytes)

    def free(self) -> None:
        """Give the space back."""
        self._filler.unlink()


@contextmanager
def small_disk(server: ScratchServer) -> Iterator[SmallDisk]:
    """Yield a disk, whose databases have to be gone at the end.

    Raises:
        NoDiskError: We are not root, or the server is on another machine.
    """
    uid = account(server)
    if os.geteuid() != 0 or uid is None:
        raise NoDiskError("a small disk can only be made by root, on the machine of the server, under Linux")
    with TemporaryDirectory(prefix="bench-disk-") as folder:
        Path(folder).chmod(0o755)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "handrail-bench", folder],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if mounted.returncode:
            raise NoDiskError(f"no disk can be mounted here: {mounted.stderr.strip()}")
        try:
            yield from _tablespace(server, uid, Path(folder))
        finally:
            subprocess.run(["umount", folder], check=True)


def account(server: ScratchServer) -> int | None:
    """Return the number of the system's user who runs the server; None where that is not on this machine."""

    def look(connection: Connection) -> int | None:
        process = Path(f"/proc/{pid_of(connection)}")
        with suppress(OSError):
            if (process / "comm").read_text().strip() == "postgres":
                return process.stat().st_uid
        return None

    return with_connection(server.url, look, application="bench")


def _tablespace(server: ScratchServer, uid: int, folder: Path) -> Iterator[SmallDisk]:
    place = folder / "tablespace"
    place.mkdir()
    shutil.chown(place, uid)
    server.execute(f"CREATE TABLESPACE {TABLESPACE} LOCATION '{place}'")
    try:
        yield SmallDisk(folder)
    finally:
        server.execute(f"DROP TABLESPACE {TABLESPACE}")
