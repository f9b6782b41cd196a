"""The account that PostgreSQL runs as: one's own, or an unprivileged one for root, which PostgreSQL refuses."""

from __future__ import annotations

import errno
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from handrail.errors import ServerError

if sys.platform != "win32":
    import pwd

# Both exist where PostgreSQL or nothing at all is installed; accounts are never created.
UNPRIVILEGED = ("postgres", "nobody")
NOT_PERMITTED = (errno.EPERM, errno.EINVAL)


@dataclass(frozen=True)
class Account:
    """An account of the operating system.

    Attributes:
        dropped: We are root and have to become this account before we may run PostgreSQL.
    """

    uid: int
    gid: int
    dropped: bool

    @property
    def name(self) -> str:
        return account_name(self.uid)

    def own(self, path: Path) -> None:
        """Give `path` itself, and nothing below or above it, to this account. Does nothing for one's own."""
        if self.dropped and sys.platform != "win32":
            try:
                os.chown(path, self.uid, self.gid, follow_symlinks=False)
            except OSError as error:
                raise (self.out_of_reach(error) if error.errno in NOT_PERMITTED else error) from error

    def owns(self, path: Path) -> bool:
        return sys.platform == "win32" or path.stat().st_uid == self.uid

    def out_of_reach(self, error: OSError) -> ServerError:
        """Return the fault of a root without root's powers: in a container, or a namespace that maps nobody else."""
        return ServerError(
            f"PostgreSQL refuses to run as root, and root may not become {self.name} here ({error.strerror}). Run the "
            "command as an ordinary user, or set DATABASE_URL=postgresql://user:password@host:5432/database to use "
            "another server."
        )


def account_name(uid: int) -> str:
    """Return the name in the password database, or `uid 1234` when there is none."""
    if sys.platform != "win32":
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            pass
    return f"uid {uid}"


def server_account(data: Path) -> Account:
    """Return the account for the server of this data directory.

    For root it is the account that owns the data already, so that a cluster keeps working when another account
    appears on the machine; without data it is the first of `UNPRIVILEGED` that exists.

    Raises:
        ServerError: We are root and neither account exists.
    """
    if sys.platform == "win32":
        return Account(uid=0, gid=0, dropped=False)
    if os.geteuid() != 0:
        return Account(uid=os.geteuid(), gid=os.getegid(), dropped=False)
    return owner_of(data) or unprivileged_account()


def owner_of(data: Path) -> Account | None:
    """Return the account that owns the data directory, unless there is none or it is root's."""
    try:
        stat = data.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Account(uid=stat.st_uid, gid=stat.st_gid, dropped=True) if stat.st_uid != 0 else None


def unprivileged_account() -> Account:
    if sys.platform != "win32":
        for name in UNPRIVILEGED:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return Account(uid=entry.pw_uid, gid=entry.pw_gid, dropped=True)
    raise ServerError(
        f"PostgreSQL refuses to run as root, and this machine has neither of the accounts {' and '.join(UNPRIVILEGED)} "
        "to run it as. Run the command as an ordinary user, or set "
        "DATABASE_URL=postgresql://user:password@host:5432/database to use another server."
    )


def check_passwd_entry(account: Account) -> None:
    """Refuse an account without a name, as `docker run --user 1234` makes it: initdb demands one.

    Raises:
        ServerError: The password database has no entry for the account.
    """
    if sys.platform == "win32":
        return
    try:
        pwd.getpwuid(account.uid)
    except KeyError:
        raise ServerError(
            f"user id {account.uid} has no entry in /etc/passwd, and PostgreSQL's initdb refuses to work without one. "
            "Run the command as a user that has one (in a container: leave out `--user`, root is fine), or set "
            "DATABASE_URL=postgresql://user:password@host:5432/database to use another server."
        ) from None
