"""`handrail dev`: everything that a developer's machine needs to serve the project, started in order and stopped."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import click

from handrail.config import Project, load_project
from handrail.development import refuse_in_production
from handrail.errors import ConfigurationError
from handrail.revisions import heads, ini_has_url, versions_folder

if TYPE_CHECKING:
    from types import FrameType

    from handrail.postgres import Cluster

STOP_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@click.command()
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; the default is this machine."
)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--reload/--no-reload", default=True, show_default=True, help="Restart when a source file changes.")
def dev(host: str, port: int, reload: bool) -> None:
    """Run the service here: start PostgreSQL, migrate, serve, and on Ctrl-C stop what was started.

    With DATABASE_URL set, that database is used and nothing is started.
    """
    project = load_project()
    refuse_busy_port(host, port)
    refuse_second_database(project)
    with ExitStack() as stack:
        cluster = start_database(project, stack)
        environment = os.environ | ({"DATABASE_URL": cluster.url()} if cluster else {})
        migrate(project, cluster, environment)
        explain(cluster, host, port)
        serve(project, environment, host, port, reload=reload)


def refuse_busy_port(host: str, port: int) -> None:
    """Fail before anything is started when the port cannot be had."""
    try:
        with closing(socket.create_server((host, port))):
            return
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (")[0].lower()
        if error.errno == errno.EADDRINUSE:
            reason = "another program listens there, perhaps an earlier `make run`"
        raise ConfigurationError(
            f"port {port} on {host} cannot be used: {reason}. Take another one: make run PORT={port + 1}"
        ) from error


def refuse_second_database(project: Project) -> None:
    """Fail where the migrations would go to one database and the service to another."""
    if ini_has_url(project):
        raise ConfigurationError(
            "alembic.ini names a database (sqlalchemy.url), and the service would use another one. Remove it there; "
            "if it is to be that database, set DATABASE_URL, which both use."
        )


def start_database(project: Project, stack: ExitStack) -> Cluster | None:
    """Start the development PostgreSQL, to be stopped with `stack`; None when the project has its own database."""
    if project.database_url:
        return None
    refuse_in_production(project)
    from handrail.postgres import development_cluster

    cluster = development_cluster(project.root)
    if cluster.start():
        stack.callback(stop, cluster)
    return cluster


def stop(cluster: Cluster) -> None:
    """Stop the development PostgreSQL that this command started."""
    cluster.stop()
    click.echo("PostgreSQL stopped; its data stays in .postgres/.", err=True)


def migrate(project: Project, cluster: Cluster | None, environment: dict[str, str]) -> None:
    """Bring the database to the newest revision with the command that everybody knows."""
    if cluster and is_at_head(project, cluster):
        return
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]
    outcome = subprocess.run(command, cwd=project.root, env=environment, check=False)
    if outcome.returncode:
        # Alembic has said why; the service would only fail later and less clearly.
        sys.exit(outcome.returncode)


def is_at_head(project: Project, cluster: Cluster) -> bool:
    """Whether there is nothing to do, asked with psql: Alembic would take longer to start than the service itself."""
    expected = heads(project)
    if expected is None:
        return False
    # Which schema the version table is in only the models know. In a database of our own there is no other one.
    question = (
        "SELECT format('SELECT version_num FROM %I.%I', n.nspname, c.relname) FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND c.relname = :'table' \\gexec"
    )
    options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", f"--set=table={project.version_table}"]
    command = [*cluster.psql(), *options]
    answer = subprocess.run(command, input=question, capture_output=True, text=True, check=False)
    return answer.returncode == 0 and set(answer.stdout.split()) == expected


def explain(cluster: Cluster | None, host: str, port: int) -> None:
    """Say in a few lines what is there now and what to try."""
    place = "as DATABASE_URL says"
    if cluster:
        place = f"PostgreSQL {cluster.status().version} in .postgres/, open it with `handrail db psql`"
    address = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104 - only compared
    lines = {
        "service": f"{address}   (try it in the browser: {address}/docs)",
        "database": place,
        "next": 'edit a model, then: alembic revision --autogenerate -m "what changed"',
        "stop": "Ctrl-C",
    }
    for name, value in lines.items():
        click.echo(f"  {click.style(name.ljust(9), fg='cyan')} {value}", err=True)


def serve(project: Project, environment: dict[str, str], host: str, port: int, *, reload: bool) -> None:
    """Run the web server until it ends or this process is told to stop; then wait for it to finish its requests."""
    command = [sys.executable, "-m", "uvicorn", project.entrypoint, "--host", host, "--port", str(port)]
    if reload:
        # Also for new revisions: which of them the code needs is read once, when the service starts.
        folders = [project.root / project.package, versions_folder(project)]
        command += ["--reload", *(f"--reload-dir={folder}" for folder in folders if folder and folder.is_dir())]
    # In a session of its own, so that Ctrl-C reaches only this process, which hands it on exactly once: a second signal
    # would make the server cut the requests short that it is finishing.
    server = subprocess.Popen(
        command,
        cwd=project.root,
        # uvicorn would take every client on this machine for a proxy, which tells whom it speaks for.
        env={"FORWARDED_ALLOW_IPS": "", **environment},
        start_new_session=os.name != "nt",
    )

    def hand_on(_number: int, _frame: FrameType | None) -> None:
        if os.name != "nt" and server.poll() is None:
            server.terminate()

    for number in STOP_SIGNALS:
        signal.signal(number, hand_on)
    code = server.wait()
    if code > 0:
        sys.exit(code)
