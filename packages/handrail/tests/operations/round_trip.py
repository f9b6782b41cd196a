"""From one schema to another, by the operations as a revision has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from alembic.autogenerate import render_python_code
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.operations.ops import MigrateOperation, UpgradeOps

from handrail.catalog import Catalog, read_catalog
from handrail.catalog.difference import NOT_MODELLED, Difference, differences
from handrail.operations import operations
from handrail.workarounds import import_custom_type

if TYPE_CHECKING:
    from sqlalchemy import Connection, MetaData

BEGINNING = "CREATE SCHEMA shop; SET LOCAL search_path = shop; SET LOCAL check_function_bodies = off;"
END = "; SET LOCAL search_path = public"

IMPORTS = """
import operations.custom_types
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
"""


def create(connection: Connection, ddl: str) -> None:
    connection.exec_driver_sql(BEGINNING + ddl + END, execution_options={"no_parameters": True})


def catalog_of(connection: Connection, ddl: str) -> Catalog:
    """Return the catalog of a schema that is not there afterwards."""
    with connection.begin() as transaction:
        create(connection, ddl)
        catalog = read_catalog(connection)
        transaction.rollback()
    return catalog


def rendered(connection: Connection, steps: Sequence[MigrateOperation]) -> str:
    """Return the body of a revision, with the imports that it needs."""
    context = MigrationContext.configure(connection, opts={"render_item": import_custom_type})
    return render_python_code(UpgradeOps(ops=steps), migration_context=context, render_item=import_custom_type)


def run(connection: Connection, body: str) -> None:
    """Run what stands in a revision."""
    module: dict[str, Any] = {}
    exec(compile(f"{IMPORTS}\ndef upgrade():\n    {body}\n", "revision", "exec"), module)
    context = MigrationContext.configure(connection)
    with context.begin_transaction(), Operations.context(context):
        module["upgrade"]()


def migrate(
    connection: Connection, before: Catalog, after: Catalog, models: MetaData | None = None, schema: str | None = None
) -> tuple[str, list[Difference]]:
    """Return the revision that leads from one to the other, and what is still different after it has run."""
    found = differences(before, after, ignored=NOT_MODELLED)
    body = rendered(connection, operations(found, before, after, models, schema))
    run(connection, body)
    return body, differences(read_catalog(connection), after, ignored=NOT_MODELLED)
