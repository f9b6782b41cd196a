"""`handrail baseline`: take over a database that holds what the revisions create."""

from __future__ import annotations

import click

from handrail.config import load_project


@click.command()
@click.argument("revision", default="head")
def baseline(revision: str) -> None:
    """Verify that the database holds what the revisions up to REVISION create, and record that.

    For a database that was made by `create_all`, by hand or by another tool, and for one without a journal. The
    revisions are run in a throwaway database and both are compared. Where nothing differs, the version table is stamped
    and the journal begins; otherwise what differs is said and nothing is recorded (exit code 21). Owners and privileges
    are taken as they are.
    """
    from handrail.configuration import alembic_config, database_of, load_scripts
    from handrail.drift.baseline import baseline as take_over

    project = load_project()
    config = alembic_config(project)
    revisions = take_over(project, config, load_scripts(config), database_of(project, config), revision)
    click.echo(f"The database holds what the revisions create: recorded as {' '.join(revisions)}.")
