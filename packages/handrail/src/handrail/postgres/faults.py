"""Turn what the operating system or PostgreSQL said into a message for the person at the terminal."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from handrail.errors import ServerError

OTHER_SERVER = "set DATABASE_URL=postgresql://user:password@host:5432/database to use another server"
TAIL_LINES = 12
TAIL_BYTES = 16_384

# As the C library words them; the programs run with LC_ALL=C, so they are never translated.
DISK_FULL = re.compile("No space left on device|Disk quota exceeded|File too large")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) if hasattr(errno, "EDQUOT") else (errno.ENOSPC, errno.EFBIG)
DENIED = (errno.EROFS, errno.EACCES, errno.EPERM)


@contextmanager
def translated(folder: Path) -> Iterator[None]:
    """Raise a ServerError for any OSError inside, as a fault of writing in `folder`."""
    try:
        yield
    except OSError as error:
        detail = f"{error.filename or folder}: {error.strerror or error}"
        if error.errno in FULL:
            raise disk_full(folder, detail) from error
        if error.errno in DENIED:
            raise ServerError(
                f"cannot write where the development PostgreSQL keeps its data ({detail}). Make {folder} writable for "
                f"this account, or {OTHER_SERVER}."
            ) from error
        raise ServerError(
            f"the operating system refused what the development PostgreSQL needs ({detail}). Repair that and run the "
            f"same command again, or {OTHER_SERVER}."
        ) from error


def disk_full(folder: Path, detail: str) -> ServerError:
    return ServerError(
        f"the disk is full: PostgreSQL could not write in {folder} ({detail}). Nothing that was there is lost. Free "
        f"some space (`df -h {existing(folder)}` shows it) and run the same command again."
    )


def program_failed(what: str, folder: Path, output: str) -> ServerError:
    """Return the error for a program of PostgreSQL that ended badly: the cause if we know it, else its last words."""
    if found := DISK_FULL.search(output):
        line = next(line for line in output.splitlines() if found.group() in line)
        return disk_full(folder, line.strip())
    said = "\n".join(f"    {line}" for line in output.strip().splitlines()[-TAIL_LINES:]) or "    (nothing)"
    return ServerError(f"{what}. Its last words were:\n{said}\nRepair the cause and try again, or {OTHER_SERVER}.")


def text_since(log: Path, offset: int) -> str:
    """Return what was written to `log` after its first `offset` bytes; of much text only the end."""
    try:
        with log.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(offset if offset <= end else 0, end - TAIL_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def existing(path: Path) -> Path:
    """Return `path`, or its nearest parent that exists."""
    return next(candidate for candidate in (path, *path.parents) if candidate.exists())
