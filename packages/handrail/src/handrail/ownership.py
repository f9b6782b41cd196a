"""What is ours: the schemas of our metadata. Nothing outside them is looked at, whatever else the database holds."""

from __future__ import annotations

import getpass
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alembic.operations import Operations, ops, toimpl
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateSchema

from handrail.config import JOURNAL
from handrail.connection import INSUFFICIENT_PRIVILEGE, ServerMessage, quoted
from handrail.errors import AccessDeniedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from alembic.operations.ops import CreateTableOp
    from sqlalchemy import Connection, MetaData, Table

# Alembic calls the default schema None, and finds under that name also the tables of other schemas in the search path.
FOREIGN_TABLES = text("""
    WITH found AS (
        SELECT n.nspname, c.relname
        FROM pg_depend d
        JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid AND c.relkind IN ('r', 'p')
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
    )
    SELECT nspname, relname FROM found
    UNION ALL SELECT NULL, relname FROM found WHERE nspname = current_schema()
    UNION ALL SELECT NULL, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE pg_table_is_visible(c.oid) AND c.relkind IN ('r', 'p', 'f')
        AND n.nspname NOT IN ('pg_catalog', coalesce(current_schema(), ''))
""")


@dataclass(frozen=True)
class Ownership:
    """Which part of a database takes part in a comparison.

    Attributes:
        schemas: The schemas that hold our tables; None stands for the connection's default schema.
        foreign: Tables that would be found in them but are not ours, as schema and name: those of an extension
            (PostGIS brings some), and those of another schema in the search path.
    """

    schemas: frozenset[str | None]
    foreign: frozenset[tuple[str | None, str | None]] = frozenset()

    @classmethod
    def of(cls, metadata: MetaData, connection: Connection | None = None) -> Ownership:
        """Return the schemas of all tables, or that of the metadata while there are no tables.

        What is not ours in them is asked of the connection, if there is one.
        """
        schemas = {table.schema for table in metadata.tables.values()}
        foreign = frozenset(map(tuple, connection.execute(FOREIGN_TABLES))) if connection else frozenset()
        return cls(frozenset(schemas or {metadata.schema}), foreign)

    def include_name(self, name: str | None, type_: str, parents: Mapping[Any, str | None]) -> bool:
        """Alembic's hook of the same name: whether a schema or table of the database takes part in the comparison."""
        if type_ == "schema":
            return name in self.schemas
        return type_ != "table" or (name != JOURNAL and (parents["schema_name"], name) not in self.foreign)

    @contextmanager
    def compared(self, connection: Connection) -> Iterator[None]:
        """Let every schema go by its name while models and database are compared.

        Alembic calls the first schema of the search path None. When that is one of ours, the same table has two names
        and is proposed both for creation and for dropping. And where several of ours are visible, foreign keys between
        them lose their schema, so those are taken out of the search path.
        """
        if None in self.schemas:
            # Models without a schema live wherever the search path says, so it must stay as it is.
            yield
            return
        before: str = connection.scalar(text("SELECT current_setting('search_path')"))
        path = connection.scalars(text("SELECT unnest(current_schemas(false))")).all()
        # A single schema may stay visible: it may hold functions and types that are written without it.
        hidden = self.schemas if len(self.schemas) > 1 else frozenset()
        # Local to the transaction, so that an error cannot leave it behind on a connection that was handed to us.
        _set_search_path(
            connection, ", ".join(quoted(schema) for schema in path if schema not in hidden) or "pg_catalog"
        )
        dialect = connection.dialect
        default = dialect.default_schema_name
        dialect.default_schema_name = "pg_catalog"
        try:
            yield
        finally:
            dialect.default_schema_name = default
        _set_search_path(connection, before)


def _set_search_path(connection: Connection, path: str) -> None:
    connection.execute(text("SELECT set_config('search_path', :path, true)"), {"path": path})


def create_schema(connection: Connection, schema: str) -> None:
    """Create a schema unless it is there.

    It is looked up first, since CREATE SCHEMA IF NOT EXISTS needs the privilege even where there is nothing to do.

    Raises:
        AccessDeniedError: The role lacks the privilege; the message has the statement that an administrator can run.
    """
    if connection.scalar(text("SELECT 1 FROM pg_namespace WHERE nspname = :name"), {"name": schema}):
        return
    try:
        connection.execute(CreateSchema(schema, if_not_exists=True))
    except DBAPIError as error:
        if ServerMessage.of(error).sqlstate != INSUFFICIENT_PRIVILEGE:
            raise
        url = connection.engine.url
        role = url.username or getpass.getuser()
        raise AccessDeniedError(
            f'the role "{role}" may not create the schema "{schema}" in the database "{url.database}". '
            f"Let an administrator run: CREATE SCHEMA {quoted(schema)} AUTHORIZATION {quoted(role)};"
        ) from error


@Operations.implementation_for(ops.CreateTableOp, replace=True)
def create_table(operations: Operations, operation: CreateTableOp) -> Table:
    """Create a table; before it its schema, when a revision is the first to use that schema."""
    migration = operations.migration_context
    known: set[str | None] | None = migration.opts.get("handrail_schemas")
    # Without our mark this is another project's environment in the same process: leave it alone.
    if known is not None and operation.schema is not None and operation.schema not in known:
        if migration.as_sql:
            migration.execute(CreateSchema(operation.schema, if_not_exists=True))
        elif migration.connection is not None:
            create_schema(migration.connection, operation.schema)
        known.add(operation.schema)
    return toimpl.create_table(operations, operation)
