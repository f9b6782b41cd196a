"""`handrail rehearse`: what a revision does, before it does it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from handrail.config import load_project
from handrail.errors import HandrailError

LOST, IMPOSSIBLE = 1, 2


@click.command()
@click.argument("revisions", metavar="[REVISION|A:B]", default="")
@click.option("--rows", type=click.IntRange(min=0), default=1000, help="How many rows to make up for each table.")
@click.option("--from", "original", metavar="URL", help="Use a copy of this database instead; it is only read.")
@click.option("--timeout", type=click.FloatRange(min=0.1), default=60.0, help="Seconds after which a run is stopped.")
@click.option("--under-load", is_flag=True, help="Let others read and write meanwhile, and tell how long they waited.")
@click.option(
    "--stats", type=click.Path(path_type=Path), help="Production's sizes, of `handrail stats`: tells the time there."
)
@click.option("--format", "shape", type=click.Choice(["text", "json"]), default="text", help="For people or machines.")
def rehearse(
    revisions: str,
    rows: int,
    original: str | None,
    timeout: float,
    under_load: bool,
    stats: Path | None,
    shape: str,
) -> None:
    """Run revisions up, down and up again on a throwaway database with rows in it, and tell what that did.

    For each statement: who would have waited, which tables are read or written as a whole, what is lost. Then what the
    downgrade does not bring back. Without a revision: those that the development database does not have yet, else the
    newest. A:B stands for those after A up to B.

    The exit code is 0 when nothing is lost and the downgrade brings everything back, 1 when not, and 2 when it could
    not be rehearsed: the upgrade itself fails, or there is no throwaway server.
    """
    from handrail.configuration import alembic_config, load_scripts
    from handrail.connection import parse_url
    from handrail.rehearsal.chosen import named, pending
    from handrail.rehearsal.rehearse import Stage
    from handrail.rehearsal.rehearse import rehearse as run
    from handrail.rehearsal.report import as_json, as_text
    from handrail.sizes import Sizes

    project = load_project()
    try:
        sizes = Sizes.load(stats) if stats else Sizes()
        config = alembic_config(project)
        directory = load_scripts(config)
        scripts = named(directory, revisions) if revisions else pending(project, config, directory)
        copied = parse_url(original) if original else None
        found = run(Stage(project, config, directory, rows, copied, timeout, under_load), scripts)
    except HandrailError as error:
        click.echo(f"{click.style('error:', fg='red', bold=True)} {error}", err=True)
        sys.exit(IMPOSSIBLE)
    click.echo((as_json if shape == "json" else as_text)(found, project.root, sizes))
    rest = [script.revision for script in scripts[len(found) :]]
    if rest:
        click.echo(f"Not rehearsed, because of what is before: {', '.join(rest)}.", err=True)
    if any(rehearsal.failure for rehearsal in found):
        sys.exit(IMPOSSIBLE)
    sys.exit(0 if all(rehearsal.clean for rehearsal in found) else LOST)
