"""`handrail drift`: what was changed by hand, and both ways out."""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING

import click

from handrail.config import load_project

if TYPE_CHECKING:
    from handrail.drift.find import Place
    from handrail.upgrade.drift import Drift

DRIFTED = 1


@click.command()
@click.option(
    "--format",
    "shape",
    type=click.Choice(["text", "json", "sql"]),
    default="text",
    help="For people, for machines, or the edit as SQL.",
)
@click.option("--adopt", is_flag=True, help="Write a revision that makes the edit part of the history; needs -m.")
@click.option("-m", "--message", help="What the revision is called.")
@click.option("--revert", is_flag=True, help="Show the SQL that undoes the edit, and what is lost by it.")
@click.option("--apply", is_flag=True, help="With --revert: run it.")
@click.option(
    "--watch", type=click.FloatRange(min=0.1), metavar="SECONDS", help="Look again and again, until Ctrl-C or SIGTERM."
)
@click.option("--record", is_flag=True, help="Leave what is found in the journal, for whoever watches the service.")
def drift(
    *, shape: str, adopt: bool, message: str | None, revert: bool, apply: bool, watch: float | None, record: bool
) -> None:
    """Show what was changed by hand in the database since its last migration.

    Reads only, but for --record and --apply; whoever may read the journal may look, in production too. Without a
    journal the database is compared with what the revisions create in a throwaway database.

    The exit code is 0 without drift, 1 with it (with --watch: as it was last seen), 2 for a wrong command line, and
    another one when the comparison is not possible: 3 a setting is wrong, 5 a server does not answer, 6 a privilege is
    missing, 8 there is no journal and no throwaway server, 13 the version table is empty.
    """
    refuse_nonsense(adopt=adopt, message=message, revert=revert, apply=apply, watch=watch, record=record)
    if watch is not None:
        sys.exit(DRIFTED if keep_looking(shape, watch, record=record).differences else 0)
    place, found = look(whole=adopt or revert or shape == "sql")
    if found.differences and adopt:
        adopt_it(place, found, message or "")
        return
    if found.differences and revert:
        revert_it(place, found, apply=apply)
        return
    show(found, shape)
    leave(place, found, record=record)
    sys.exit(DRIFTED if found.differences else 0)


def refuse_nonsense(
    *, adopt: bool, message: str | None, revert: bool, apply: bool, watch: float | None, record: bool
) -> None:
    """Raise UsageError for options that do not go together."""
    if sum((adopt, revert, watch is not None)) > 1:
        raise click.UsageError("--adopt, --revert and --watch exclude each other.")
    if record and (adopt or revert):
        raise click.UsageError("--record is about what is found: without --adopt and --revert.")
    if adopt and not (message or "").strip():
        raise click.UsageError('--adopt needs a message:  handrail drift --adopt -m "index that the DBA made"')
    if message is not None and not adopt:
        raise click.UsageError("-m is the message of --adopt.")
    if apply and not revert:
        raise click.UsageError("--apply belongs to --revert.")


def look(*, whole: bool) -> tuple[Place, Drift]:
    """Compare the configured database with its journal."""
    from handrail.configuration import alembic_config, database_of, load_scripts
    from handrail.drift.find import find

    project = load_project()
    config = alembic_config(project)
    return find(project, config, load_scripts(config), database_of(project, config), whole=whole)


def show(found: Drift, shape: str) -> None:
    """Print the report."""
    from handrail.drift.report import as_json, text
    from handrail.drift.statements import statements

    if shape == "json":
        click.echo(as_json(found, "journal" if found.since else "history"))
    elif shape == "sql":
        for statement in statements(found.differences, found.expected, found.live):
            click.echo(f"{statement};")
    else:
        click.echo(text(found))


def leave(place: Place, found: Drift, *, record: bool) -> None:
    """Write to the journal what was found, if that is asked for."""
    if record:
        from handrail.drift import record as journal

        journal.record(place, found)


def keep_looking(shape: str, seconds: float, *, record: bool) -> Drift:
    """Print a report whenever it is another one than before; return the last one at Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    last: Drift | None = None
    try:
        while True:
            before = last
            place, last = look(whole=shape == "sql")
            if before is None or last.differences != before.differences:
                show(last, shape)
                leave(place, last, record=record)
            time.sleep(seconds)
    except KeyboardInterrupt:
        if last is None:  # nobody knows yet
            raise
        return last


def adopt_it(place: Place, found: Drift, message: str) -> None:
    """Write the revision, and tell what belongs to it."""
    from handrail.drift.adopt import adopt
    from handrail.drift.models import advice
    from handrail.writing import renew

    path = adopt(place, found, message)
    renew(place.project, place.config)
    root = place.project.root
    click.echo(f"Wrote {path.relative_to(root) if path.is_relative_to(root) else path}.")
    lines = advice(found.differences, found.expected, found.live)
    if lines:
        click.echo("Edit the models to match, so that `alembic check` finds nothing:")
        for line in lines:
            click.echo(f"    {line}")
    else:
        click.echo("No model says anything about what was changed, so none is to be edited.")
    click.echo("Then:  alembic upgrade head    (it changes nothing where the edit is there already)")


def revert_it(place: Place, found: Drift, *, apply: bool) -> None:
    """Print the SQL, and run it when that is asked for."""
    from handrail.drift import revert as way

    wanted = way.revert(place, found)
    click.echo(str(wanted))
    if not apply:
        click.echo("Nothing was changed. To run it:  handrail drift --revert --apply", err=True)
        sys.exit(DRIFTED)
    left = way.apply(place, wanted)
    click.echo("Undone: the database is as its migrations left it.", err=True)
    if left.differences:
        click.echo("(Columns that came back stand last in their table; nothing else differs.)", err=True)
