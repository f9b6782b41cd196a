"""A lock on a file that several processes respect and that no crash can leave behind."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import TracebackType

if sys.platform == "win32":
    import msvcrt
else:
    import errno
    import fcntl

POLL_SECONDS = 0.005
# Windows locks bytes, and only exclusively: each sharer takes one of its own, so this many can share.
WINDOWS_BYTES = 256


class FileLock:
    """An advisory lock; the kernel frees it when the last process that holds its descriptor ends, however it ends.

    On POSIX it is `flock`, which belongs to the open file: a child that inherits the descriptor holds the lock too.
    On Windows (untested here) it is a range of locked bytes, and nothing is inherited.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, and create it when needed; nothing is locked yet. Raises: OSError."""
        self.path = path
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)

    def acquire(self, *, shared: bool = False, timeout_seconds: float = 0.0) -> bool:
        """Return whether the lock was obtained in time; with the default, at once or not at all."""
        deadline = time.monotonic() + timeout_seconds
        while not self._try(shared):
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def release(self) -> None:
        """Close the file, which gives up our hold on the lock. Repeatable."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> FileLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    if sys.platform == "win32":

        def _try(self, shared: bool) -> bool:
            if not shared:
                return self._lock_bytes(0, WINDOWS_BYTES)
            return any(self._lock_bytes(position, 1) for position in range(WINDOWS_BYTES))

        def _lock_bytes(self, position: int, count: int) -> bool:
            os.lseek(self.descriptor, position, os.SEEK_SET)
            try:
                msvcrt.locking(self.descriptor, msvcrt.LK_NBLCK, count)
            except OSError:
                return False
            return True

    else:

        def _try(self, shared: bool) -> bool:
            try:
                fcntl.flock(self.descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                    return False
                raise
            return True
