"""Revision scripts on disk, read as text: what they are, without importing Alembic or running them."""

from __future__ import annotations

import ast
import configparser
import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from handrail.config import Project

PLACEHOLDER_URL = "driver://user:pass@localhost/dbname"  # what `alembic init` writes into alembic.ini
ASSIGNMENT = re.compile(r"^(revision|down_revision|depends_on)\b[^=\n]*=[ \t]*(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Script:
    """One file: its revision's id, those before it, and the digest of its text."""

    revision: str
    parents: Collection[str]
    sha256: str


def scripts(project: Project) -> list[Script] | None:
    """Return what the files say, in milliseconds; None where only Alembic itself can tell.

    That is the case with several version locations, and with files that Alembic did not write.
    """
    folder = versions_folder(project)
    if folder is None or not folder.is_dir():
        return None
    found: list[Script] = []
    for file in folder.glob("*.py"):
        try:
            content = file.read_bytes()
            # The first assignment of each name counts: a later one stands in a text.
            assigned = dict(reversed(ASSIGNMENT.findall(content.decode())))
            # Most often one id; None at the beginning, and a tuple after a merge.
            revision, down = (ast.literal_eval(assigned[name]) for name in ("revision", "down_revision"))
        except (KeyError, ValueError, SyntaxError):
            return None
        found.append(Script(revision, [down] if isinstance(down, str) else down or (), sha256(content)))
    return found


def sha256(content: bytes) -> str:
    """Return the SHA-256 of a file's content."""
    return hashlib.sha256(content).hexdigest()


def newest(scripts: Sequence[Script]) -> set[str]:
    """Return the ids of the revisions that no other one follows."""
    return {script.revision for script in scripts}.difference(*(script.parents for script in scripts))


def heads(project: Project) -> set[str] | None:
    """Return the ids of the newest revisions; None where only Alembic itself can tell."""
    found = scripts(project)
    return None if found is None else newest(found)


def ini_has_url(project: Project) -> bool:
    """Whether alembic.ini names a database, which then wins over `DATABASE_URL`."""
    return ini_url(project) is not None


def ini_url(project: Project) -> str | None:
    """Return `sqlalchemy.url` of alembic.ini as it stands there; None when there is no real one."""
    ini = configparser.RawConfigParser()
    ini.read(project.root / "alembic.ini", encoding="utf-8")
    url = ini.get("alembic", "sqlalchemy.url", fallback=PLACEHOLDER_URL)
    return None if url in ("", PLACEHOLDER_URL) else url


def versions_folder(project: Project) -> Path | None:
    """Return the folder of the revision files, if alembic.ini has a single one in the usual way."""
    ini = configparser.ConfigParser({"here": str(project.root)})
    try:
        ini.read(project.root / "alembic.ini", encoding="utf-8")
        if any(ini.has_option("alembic", f"{prefix}version_locations") for prefix in ("", "recursive_")):
            return None
        location = ini.get("alembic", "script_location", fallback=None)
    except configparser.Error:
        return None
    return project.root / location / "versions" if location else None
