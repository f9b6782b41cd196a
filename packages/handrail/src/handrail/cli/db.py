"""`handrail db`: the project's own development PostgreSQL, or psql on whatever DATABASE_URL names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, NoReturn

import click

from handrail.config import Project, load_project
from handrail.development import database_url
from handrail.errors import ConfigurationError

if TYPE_CHECKING:
    from handrail.postgres import Cluster, Status

NOT_RUNNING = 1
COLOURS = {"running": "green", "stopped": "yellow", "absent": "yellow"}
# They would lead psql away from the address that is in the other variables.
MISLEADING = ("PGHOSTADDR", "PGSERVICE", "PGSERVICEFILE")


@click.group()
def db() -> None:
    """Start, stop and use this project's own development PostgreSQL.

    Its data is in .postgres/. Whatever needs the database starts it by itself. While DATABASE_URL is set (in the
    environment or in .env) nothing is ever started or stopped: `url` and `psql` use that database.
    """


@db.command()
def start() -> None:
    """Start the server, and make it first when there is none."""
    cluster = own_cluster(load_project())
    started = cluster.start()
    found = cluster.status()
    click.echo(f"{'Started' if started else 'Already running:'} PostgreSQL {found.version}, pid {found.pid}")
    click.echo(f"  data  {found.directory}")
    click.echo(f"  url   {found.url}")


@db.command()
def stop() -> None:
    """Stop the server; its data stays."""
    stopped = own_cluster(load_project()).stop()
    click.echo("Stopped." if stopped else "It was not running.")


@db.command()
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", help="How to print it.")
def status(style: str) -> None:
    """Tell what is there and whether it runs.

    The exit code is 0 when the development server is running and 1 when it is not.
    """
    project = load_project()
    found = cluster_of(project).status()
    configured = without_password(project.database_url) if project.database_url else None
    if style == "json":
        click.echo(json.dumps(asdict(found) | {"database_url": configured}, indent=2))
    else:
        if configured:
            click.echo(f"DATABASE_URL is set, so the development server is not used: {configured}\n")
        click.echo(table(found))
    if found.state != "running":
        sys.exit(NOT_RUNNING)


@db.command()
def url() -> None:
    """Print the database's URL; start the server on demand.

    It is complete with its password and without a driver name: psql "$(handrail db url)"
    """
    from handrail.postgres.libpq import for_libpq, with_password

    click.echo(with_password(*for_libpq(database_url(load_project()))))


@db.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(arguments: tuple[str, ...]) -> None:
    """Open psql on the database; start the server on demand.

    What follows `--` goes to psql: handrail db psql -- -c 'select 1'
    """
    project = load_project()
    if project.database_url:
        psql_elsewhere(project.database_url, arguments)
    database_url(project)
    cluster = cluster_of(project)
    environment = {key: value for key, value in os.environ.items() if key not in MISLEADING}
    # By variables rather than by a URL, so that `-- -d other` still means this server.
    become([cluster.psql()[0], *arguments], environment | cluster.environment())


@db.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(yes: bool) -> None:
    """Delete the development server with all its databases.

    The next command that needs one makes a new one. Without a terminal to ask at, --yes is needed.
    """
    cluster = own_cluster(load_project())
    found = cluster.status()
    if found.state == "absent":
        click.echo("There is nothing to delete.")
        return
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError(f"this deletes {found.directory} for good, and nobody is here to ask: add --yes.")
        click.echo(f"This deletes every table and row of this project's development databases: {found.directory}")
        click.confirm("Delete it for good?", abort=True)
    cluster.reset()
    click.echo(f"Deleted {found.directory}. The next command that needs a database makes a new one.")


def cluster_of(project: Project) -> Cluster:
    from handrail.postgres import development_cluster

    return development_cluster(project.root)


def own_cluster(project: Project) -> Cluster:
    """Return the development cluster if it is the project's database.

    Raises:
        ConfigurationError: Another one is configured, or this is production.
    """
    if project.database_url:
        raise ConfigurationError(
            "DATABASE_URL is set (in the environment or in .env), so the development server is not used and is left "
            "alone. Remove it there to use the development server."
        )
    if project.production:
        raise ConfigurationError(
            f"ENVIRONMENT={project.environment}, where the development server is never used. Set "
            "ENVIRONMENT=development to use it."
        )
    return cluster_of(project)


def table(found: Status) -> str:
    """Return a status as aligned lines; what is not known is left out."""
    lines = {
        "state": click.style(found.state, fg=COLOURS[found.state]) + (f", pid {found.pid}" if found.pid else ""),
        "version": found.version and f"PostgreSQL {found.version}",
        "data": found.directory,
        "log": found.log,
        "binaries": found.binaries or "none found",
        "url": found.url,
    }
    return "\n".join(f"{name:<9} {value}" for name, value in lines.items() if value)


def without_password(configured: str) -> str:
    """Return a URL that may be shown."""
    from handrail.postgres.libpq import for_libpq

    return for_libpq(configured)[0]


def psql_elsewhere(configured: str, arguments: Sequence[str]) -> NoReturn:
    """Become psql on the database of a URL; the password goes through the environment, which `ps` does not show."""
    from handrail.postgres import find_psql
    from handrail.postgres.libpq import for_libpq

    place, password = for_libpq(configured)
    secret = {} if password is None else {"PGPASSWORD": password}
    become([str(find_psql()), f"--dbname={place}", *arguments], {**os.environ, **secret})


def become(argv: list[str], environment: dict[str, str]) -> NoReturn:
    """Go on as another program: Ctrl-C, the terminal and the exit code are then its own."""
    if sys.platform == "win32":
        sys.exit(subprocess.call(argv, env=environment))
    sys.stdout.flush()
    os.execvpe(argv[0], argv, environment)  # noqa: S606 - there is no shell in between, which is the point
