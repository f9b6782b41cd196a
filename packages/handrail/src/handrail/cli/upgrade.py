"""`handrail upgrade`: what `alembic upgrade` does, at once when there is nothing to do, and patient when asked."""

from __future__ import annotations

import click

from handrail.config import Project, load_project

WAIT_SECONDS = 60.0


@click.command()
@click.argument("revision", default="head")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    is_flag=False,
    flag_value=WAIT_SECONDS,
    metavar="[=SECONDS]",
    help=f"Wait for a server that is not there yet, for others that migrate, and for what blocks; {WAIT_SECONDS:g} "
    "seconds each unless it says otherwise.",
)
def upgrade(revision: str, wait: float | None) -> None:
    """Bring the database to REVISION (default: head), as `alembic upgrade` does, with its output and its exit codes.

    At head, one query answers, without SQLAlchemy, Alembic or the models. For release jobs and init containers:
    handrail upgrade --wait
    """
    project = load_project()
    head = known_head(project) if revision in ("head", "heads") else None
    if head:
        click.echo(f"The database is at {head}, the newest revision: nothing to do.", err=True)
        return
    from alembic.config import CommandLine

    patience = [] if wait is None else ["-x", f"wait={wait:g}"]
    ini = ["--config", str(project.root / "alembic.ini")]
    CommandLine(prog="alembic").main([*ini, *patience, "upgrade", revision])


def known_head(project: Project) -> str | None:
    """Return the newest revision when the database is known to be there."""
    from handrail.development import database_url
    from handrail.revisions import ini_has_url
    from handrail.upgrade.at_head import is_at_head

    if ini_has_url(project):
        return None
    return is_at_head(project, project.migration_url or database_url(project))
