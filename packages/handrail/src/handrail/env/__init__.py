"""What `alembic/env.py` calls. Everything that people otherwise copy, adapt and forget there is in here.

Whatever brings a parser of SQL along is imported where it is needed: most upgrades of a day have nothing to review.
"""

from __future__ import annotations

import atexit
import gc
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import context
from sqlalchemy import Connection

from handrail.config import load_project
from handrail.configuration import script_folders
from handrail.discovery import import_models, load_metadata
from handrail.env.command import (
    changes_database,
    command_name,
    command_options,
    compares_models,
    configuration_folder,
    configured_url,
    wait_seconds,
)
from handrail.env.configure import configure, own_transaction
from handrail.env.messages import show_progress
from handrail.env.migration import migrate_on
from handrail.errors import ConfigurationError
from handrail.failures import located_errors, shown_as_alembic_errors
from handrail.ownership import Ownership
from handrail.unchanged import Unchanged
from handrail.upgrade.server import with_server

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import URL, MetaData

    from handrail.config import Project

SERVER_SECONDS = 5.0  # for a server, as a restart of it takes


def run() -> None:
    """Run the Alembic command that is being executed. `alembic/env.py` consists of this one call.

    Online with asyncpg or psycopg, on a connection handed over in `config.attributes["connection"]`, inside a running
    event loop, and offline (`--sql`). Foreseeable faults end as Alembic's own `FAILED: …`, without a traceback.
    """
    config = context.config
    with shown_as_alembic_errors(config):
        if config.cmd_opts is not None:
            show_progress()
            # The interpreter's last collection walks over all classes of SQLAlchemy: a quarter of `alembic current`.
            atexit.register(gc.freeze)
        project = load_project(configuration_folder(config))
        if command_name() in ("revision", "merge"):
            from handrail.writing import prepare_writing

            prepare_writing(project, config, context.script, command_options().get("revision_context"))
            if not compares_models():
                return  # nothing is asked of any database
        if context.is_offline_mode():
            from handrail.env.offline import run_offline

            run_offline(project)
        else:
            run_online(project, config)


def run_online(project: Project, config: Config) -> None:
    """Run the command on the connection that was handed over, or on one of our own."""
    unchanged = known_state(project, config)
    if unchanged is not None and unchanged.passed:
        return  # Alembic says that it has found nothing, which is what it said about exactly this
    # Before connecting, so that a broken model is reported where no server answers, too.
    metadata = import_models(project) if compares_models() else load_metadata(project)
    connection = config.attributes.get("connection")
    if connection is None:
        if compares_models():
            from handrail.env.comparison import compare_with_history

            if compare_with_history(project, config, metadata, unchanged):
                return
        url = configured_url(project, config)
        with_server(
            url,
            lambda opened: run_on(opened, project, metadata, url),
            application=f"alembic ({project.package})",
            wait_seconds=wait_seconds(SERVER_SECONDS) if changes_database() else 0,
        )
    elif isinstance(connection, Connection):
        run_on(connection, project, metadata)
    else:
        raise ConfigurationError(
            f'config.attributes["connection"] is a {type(connection).__name__}; it must be a SQLAlchemy Connection. '
            "From async code: await connection.run_sync(lambda sync: command.upgrade(config_with(sync), 'head'))"
        )


def known_state(project: Project, config: Config) -> Unchanged | None:
    """Return what may be known about a plain `alembic check`; None for any other command."""
    plain = not context.get_x_argument() and config.attributes.get("connection") is None
    if command_name() != "check" or not plain or config.config_file_name is None:
        return None
    return Unchanged.of(project) if Path(config.config_file_name).resolve() == project.root / "alembic.ini" else None


def run_on(connection: Connection, project: Project, metadata: MetaData, url: URL | None = None) -> None:
    """Run the command on this connection, and leave no transaction open that was not."""
    in_callers_transaction = connection.in_transaction()
    with located_errors(script_folders(context.script), project.root):
        if compares_models():
            with own_transaction(connection):
                ownership = Ownership.of(metadata, connection)
            compare_on(connection, project, metadata, ownership)
        else:
            migrate_on(connection, project, metadata, url)
    # Alembic leaves one open after reading the version, and a command after this one would take it for its caller's.
    if not in_callers_transaction and connection.in_transaction():
        connection.rollback()


def compare_on(connection: Connection, project: Project, metadata: MetaData, ownership: Ownership) -> None:
    """Compare the models with what this connection shows; nothing is created, not even the version table."""
    configure(project, metadata, ownership, connection=connection, dont_mutate=True)
    with context.begin_transaction(), ownership.compared(connection):
        context.run_migrations()
