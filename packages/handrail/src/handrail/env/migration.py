"""`upgrade`, `downgrade`, `stamp`, and what only looks at the version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic import context

from handrail.config import Project
from handrail.env.command import changes_database, command_name, wait_seconds, with_patience, x_arguments
from handrail.env.configure import configure, own_transaction, version_table_schema
from handrail.errors import MigrationError
from handrail.history import THROWAWAY
from handrail.ownership import create_schema
from handrail.upgrade.migrate import Upgrade

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy import URL, Connection, MetaData


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
        again=with_patience(),
        keep_drift="keep" in x_arguments("drift"),
    ).migrate()
    if command_name() == "stamp" and url is not None:
        from handrail.drift.mention import warn_of_lie

        warn_of_lie(project, context.config, context.script, url)


def review_pending(migration: MigrationContext, connection: Connection, project: Project) -> None:
    """Refuse to run what is dangerous and has no note that allows it; a database from its beginning loses nothing."""
    heads = migration.get_current_heads()
    if heads and command_name() == "upgrade":
        from handrail.gate import pass_gate

        paths = [Path(step.revision.path) for step in migration.opts["fn"](heads, migration)]
        pass_gate(paths, connection, project, context.config, context.script)
