"""Faults of Alembic and SQLAlchemy that would make our results wrong, each worked around here and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alembic.ddl import postgresql
from sqlalchemy import String, Text, cast, literal, literal_column, select, text
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Column, Inspector, Table


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
        """Compare a string default as the server understands it: as a literal of the column's type.

        Alembic 1.20.1 pastes the string into the query unescaped (`it's` is a syntax error) and uses `=`, which the
        types json, xml and point do not have; either ends `check` and `revision --autogenerate` with a traceback.
        """
        stock: Callable[..., bool] = super().compare_server_default
        arguments = (inspector_column, metadata_column, rendered_metadata_default, rendered_inspector_default)
        connection, default = self.connection, getattr(metadata_column.server_default, "arg", None)
        if connection is None or rendered_inspector_default is None:
            return stock(*arguments)
        try:
            with connection.begin_nested():
                if not isinstance(default, str):
                    return stock(*arguments)
                type_ = metadata_column.type
                actual = cast(cast(literal_column(rendered_inspector_default), type_), Text)
                expected = cast(cast(literal(default, String()), type_), Text)
                return not connection.scalar(select(actual == expected))
        except DBAPIError:
            # The server cannot tell whether they are equal, so the text decides.
            return rendered_metadata_default != rendered_inspector_default

    def autogen_column_reflect(self, inspector: Inspector, table: Table, column_info: dict[str, Any]) -> None:
        """Recognise SERIAL columns also where the schema's name holds a single quote.

        SQLAlchemy 2.1.9 (`_get_columns_info`) and Alembic 1.20.1 (the method overridden here) take the sequence's name
        out of `nextval('…'::regclass)` with a pattern that ends at the first quote, and then ask for a sequence that
        does not exist.
        """
        default = column_info.get("default") or ""
        if "'" not in (table.schema or "") or not default.startswith("nextval("):
            stock: Callable[..., None] = super().autogen_column_reflect
            stock(inspector, table, column_info)
            return
        quote = inspector.dialect.identifier_preparer.format_table
        query = text("SELECT pg_get_serial_sequence(:table, :column)")
        with inspector._operation_context() as connection:  # noqa: SLF001 - as Alembic itself does it
            if connection.scalar(query, {"table": quote(table), "column": column_info["name"]}):
                del column_info["default"]
