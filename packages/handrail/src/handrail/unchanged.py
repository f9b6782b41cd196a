"""Whether anything has changed since `alembic check` found nothing: then the answer is known without asking again.

What decides the answer is read as bytes, in milliseconds: neither the models nor SQLAlchemy are imported, and no
database is asked. In doubt (a file that cannot be read, too many of them) nothing is known.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from handrail import __version__
from handrail.cache import Cache
from handrail.config import Project

FORMAT = "1"  # to be raised when `check` answers differently about the same project
PASSED = "No new upgrade operations detected."  # what Alembic says

# What modules and revisions are made of, or may read: by these endings, and `.env` in its variations.
SOURCES = (".py", ".pyi", ".so", ".pyd", ".toml", ".ini", ".cfg", ".sql", ".json", ".yaml", ".yml", ".csv", ".txt")
NOT_SOURCE = {"__pycache__", "build", "dist", "node_modules", "site-packages", "venv", "htmlcov"}
INSTALLED = ("site-packages", "dist-packages")
MANY = 50_000  # files after which looking at them takes longer than asking

# They tell about the terminal, the session or the caller, and change from one command to the next.
VOLATILE = re.compile(
    r"_|SHLVL|PWD|OLDPWD|COLUMNS|LINES|TERM\w*|COLORTERM|NO_COLOR|DISPLAY|WINDOWID|PS\d|LS_COLORS|HIST\w*|TMUX\w*|STY"
    r"|SSH_\w+|XDG_\w+|DBUS_\w+|GPG_\w+|VSCODE_\w+|ITERM_\w+|KITTY_\w+|WEZTERM_\w+|MAKE\w*|MFLAGS|PYTEST_\w+|PROMPT\w*"
)


@dataclass(frozen=True)
class Unchanged:
    """What is known about a project as it is now.

    Attributes:
        environment: The variables when the command began; modules may change them when they are imported.
        path: Python's, likewise.
        state: Digest of everything that decides the answer of `alembic check`; None when there is no telling.
    """

    project: Project
    environment: Mapping[str, str]
    path: Sequence[str]
    state: str | None

    @classmethod
    def of(cls, project: Project) -> Unchanged:
        """Look at the project's files, its environment and the installed packages; at the beginning of a command."""
        environment, path = dict(os.environ), tuple(sys.path)
        return cls(project, environment, path, _state(project.root, environment, path))

    @property
    def passed(self) -> bool:
        """Whether `alembic check` found nothing in exactly this state."""
        return self.state is not None and Cache.of(self.project.root).read(f"check-{self.state}") == PASSED

    def remember(self) -> None:
        """Keep that `alembic check` has just found nothing, unless something was changed while it ran."""
        if self.state is not None and self.state == _state(self.project.root, self.environment, self.path):
            Cache.of(self.project.root).write(f"check-{self.state}", PASSED)


def _state(root: Path, environment: Mapping[str, str], path: Sequence[str]) -> str | None:
    facts = Facts.of(root, environment, path)
    return None if facts is None else facts.digest()


@dataclass(frozen=True)
class Facts:
    """Everything on which depends what code of a project does.

    Attributes:
        other: About Python, the variables and what is installed.
        files: The digest of each source file.
    """

    other: list[bytes]
    files: dict[str, bytes]

    @classmethod
    def of(cls, root: Path, environment: Mapping[str, str], path: Sequence[str]) -> Facts | None:
        """Look at the project in this folder; None when there is no telling.

        Args:
            root: The project's folder.
            environment: The variables.
            path: Python's.
        """
        if any(map(_is_everything, path)):
            return None
        facts = cls([], {})
        try:
            for number, (file, fact) in enumerate(_facts(root, environment, path)):
                if number > MANY:
                    return None
                if file:
                    facts.files[file] = fact
                else:
                    facts.other.append(fact)
        except OSError:
            return None
        return facts

    def digest(self, *more: object, without: Collection[str] = ()) -> str:
        """Return one digest of it all.

        Args:
            more: What matters besides.
            without: Files that do not matter.
        """
        files = [(file, fact) for file, fact in self.files.items() if file not in without]
        return hashlib.sha256(repr((self.other, files, more)).encode()).hexdigest()[:32]


def _is_everything(entry: str) -> bool:
    """Whether it is the root folder; `python -m alembic` has the one in which it was started in its path."""
    folder = Path(entry or ".").resolve()
    return folder == folder.parent


def _facts(root: Path, environment: Mapping[str, str], path: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    for part in (FORMAT, __version__, sys.version, sys.platform, str(root)):
        yield "", part.encode()
    for name, value in sorted(environment.items()):
        if not VOLATILE.fullmatch(name):
            yield "", os.fsencode(f"{name}={value}")
    folders = [Path(entry or ".").resolve() for entry in path]
    installed = [folder for folder in folders if folder.name in INSTALLED and folder.is_dir()]
    for folder in installed:
        yield from (("", fact) for fact in _installed(folder))
    for folder in _outermost([root, *folders, *_editable(installed)]):
        yield from _sources(folder, set())


def _installed(folder: Path) -> Iterator[bytes]:
    """Yield what is installed: names with versions, and when it was, for another build of the same version."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        stat = entry.stat() if entry.name.endswith((".dist-info", ".egg-info", ".pth", ".egg-link", ".py")) else None
        yield os.fsencode(f"{entry.name} {stat.st_mtime_ns if stat else ''}")


def _editable(installed: Iterable[Path]) -> Iterator[Path]:
    """Yield folders from which setuptools has packages imported in place; other tools put them into Python's path."""
    for folder in installed:
        for finder in folder.glob("__editable__*_finder.py"):
            quoted = re.findall(r"'([^']+)'", finder.read_text(encoding="utf-8"))
            yield from (path for path in map(Path, quoted) if path.is_absolute() and path.is_dir())


def _outermost(folders: Iterable[Path]) -> list[Path]:
    """Return folders that are no part of each other, without those of Python and of what is installed."""
    pythons = {Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()}
    found: list[Path] = []
    for folder in sorted(
        {folder for folder in folders if folder.is_dir()}, key=lambda folder: (len(folder.parts), folder)
    ):
        if not any(folder.is_relative_to(other) for other in (*pythons, *found)):
            found.append(folder)
    return found


def _sources(folder: Path | str, above: set[str]) -> Iterator[tuple[str, bytes]]:
    """Yield names and digests of the source files in a folder and below, in the same order every time."""
    here = os.path.realpath(folder)
    if here in above:
        return  # a link to a folder that we came through
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir():
            if (
                not entry.name.startswith(".")
                and entry.name not in NOT_SOURCE
                and not Path(entry.path, "pyvenv.cfg").exists()
            ):
                yield from _sources(entry.path, above | {here})
        elif entry.name.endswith(SOURCES) or entry.name.startswith(".env"):
            with open(entry.path, "rb") as file:  # noqa: PTH123 - of thousands, each through Path takes half as long again
                yield entry.path, hashlib.sha256(file.read()).digest()
