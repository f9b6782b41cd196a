"""`--sql`: the statements of a command, printed and not run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import context
from click import unstyle
from sqlalchemy.schema import CreateSchema

from handrail.configuration import script_folders
from handrail.discovery import load_metadata
from handrail.env.command import command_name, command_options
from handrail.env.configure import configure, version_table_schema
from handrail.report.text import described
from handrail.review.reviewer import Reviewer
from handrail.scripts import read_scripts

if TYPE_CHECKING:
    from handrail.config import Project


def run_offline(project: Project) -> None:
    """Print the SQL of the command, with the schemas that it needs; no database is asked or started."""
    metadata = load_metadata(project)
    # The asyncpg dialect leaves % alone where psycopg's would print it doubled.
    configure(project, metadata, url="postgresql+asyncpg://", literal_binds=True, dialect_opts={"paramstyle": "named"})
    schema = version_table_schema(project, metadata)
    if schema and command_options().get("starting_rev") in (None, "base"):
        context.execute(CreateSchema(schema, if_not_exists=True))
    context.get_context().opts["handrail_schemas"] = {schema}
    comment_findings(project)
    with context.begin_transaction():
        context.run_migrations()


def comment_findings(project: Project) -> None:
    """Begin the SQL with what is to be known about it, as comments: whoever runs it by hand has passed no gate."""
    migration = context.get_context()
    start = command_options().get("starting_rev")
    plan = migration.opts.get("fn")
    if command_name() != "upgrade" or plan is None:
        return
    steps = plan(() if start in (None, "base") else (start,), migration)
    wanted = {Path(step.revision.path) for step in steps}
    reviewer = Reviewer(context.config, context.script, project.root)
    scripts = read_scripts(script_folders(context.script))
    chosen = [script for script in scripts if script.path in wanted]
    for reviewed in reviewer.reviews(scripts, chosen, together=True):
        for finding in reviewed.findings:
            if finding.counts:
                lines = unstyle(described(finding)).splitlines()
                migration.impl.static_output("\n".join(f"-- {line}".rstrip() for line in lines))
