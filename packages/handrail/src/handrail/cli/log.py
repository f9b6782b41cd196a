"""`handrail log`: what was done to the database."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from handrail.config import load_project

if TYPE_CHECKING:
    from handrail.upgrade.journal import Entry


@click.command()
@click.option("--format", "shape", type=click.Choice(["text", "json"]), default="text", help="For people or machines.")
@click.option("-n", "--number", type=click.IntRange(min=1), default=20, help="How many entries; the newest first.")
def log(shape: str, number: int) -> None:
    """Show what was done to the database: when, which revision, how long it took, by whom and from where."""
    from handrail.configuration import alembic_config, database_of
    from handrail.connection import with_connection
    from handrail.upgrade.standing import journal_of

    project = load_project()
    url = database_of(project, alembic_config(project))
    entries = with_connection(url, lambda opened: journal_of(opened, project), application="handrail log")
    newest = entries[::-1][:number]
    if shape == "json":
        click.echo(json.dumps([asdict(entry) for entry in newest], indent=2, default=str))
        return
    for entry in newest:
        click.echo(line(entry))
    if not newest:
        click.echo("The journal is empty: nothing was migrated since there is one.", err=True)


def line(entry: Entry) -> str:
    """Return an entry for people."""
    if entry.finished_at is None:
        took = "unfinished"
    elif entry.direction == "drift":
        took = f"passed by: {', '.join(step.statement for step in entry.steps) or 'nothing any more'}"
    elif entry.direction == "untrue":
        took = f"stamped, but not so: {', '.join(step.statement for step in entry.steps)}"
    else:
        took = f"{(entry.finished_at - entry.started_at).total_seconds():.1f} s"
    tried = f", blocked {entry.retries} times" if entry.retries else ""
    version = f", version {entry.application_version}" if entry.application_version else ""
    return (
        f"{entry.started_at:%Y-%m-%d %H:%M:%S}  {entry.direction:<9} {entry.revision}  ({took}{tried}; {entry.role}, "
        f"{entry.host}{version})"
    )
