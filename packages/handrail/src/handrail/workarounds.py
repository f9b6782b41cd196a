"""Faults of Alembic and SQLAlchemy that would make our results wrong, each worked around here and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from alembic.ddl import postgresql
from sqlalchemy import Column, MetaData, Table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from alembic.autogenerate.api import AutogenContext
    from sqlalchemy import Connection, Inspector


class PostgresqlImpl(postgresql.PostgresqlImpl):
    """Alembic's implementation for PostgreSQL, which is replaced by being defined."""

    __dialect__ = "postgresql"

    def compare_server_default(
        self,
        inspector_column: Column[Any],
        metadata_column: Column[Any],
        rendered_metadata_default: str | None,
        rendered_inspector_default: str | None,
    ) -> bool:
        """Compare defaults as the server writes them down, without evaluating either.

        Alembic 1.20.1 evaluates both: a string is pasted into the query unescaped (`it's` is a syntax error), json, xml
        and point have no `=`, and `md5(random()::text)` never equals itself.
        """
        stock: Callable[..., bool] = super().compare_server_default
        arguments = (inspector_column, metadata_column, rendered_metadata_default, rendered_inspector_default)
        if self.connection is None or stock_knows(*arguments):
            return stock(*arguments)
        try:
            with self.connection.begin_nested() as savepoint:
                written = as_the_server_writes_it(self.connection, inspector_column, metadata_column)
                savepoint.rollback()
        except DBAPIError:
            # The server has no such function or type, or nothing may be created there: the text decides.
            written = rendered_metadata_default
        return written != rendered_inspector_default

    def autogen_column_reflect(self, inspector: Inspector, table: Table, column_info: dict[str, Any]) -> None:
        """Recognise SERIAL columns also where the schema's name holds a single quote.

        SQLAlchemy 2.1.9 (`_get_columns_info`) and Alembic 1.20.1 (the method overridden here) take the sequence's name
        out of `nextval('…'::regclass)` with a pattern that ends at the first quote, and then ask for a sequence that
        does not exist.
        """
        default = column_info.get("default") or ""
        if not set("'\"") & set(table.schema or "") or not default.startswith("nextval("):
            stock: Callable[..., None] = super().autogen_column_reflect
            stock(inspector, table, column_info)
            return
        quote = inspector.dialect.identifier_preparer.format_table
        query = text("SELECT pg_get_serial_sequence(:table, :column)")
        with inspector._operation_context() as connection:  # noqa: SLF001 - as Alembic itself does it
            if connection.scalar(query, {"table": quote(table), "column": column_info["name"]}):
                del column_info["default"]


def stock_knows(
    _inspector_column: Column[Any], metadata_column: Column[Any], expected: str | None, actual: str | None
) -> bool:
    """Whether Alembic decides without asking the server: equal or missing texts, and the numbers of a serial column."""
    serial = metadata_column is metadata_column.table._autoincrement_column  # noqa: SLF001
    return serial or expected is None or actual is None or expected == actual


def as_the_server_writes_it(connection: Connection, reflected: Column[Any], column: Column[Any]) -> str | None:
    """Return the text that PostgreSQL keeps for a default of the model, on a column of the type that is there."""
    default: Any = column.server_default
    probe = Table(
        "handrail_default",
        MetaData(),
        Column("value", reflected.type, server_default=default.arg),
        prefixes=["TEMPORARY"],
    )
    connection.execute(CreateTable(probe))
    query = text(
        "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'pg_temp.handrail_default'::regclass"
    )
    written: str | None = connection.scalar(query)
    return written


def import_custom_type(type_: str, obj: Any, autogen_context: AutogenContext) -> Literal[False]:
    """Alembic's hook `render_item`: import the module of a type of the project's own where a revision uses it.

    Alembic 1.20.1 writes `shop.types.Lower()` and no `import shop.types`.
    """
    module = type(obj).__module__
    if type_ == "type" and module.partition(".")[0] not in ("sqlalchemy", "alembic"):
        autogen_context.imports.add(f"import {module}")
    return False
