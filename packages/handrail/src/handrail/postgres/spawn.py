"""Run PostgreSQL's programs: as the right account, with a small environment, wherever the data lies."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from handrail.errors import ServerError
from handrail.postgres.account import NOT_PERMITTED, Account
from handrail.postgres.faults import OTHER_SERVER

# Everything else stays behind: a server outlives this process for days, may run as another account, and would keep
# our secrets readable in its environment; and PG* variables would change where the programs look.
ENVIRONMENT = (
    "PATH",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "COMSPEC",
    "TEMP",
    "TMP",
    "USERNAME",
    "USERPROFILE",
)


class Detached(subprocess.Popen[bytes]):
    """A child that is meant to outlive us, so that dropping the object is no fault and needs no warning."""

    def __del__(self, *args: Any, **kwargs: Any) -> None:
        pass


def environment() -> dict[str, str]:
    """Return the environment for PostgreSQL's programs: untranslated messages, and UTC for initdb to choose."""
    return {key: os.environ[key] for key in ENVIRONMENT if key in os.environ} | {"LC_ALL": "C", "TZ": "UTC"}


@contextmanager
def directory_for(account: Account, directory: Path) -> Iterator[tuple[str, list[int]]]:
    """Yield how a program that runs as `account` shall name `directory`, and the descriptors it must inherit for it.

    An account that we drop to may be unable to pass through the parents (a project below /root, mode 0700), and
    parents are not ours to open. So we open the directory while we still may, and the program inherits the
    descriptor: on Linux `/proc/self/fd/N` leads into it without walking the path. Measured with initdb and postgres
    of 15 and 18, including reload and ALTER SYSTEM. The only visible trace: `SHOW data_directory` says that name.
    """
    if not account.dropped or not Path("/proc/self/fd").is_dir():
        yield str(directory), []
        return
    descriptor = os.open(directory, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        yield f"/proc/self/fd/{descriptor}", [descriptor]
    finally:
        os.close(descriptor)


def options(account: Account, descriptors: Sequence[int]) -> dict[str, Any]:
    """Return the arguments of Popen that make a child run as `account`, away from the working directory."""
    # Servers before 16 look at the working directory while they start, and may not be allowed to.
    chosen: dict[str, Any] = {"cwd": Path(sys.executable).anchor, "env": environment(), "stdin": subprocess.DEVNULL}
    if sys.platform != "win32":
        chosen["pass_fds"] = tuple(descriptors)
    if account.dropped:
        chosen |= {"user": account.uid, "group": account.gid, "extra_groups": []}
    return chosen


def run(
    argv: Sequence[str | Path], account: Account, *, descriptors: Sequence[int] = (), timeout_seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return its exit code and words, both streams together.

    Raises:
        ServerError: It could not be started, or did not end in time (it is killed then).
        PermissionError: The account may not reach the program.
    """
    try:
        return subprocess.run(
            [str(argument) for argument in argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            check=False,
            **options(account, descriptors),
        )
    except subprocess.TimeoutExpired as error:
        raise ServerError(
            f"{argv[0]} did not end within {timeout_seconds:.0f} s and was stopped. Try again."
        ) from error
    except OSError as error:
        raise not_started(error, str(argv[0]), account) from error


def start(argv: Sequence[str | Path], account: Account, *, descriptors: Sequence[int] = (), log: IO[bytes]) -> Detached:
    """Start a program that outlives us, away from our terminal: Ctrl-C here does not reach it.

    Raises:
        ServerError: It could not be started.
    """
    try:
        return Detached(
            [str(argument) for argument in argv],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **options(account, descriptors),
        )
    except OSError as error:
        raise not_started(error, str(argv[0]), account) from error


def not_started(error: OSError, program: str, account: Account) -> Exception:
    if error.errno == errno.EACCES:
        return PermissionError(error.errno, os.strerror(errno.EACCES), program)
    if account.dropped and error.errno in NOT_PERMITTED:
        return account.out_of_reach(error)
    return ServerError(
        f"{program} cannot run on this machine ({error.strerror}). Point PGBIN at the bin directory of a PostgreSQL "
        f"that does, or {OTHER_SERVER}."
    )
