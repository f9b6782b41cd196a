"""Where one cluster keeps its things: the folder `.postgres/` of a project and the names inside it."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from handrail.errors import ServerError
from handrail.postgres.account import account_name

FOLDER = ".postgres"
MARKER = "handrail.cluster"


@dataclass(frozen=True)
class Layout:
    """The files of one cluster, all of them inside the project's `.postgres/`.

    Attributes:
        root: The project's folder, absolute and without symbolic links.
        name: Name of the data directory; the other files are called after it.
    """

    root: Path
    name: str

    @property
    def folder(self) -> Path:
        return self.root / FOLDER

    @property
    def data(self) -> Path:
        """The data directory; it appears complete or not at all."""
        return self.folder / self.name

    @property
    def marker(self) -> Path:
        """Inside the data directory, so that it appears and disappears with it: we made this cluster."""
        return self.data / MARKER

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def record(self) -> Path:
        """Which binaries the server was last started with, as JSON."""
        return self.folder / f"{self.name}.json"

    @property
    def lock(self) -> Path:
        """Locked by whoever starts, stops or deletes the cluster."""
        return self.folder / f"{self.name}.lock"

    @property
    def alive(self) -> Path:
        """Locked by the server itself, for as long as any process of it lives."""
        return self.folder / f"{self.name}.alive"

    @property
    def users(self) -> Path:
        """Locked, shared, by every process inside `Cluster.use`."""
        return self.folder / f"{self.name}.users"

    def sibling(self, suffix: str) -> Path:
        """Return a path beside the data directory, on the same file system, so that it can be renamed to it."""
        return self.folder / f"{self.name}.{suffix}"

    def version(self) -> str | None:
        """Return the major version that made the data directory, such as "18"; None when there is none."""
        try:
            text = (self.data / "PG_VERSION").read_text(encoding="utf-8", errors="replace").strip()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return text if re.fullmatch(r"\d{1,3}(\.\d{1,2})?", text) else None

    def exists(self) -> bool:
        """Return whether there is a data directory that holds anything at all."""
        return os.path.lexists(self.data) and not (self.data.is_dir() and not any(self.data.iterdir()))

    def create_folder(self) -> None:
        """Make `.postgres/` and keep it out of version control. Repeatable."""
        if not self.root.is_dir():
            raise ServerError(f"the project folder {self.root} does not exist, so there is no place for a PostgreSQL.")
        # Whatever the umask: nobody else may exchange what is in it.
        self.folder.mkdir(mode=0o755, exist_ok=True)
        ignore = self.folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("# The development PostgreSQL of this machine: never committed.\n*\n", encoding="utf-8")

    def check_owner(self) -> None:
        """Refuse a `.postgres/` that another account made: its files could neither be read nor replaced.

        Raises:
            ServerError: The folder belongs to somebody else.
        """
        if sys.platform == "win32" or not self.folder.exists():
            return
        owner = self.folder.stat().st_uid
        if owner == os.geteuid():
            return
        whose = account_name(owner)
        raise ServerError(
            f"{self.folder} belongs to {whose}, and you are {account_name(os.geteuid())}: one account cannot use the "
            f"PostgreSQL of another. Run this as {whose}, or give up the data in it with `sudo rm -r {self.folder}`, "
            "or set DATABASE_URL to use another server."
        )
