"""What the next upgrade of a database would do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from handrail.catalog import read_catalog
from handrail.gate import exempt
from handrail.predict import State
from handrail.review import Reviewed, Reviewer
from handrail.scripts import read_scripts
from handrail.sizes import Sizes
from handrail.upgrade.versions import name_of, rows

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection

    from handrail.config import Project


def pending(
    connection: Connection, project: Project, config: Config, directory: ScriptDirectory, target: str = "heads"
) -> list[Reviewed]:
    """Review the revisions that are not applied to this database, with its own sizes; it is only read.

    Args:
        connection: To the database.
        project: Its settings.
        config: Alembic's configuration.
        directory: The revisions.
        target: Up to which revision.
    """
    schema = project.version_table_schema or version_schema(project) or "public"
    applied = rows(connection, name_of(schema, project.version_table))
    sizes = Sizes.of(connection)
    reviewer = Reviewer(config, directory, project.root, sizes, State.of(read_catalog(connection)))
    steps = list(directory.iterate_revisions(target, tuple(applied) or "base", implicit_base=True))
    paths = [Path(script.path) for script in reversed(steps)]
    past = exempt(project, paths)
    scripts = {script.path: script for script in read_scripts(sorted({path.parent for path in paths}))}
    reviews = []
    for path in paths:
        script = scripts[path]
        if script.revision in past:
            reviewer.pass_over(script)
        else:
            reviews.append(reviewer.review(script, thoroughly=False))
    return reviews


def version_schema(project: Project) -> str | None:
    """Return the schema of the models, in which the version table is."""
    from handrail.discovery import load_metadata

    return load_metadata(project).schema
