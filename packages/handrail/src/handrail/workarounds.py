"""Faults of Alembic and SQLAlchemy that would make our results wrong, each worked around here and nowhere else."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from alembic.autogenerate import render
from alembic.ddl import postgresql
from alembic.operations.ops import AlterColumnOp, CreatePrimaryKeyOp
from alembic.script import write_hooks
from alembic.util import status
from alembic.util.pyfiles import template_to_file
from sqlalchemy import Column, ColumnClause, MetaData, Table, TextClause, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable

from handrail.whole_file import UNFINISHED

if TYPE_CHECKING:
    from collections.abc import Callable

    from alembic.autogenerate.api import AutogenContext
    from alembic.script import ScriptDirectory
    from sqlalchemy import ClauseElement, Connection, Inspector


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

    def render_ddl_sql_expr(
        self, expr: ClauseElement, is_server_default: bool = False, is_index: bool = False, **kw: Any
    ) -> str:
        """Write text() and literal_column() into a revision as they were given.

        Alembic 1.20.1 writes them as they go to the driver: with each % doubled for psycopg, and without the backslash
        that keeps `:name` from being a parameter. Read back, the one is doubled again, and the other asks for a value.
        """
        if isinstance(expr, TextClause) and not expr._bindparams:  # noqa: SLF001 - nothing else tells them
            # What stands in literal_column(), as which keys of an index are written, is not searched for parameters.
            return re.sub(r"\\(:\w*)(?![:\w])", r"\1", expr.text) if is_index else expr.text
        if isinstance(expr, ColumnClause) and expr.is_literal:
            return str(expr.name)
        stock: Callable[..., str] = super().render_ddl_sql_expr
        return stock(expr, is_server_default, is_index, **kw)


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


@render.renderers.dispatch_for(CreatePrimaryKeyOp, replace=True)
def render_primary_key(context: AutogenContext, operation: CreatePrimaryKeyOp) -> str:
    """Write `op.create_primary_key(…)`, which Alembic 1.20.1 has never been asked to (`NotImplementedError`)."""
    name = render._render_gen_name(context, operation.constraint_name)  # noqa: SLF001 - as Alembic's own renderers do
    columns = [str(column) for column in operation.columns]
    schema = f", schema={operation.schema!r}" if operation.schema else ""
    return f"op.create_primary_key({name!r}, {operation.table_name!r}, {columns!r}{schema})"


@render.renderers.dispatch_for(AlterColumnOp, replace=True)
def render_alter_column(context: AutogenContext, operation: AlterColumnOp) -> str:
    """Write `op.alter_column(…)` with its `postgresql_using`, which Alembic 1.20.1 leaves out."""
    written = render._alter_column(context, operation)  # noqa: SLF001 - the renderer that is replaced
    using = operation.kw.get("postgresql_using")
    return written if using is None else f"{written.removesuffix(')')},\n{' ' * 11}postgresql_using={using!r})"


def write_whole_files(directory: ScriptDirectory) -> list[Path]:
    """Let revision files appear only when they are complete; return a list to which each is added then.

    Alembic 1.20.1 (`ScriptDirectory.generate_revision`) writes into the file itself and then lets the hooks of
    alembic.ini rewrite it in place. Whoever interrupts that, or looks meanwhile, has half a revision, and then every
    command fails until somebody finds and deletes it.
    """
    written: list[Path] = []
    hooks, directory.hooks = directory.hooks, []

    def generate(template: Path, path: Path, **values: Any) -> None:
        # In the same folder, so that what formatters are told about paths holds there, too.
        with (
            status(f"Generating {path.absolute()}", **directory.messaging_opts),
            tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=path.parent) as folder,
        ):
            unfinished = Path(folder) / path.name
            template_to_file(template, unfinished, directory.output_encoding, **values)
            if hooks:
                write_hooks._run_hooks(unfinished, hooks)  # noqa: SLF001
            unfinished.replace(path)
            written.append(path)

    directory._generate_template = generate  # type: ignore[method-assign,assignment]  # noqa: SLF001
    return written


def name_files_by_title(directory: ScriptDirectory) -> None:
    """Name a revision's file after the first line of its message only.

    Alembic 1.20.1 takes words from all of it, also from an explanation below.
    """
    stock = directory._rev_path  # noqa: SLF001

    def rev_path(folder: Any, revision: str, message: str | None, created: Any) -> Any:
        return stock(folder, revision, (message or "").partition("\n")[0] or None, created)

    directory._rev_path = rev_path  # type: ignore[method-assign, assignment]  # noqa: SLF001
