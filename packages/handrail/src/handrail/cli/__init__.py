"""The `handrail` command: verbs beside plain `alembic`, each imported only when it is called."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import NoReturn

import click

from handrail import __version__
from handrail.errors import HandrailError

COMMANDS = {
    "baseline": "Take over a database that holds what the revisions create.",
    "check": "Tell whether the models need a new revision; at once when nothing has changed.",
    "completion": "Print the line that switches on tab completion for your shell.",
    "db": "Start, stop and use this project's own development PostgreSQL.",
    "dev": "Run the service here: PostgreSQL, migrations, web server.",
    "drift": "Show what was changed by hand in the database, and both ways out.",
    "explain": "Show a rule's page: what happens, why it matters, and what to write instead.",
    "log": "Show what was done to the database, when and by whom.",
    "plan": "Show what the next upgrade will do to this database.",
    "rebase": "Put a local revision behind the other head.",
    "rehearse": "Run a revision on a throwaway database with rows in it, and tell what it did.",
    "review": "Tell what revisions do, before they do it.",
    "schema": "Print or write the schema that the revisions create.",
    "stats": "Print how large the tables are, for reviews elsewhere.",
    "status": "Tell where the database stands, and what needs attention.",
    "upgrade": "Bring the database to the newest revision; at once when it is there, patiently with --wait.",
}


class LazyGroup(click.Group):
    """Lists every command from one table and imports a command's module when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"handrail.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> None:
        try:
            super().invoke(ctx)
        except KeyboardInterrupt:
            # click's own "Aborted!" ends with 1, which is what commands say that have found something.
            fail("interrupted.", 128 + signal.SIGINT)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="handrail")
@click.pass_context
def handrail(context: click.Context) -> None:
    """Keeps PostgreSQL migrations safe. Migrate with plain `alembic`; these verbs come on top."""
    context.color = colour()


def main() -> None:
    """Run the command line; a foreseen fault ends it with one message and that fault's exit code."""
    try:
        handrail(prog_name="handrail")
    except HandrailError as error:
        fail(error, error.exit_code)
    except Exception as error:
        if "sqlalchemy.exc" not in sys.modules:  # a command that has nothing to do with any database
            raise
        from sqlalchemy.exc import DBAPIError

        if not isinstance(error, DBAPIError):
            raise
        from handrail.failures import refused

        told = refused(error)
        fail(told, told.exit_code)


def fail(said: object, exit_code: int) -> NoReturn:
    """End with one message and this exit code."""
    click.echo(f"{click.style('error:', fg='red', bold=True)} {said}", err=True, color=colour())
    sys.exit(exit_code)


def colour() -> bool | None:
    """Return False where nobody wants colour (https://no-color.org); None leaves it to click: only on a terminal."""
    return False if os.environ.get("NO_COLOR") else None
