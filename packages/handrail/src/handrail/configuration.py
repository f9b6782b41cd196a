"""Alembic's configuration and scripts of a project, for code that is not run by the `alembic` command."""

from __future__ import annotations

import io
from configparser import InterpolationError
from pathlib import Path
from typing import TYPE_CHECKING

from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from handrail.connection import parse_url
from handrail.development import database_url, database_url_at_hand
from handrail.errors import ConfigurationError, MigrationError
from handrail.place import gap
from handrail.revisions import PLACEHOLDER_URL

if TYPE_CHECKING:
    from sqlalchemy import URL

    from handrail.config import Project


def alembic_config(project: Project) -> Config:
    """Return Alembic's configuration of the project; what commands run with it print is not shown."""
    ini = project.root / "alembic.ini"
    return Config(ini if ini.exists() else None, toml_file=project.root / "pyproject.toml", stdout=io.StringIO())


def load_scripts(config: Config) -> ScriptDirectory:
    """Return the revisions as they are on disk now.

    Raises:
        ConfigurationError: Alembic finds no folder of revisions, or they do not fit together.
        MigrationError: A revision file cannot be imported.
    """
    try:
        directory = ScriptDirectory.from_config(config)
        directory.get_heads()
    except CommandError as error:
        raise ConfigurationError(f"Alembic cannot use the revisions: {error}") from error
    except Exception as error:  # whatever the code of a revision raises
        if found := gap(error):
            raise found from error
        place = f"{error.filename}:{error.lineno}: " if isinstance(error, SyntaxError) else ""
        raise MigrationError(
            f"a revision file cannot be imported: {place}{type(error).__name__}: {error}. Mend it, then try again."
        ) from error
    return directory


def database_of(project: Project, config: Config) -> URL:
    """Return the URL of alembic.ini, else of the environment, else of the development server, which is started."""
    return parse_url(ini_url(config) or project.migration_url or database_url(project))


def database_at_hand(project: Project, config: Config) -> URL | None:
    """Return the same URL, but start nothing; for a look at the database that is not worth a server."""
    url = ini_url(config) or project.migration_url or database_url_at_hand(project)
    return parse_url(url) if url else None


def ini_url(config: Config) -> str | None:
    """Return `sqlalchemy.url` of alembic.ini if there is a real one, also when its `%` are not doubled."""
    section, option = config.config_ini_section, "sqlalchemy.url"
    try:
        url = config.file_config.get(section, option, fallback=None)
    except InterpolationError:
        url = config.file_config.get(section, option, raw=True)
    return None if url == PLACEHOLDER_URL else url or None


def script_folders(directory: ScriptDirectory) -> list[Path]:
    """Return the folders that hold the revision files."""
    folders = directory.version_locations or [str(Path(directory.dir) / "versions")]
    return [Path(folder).resolve() for folder in folders]
