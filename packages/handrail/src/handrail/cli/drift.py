"""`handrail drift`: what was changed by hand, and both ways out."""

from __future__ import annotations

import sys

import click

from handrail.config import load_project

DRIFTED = 1


@click.command()
@click.option(
    "--format", "shape", type=click.Choice(["text", "json", "sql"]), default="text",
    help="For people, for machines, or the edit as SQL.",
)  # fmt: skip
def drift(shape: str) -> None:
    """Show what was changed by hand in the database since its last migration.

    Reads only; whoever may read the journal may look, in production too. Without a journal the database is compared
    with what the revisions create in a throwaway database.

    The exit code is 0 without drift, 1 with it, 2 for a wrong command line, and another one when the comparison is not
    possible: 3 a setting is wrong, 5 a server does not answer, 6 a privilege is missing, 8 there is no journal and no
    throwaway server, 13 the version table is empty.
    """
    from handrail.configuration import alembic_config, database_of, load_scripts
    from handrail.drift.find import find
    from handrail.drift.report import as_json, text
    from handrail.drift.statements import statements

    project = load_project()
    config = alembic_config(project)
    _, found = find(project, config, load_scripts(config), database_of(project, config))
    if shape == "json":
        click.echo(as_json(found, "journal" if found.since else "history"))
    elif shape == "sql":
        for statement in statements(found.differences, found.expected, found.live):
            click.echo(f"{statement};")
    else:
        click.echo(text(found))
    sys.exit(DRIFTED if found.differences else 0)
