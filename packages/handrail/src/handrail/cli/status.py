"""`handrail status`: where the database stands."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from handrail.config import load_project
from handrail.heads import record_command

if TYPE_CHECKING:
    from handrail.upgrade.standing import Standing

ATTENTION = 1
NAMED = 3  # tables, of which there may be hundreds


@click.command()
@click.option("--format", "shape", type=click.Choice(["text", "json"]), default="text", help="For people or machines.")
def status(shape: str) -> None:
    """Tell where the database stands: its revision, what is pending, and what needs attention.

    Among the latter are edited revision files, INVALID indexes, and what was changed by hand since the last migration.
    Reads only. The exit code is 0 when there is nothing to do, and 1 when there is.
    """
    from handrail.configuration import alembic_config, database_of, load_scripts
    from handrail.connection import with_connection
    from handrail.upgrade.standing import standing

    project = load_project()
    config = alembic_config(project)
    directory = load_scripts(config)
    url = database_of(project, config)
    found = with_connection(url, lambda opened: standing(opened, project, directory), application="handrail status")
    if shape == "json":
        click.echo(json.dumps(asdict(found) | {"well": found.well}, indent=2))
    else:
        lines = {
            "revision": " ".join(found.revisions) or "(none)",
            "newest": " ".join(found.heads) or "(none)",
            "pending": ", ".join(found.pending),
            "problem": found.problem,
            "unversioned": unversioned(found),
            "migrating": found.migrating,
            "edited": ", ".join(found.edited),
            "unfinished": f"{', '.join(found.unfinished)}; go on: {found.finishes}" if found.unfinished else "",
            "INVALID": ", ".join(found.invalid_indexes),
            "unvalidated": ", ".join(found.not_validated),
            "untrue": f"stamped, but not so: {', '.join(found.untrue)}" if found.untrue else "",
            "by hand": "\n".join(found.drift).replace("\n", "\n" + " " * 13),
        }
        for name, value in lines.items():
            if value:
                quiet = name in ("revision", "newest")
                click.echo(f"{click.style(name.ljust(12), fg=None if quiet else 'yellow')} {value}")
        if found.well:
            click.echo(click.style("Nothing to do.", fg="green"))
    sys.exit(0 if found.well else ATTENTION)


def unversioned(found: Standing) -> str:
    """Say what to do about tables that are there though no revision is recorded; nothing when there are none."""
    if not found.unversioned:
        return ""
    others = len(found.unversioned) - NAMED
    names = ", ".join(found.unversioned[:NAMED]) + (f" and {others} more" if others > 0 else "")
    record = record_command(found.heads)
    return f"no revision is recorded, but {names} is there. If the revisions create that, up to one of them: {record}"
