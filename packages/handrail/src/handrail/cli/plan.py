"""`handrail plan`: what the next upgrade of this database will do."""

from __future__ import annotations

import sys

import click

from handrail.config import load_project

FOUND = 1
SHAPES = ["text", "json", "markdown"]


@click.command()
@click.argument("revision", default="head")
@click.option("--format", "shape", type=click.Choice(SHAPES), default="text", help="For people or machines.")
def plan(revision: str, shape: str) -> None:
    """Show what `alembic upgrade` would do to this database: statements, locks, sizes, time, and the way back.

    Nothing is changed. The exit code is 1 when something was found, refused or not, and 0 otherwise.
    """
    from handrail.configuration import alembic_config, database_of, load_scripts
    from handrail.connection import with_connection
    from handrail.pending import pending
    from handrail.report import written
    from handrail.report.plan import as_plan

    project = load_project()
    config = alembic_config(project)
    directory = load_scripts(config)
    url = database_of(project, config)
    reviews = with_connection(
        url, lambda opened: pending(opened, project, config, directory, revision), application="handrail plan"
    )
    click.echo(as_plan(reviews) if shape == "text" else written(reviews, shape))
    sys.exit(FOUND if any(finding.counts for review in reviews for finding in review.findings) else 0)
