"""`handrail schema`: the schema after the last revision, as SQL."""

from __future__ import annotations

import sys

import click

from handrail.config import load_project

STALE = 1


@click.command()
@click.option("--write", is_flag=True, help="Write it to alembic/schema.sql.")
@click.option(
    "--check", is_flag=True, help="Compare it with alembic/schema.sql; the exit code is 1 when that is stale."
)
def schema(write: bool, check: bool) -> None:
    """Print the schema that the revisions create.

    It is made by running the revisions in a throwaway database, so neither the configured database nor the models make
    a difference. Commit alembic/schema.sql: a pull request then shows what a migration really does, and two branches
    that both migrate conflict in git.

    The exit code is 0 when all is well, 1 when --check finds the file stale, and another one when the schema cannot be
    worked out: 3 a setting is wrong, 5 a server does not answer, 7 a revision fails, 8 there is no throwaway server.
    """
    if write and check:
        raise click.UsageError("--write and --check exclude each other: a file that was just written is never stale.")
    from handrail.configuration import alembic_config
    from handrail.schema_file import schema_file

    project = load_project()
    file = schema_file(project, alembic_config(project))
    if write:
        click.echo(f"Wrote {file.shown}." if file.write() else f"{file.shown} is up to date.")
    elif not check:
        click.echo(file.text, nl=False)
    elif difference := file.difference:
        click.echo(difference, nl=False)
        state = "is not what the revisions create" if file.found is not None else "is missing"
        click.echo(f"{file.shown} {state}. Write and commit it:  handrail schema --write", err=True)
        sys.exit(STALE)
