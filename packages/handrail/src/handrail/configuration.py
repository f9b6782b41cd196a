"""Alembic's configuration and scripts of a project, for code that is not run by the `alembic` command."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from handrail.errors import ConfigurationError, MigrationError

if TYPE_CHECKING:
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
        place = f"{error.filename}:{error.lineno}: " if isinstance(error, SyntaxError) else ""
        raise MigrationError(
            f"a revision file cannot be imported: {place}{type(error).__name__}: {error}. Mend it, then try again."
        ) from error
    return directory
