"""When a cluster is left alone, and what its owner is told."""

from __future__ import annotations

from pathlib import Path

from handrail.errors import ServerError
from handrail.postgres.account import Account, account_name
from handrail.postgres.binaries import Binaries
from handrail.postgres.faults import OTHER_SERVER
from handrail.postgres.layout import Layout


def is_made_by_handrail(layout: Layout) -> bool:
    try:
        return layout.marker.read_text(encoding="utf-8").strip() == layout.name
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
        return False


def check_made_by_handrail(layout: Layout) -> None:
    """Refuse to start on files that somebody else put where our data directory belongs; nothing is deleted.

    Raises:
        ServerError: The directory is not one that we made, or it lost its PG_VERSION.
    """
    if not layout.exists():
        return
    if layout.version() is None:
        what = f"{layout.data} holds files but is no PostgreSQL data directory (PG_VERSION is missing or damaged)"
    elif not is_made_by_handrail(layout):
        what = f"{layout.data} is a PostgreSQL data directory that handrail did not make"
    else:
        return
    raise ServerError(
        f"{what}, so it is left as it is. If you need it, move it away: `mv {layout.data} {layout.data}.saved`; if you "
        f"do not, delete it: `rm -r {layout.data}`. Then the next command makes a new one."
    )


def check_owner(layout: Layout, account: Account) -> None:
    """Refuse data that belongs to another account than the server's, as after `cp -r` by root; nothing is changed.

    Raises:
        ServerError: The server could not read it.
    """
    if not account.owns(layout.data):
        raise ServerError(
            f"{layout.data} belongs to {account_name(layout.data.stat().st_uid)}, and PostgreSQL runs as "
            f"{account.name} here and may not read it. `cp -r` by root makes such a copy (`cp -a` does not). Nothing "
            f"was changed. To keep the data: `chown -R {account.uid}:{account.gid} {layout.data}`. To start again "
            "without it: `handrail db reset`."
        )


def check_version(layout: Layout, major: int, binaries: Binaries) -> None:
    """Refuse data of another major version than that of the binaries; nothing is deleted.

    Raises:
        ServerError: The versions differ.
    """
    version = layout.version()
    if version != str(major):
        raise ServerError(
            f"{layout.data} was made by PostgreSQL {version}, and the programs found ({found(binaries)}) are "
            f"PostgreSQL {major}, which cannot read it. Nothing was changed. To keep the data use PostgreSQL "
            f"{version}: {way_back(binaries)}`export PGBIN=/usr/lib/postgresql/{version}/bin` (and `pg_dump` there, to "
            "take it along). To start again without it: `handrail db reset`."
        )


def check_version_of_running(layout: Layout, major: int, binaries: Binaries, *, throwaway: bool) -> None:
    """Refuse to go on with a server of another major version than the one that would be started now.

    Raises:
        ServerError: The versions differ; the server goes on.
    """
    version = layout.version()
    if version != str(major):
        end = "wait for the tests that use it to end" if throwaway else "stop it first: `handrail db stop`"
        raise ServerError(
            f"the server in {layout.data} is running with PostgreSQL {version}, but the programs found "
            f"({found(binaries)}) are PostgreSQL {major}. To go on with it: {way_back(binaries)}`export "
            f"PGBIN=/usr/lib/postgresql/{version}/bin`. Otherwise {end}."
        )


def found(binaries: Binaries) -> str:
    return f"{binaries.origin}: {binaries.directory}"


def way_back(binaries: Binaries) -> str:
    """Return the simplest advice for someone who named another PostgreSQL, and else nothing."""
    return "`unset PGBIN`, or " if binaries.origin == "PGBIN" else ""


def check_deletable(layout: Layout) -> None:
    """Refuse to delete anything that is not certainly a data directory which handrail made for this very project.

    Raises:
        ServerError: It is not; nothing was stopped or deleted.
    """
    why = None
    if layout.folder.is_symlink() or layout.data.is_symlink():
        why = "it is reached through a symbolic link"
    elif not layout.data.is_dir() or layout.version() is None:
        why = "it is no PostgreSQL data directory"
    elif not is_made_by_handrail(layout):
        why = "handrail did not make it"
    if why:
        raise ServerError(
            f"{layout.data} is not deleted, because {why}. Look at it first; if it really is in the way: "
            f"`rm -r {layout.data}`."
        )


def busy(lock: Path, seconds: float) -> ServerError:
    return ServerError(
        f"another process has been starting or stopping this project's PostgreSQL for more than {seconds:.0f} s. Find "
        f"it (`lsof {lock}`), end it and try again; or {OTHER_SERVER}."
    )
