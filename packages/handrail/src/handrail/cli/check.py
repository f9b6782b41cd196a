"""`handrail check`: what `alembic check` says, at once when nothing has changed since it said so."""

from __future__ import annotations

import click

from handrail.config import load_project
from handrail.unchanged import PASSED, Unchanged


@click.command()
def check() -> None:
    """Tell whether the models need a new revision, as `alembic check` does.

    While no file, package or variable has changed since the last check that found nothing, neither the models are
    imported nor is a database asked. Otherwise this is `alembic check`, with its output and its exit codes.
    """
    project = load_project()
    if Unchanged.of(project).passed:
        click.echo(PASSED)
        return
    from alembic.config import CommandLine

    CommandLine(prog="alembic").main(["--config", str(project.root / "alembic.ini"), "check"])
