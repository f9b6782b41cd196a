"""What Alembic is told in every mode."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from alembic import context

from handrail.ownership import Ownership
from handrail.workarounds import import_custom_type

if TYPE_CHECKING:
    from sqlalchemy import Connection, MetaData

    from handrail.config import Project


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
