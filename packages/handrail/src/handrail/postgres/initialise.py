"""Make a data directory, complete or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from handrail.lock import FileLock
from handrail.postgres.account import Account, check_passwd_entry
from handrail.postgres.binaries import Binaries
from handrail.postgres.faults import program_failed
from handrail.postgres.layout import MARKER, Layout
from handrail.postgres.spawn import directory_for, run

INITDB_SECONDS = 100
UNFINISHED = "new"
DISCARDED = "old"
BUILTIN_LOCALE_SINCE = 17
# Tried in this order until the system knows the locale. The server's own provider sorts alike on every system; where
# the C library has no C.UTF-8 (macOS, Windows) the rest, such as the case of letters in full text search, is plain C.
BUILTIN_LOCALES = (
    ("--locale-provider=builtin", "--locale=C.UTF-8"),
    ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
)
LIBC_LOCALES = (("--locale=C.UTF-8",), ("--locale=C",))


def initialise(
    layout: Layout,
    binaries: Binaries,
    major: int,
    account: Account,
    authentication: Sequence[str],
    lock: FileLock,
) -> None:
    """Create the data directory in a sibling and rename it; whoever interrupts this leaves only the sibling.

    The lock of the layout is inherited by initdb: it is still held should we be killed meanwhile, so that nobody gets
    in the way of an initdb that goes on without us.

    Raises:
        ServerError: initdb failed; the sibling is removed again, which also gives a full disk its space back.
    """
    check_passwd_entry(account)
    unfinished = layout.sibling(UNFINISHED)
    try:
        unfinished.mkdir(mode=0o700)
        account.own(unfinished)
        run_initdb(unfinished, binaries, major, account, authentication, lock)
        write_marker(unfinished / MARKER, layout.name)
        if layout.data.is_dir():
            layout.data.rmdir()  # An empty one; only POSIX would rename over it.
        unfinished.rename(layout.data)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def run_initdb(
    directory: Path,
    binaries: Binaries,
    major: int,
    account: Account,
    authentication: Sequence[str],
    lock: FileLock,
) -> None:
    answer = None
    for locale in BUILTIN_LOCALES if major >= BUILTIN_LOCALE_SINCE else LIBC_LOCALES:
        with directory_for(account, directory) as (name, inherited):
            options = ["-D", name, "--username=postgres", "--encoding=UTF8", "--no-sync", *authentication, *locale]
            answer = run(
                [binaries.program("initdb"), *options, "--lc-messages=C"],
                account,
                descriptors=[lock.descriptor, *inherited],
                timeout_seconds=INITDB_SECONDS,
            )
        if answer.returncode == 0:
            return
        if "invalid locale" not in answer.stdout:
            break
    assert answer is not None, "there is always a locale to try"
    raise program_failed(
        f"initdb of {binaries.directory} could not make a data directory (exit code {answer.returncode})",
        directory.parent,
        answer.stdout,
    )


def write_marker(path: Path, name: str) -> None:
    """Say inside the data directory that handrail made it: only such a one is ever started or deleted."""
    # O_EXCL: the directory belongs to an account that must not be able to make root write elsewhere.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        os.write(descriptor, f"{name}\n".encode())
    finally:
        os.close(descriptor)


def discard(layout: Layout) -> None:
    """Delete the data directory so that an interruption leaves none, rather than half of one."""
    layout.data.rename(layout.sibling(DISCARDED))
    shutil.rmtree(layout.sibling(DISCARDED))


def remove_leftovers(layout: Layout) -> None:
    """Remove what an earlier initialisation or deletion left when it was interrupted; the lock must be held."""
    for suffix in (UNFINISHED, DISCARDED):
        leftover = layout.sibling(suffix)
        if os.path.lexists(leftover):
            shutil.rmtree(leftover)
