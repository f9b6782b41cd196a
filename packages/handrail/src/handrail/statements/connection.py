"""A connection of SQLAlchemy's that reaches no server.

Revisions do more than call `op`: they use `op.get_bind()`, sessions of the ORM and `inspect()`. On a real Connection
with a dialect that has nothing behind it, all of that works as it does in an upgrade.
"""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

from alembic.ddl.base import AlterColumn
from sqlalchemy import types as sqltypes
from sqlalchemy.dialects.postgresql.base import PGDDLCompiler, PGDialect, PGTypeCompiler
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import CompileError
from sqlalchemy.pool import NullPool

from handrail.statements.absent import Absent, AbsentError
from handrail.statements.recorder import Recorder, Session
from handrail.statements.statement import Existing

# psycopg's placeholders: https://www.psycopg.org/psycopg3/docs/basic/params.html
PLACEHOLDER = re.compile(r"%(?:s|b|t|\(\w+\)[sbt]|%)")


def recording_engine(recorder: Recorder) -> Engine:
    """Return an engine whose connections all write here."""
    dialect = RecordingDialect(recorder)
    return RecordingEngine(NullPool(lambda: Session(recorder), dialect=dialect), dialect, make_url("postgresql://"))  # type: ignore[arg-type]


class RecordingConnection(Connection):
    """Takes a bare text as well, as SQLAlchemy did before 2.0: the revisions of that time are still there."""

    dialect: RecordingDialect

    def execute(self, statement: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(statement, Absent):
            raise AbsentError(statement)
        if isinstance(statement, AlterColumn):
            self.dialect.recorder.existing = existing(statement, self.dialect)
        try:
            if isinstance(statement, str):
                return self.exec_driver_sql(statement, *arguments)
            return super().execute(statement, *arguments, **options)
        finally:
            self.dialect.recorder.existing = None

    def exec_driver_sql(self, statement: str, *arguments: Any, **options: Any) -> Any:
        """Send SQL as the driver has it; only with values are its placeholders any."""
        if arguments:
            statement = PLACEHOLDER.sub(lambda found: "%" if found[0] == "%%" else "$1", statement)
        return super().exec_driver_sql(statement, **options)

    def scalar(self, statement: Any, *arguments: Any, **options: Any) -> Any:
        return self.execute(statement, *arguments, **options).scalar()


def existing(change: AlterColumn, dialect: PGDialect) -> Existing:
    """Return what an operation of Alembic's says about the column that it changes."""
    try:
        type_ = change.existing_type.compile(dialect=dialect) if change.existing_type is not None else ""
    except CompileError:  # a type that has no SQL, as NullType
        type_ = ""
    not_null = change.existing_nullable is False
    return Existing(change.schema or "", change.table_name, change.column_name, type_, not_null)


class RecordingEngine(Engine):
    """Gives such connections."""

    _connection_cls = RecordingConnection


async def _at_once() -> None:
    """What an asynchronous connection has to have waited for."""


class RecordingDDLCompiler(PGDDLCompiler):
    """Writes an enum although its values are of a package that is not installed."""

    def visit_create_enum_type(self, create: Any, **options: Any) -> str:
        create.element.enums = [str(value) for value in create.element.enums]
        return super().visit_create_enum_type(create, **options)  # type: ignore[no-any-return, no-untyped-call]


class RecordingTypeCompiler(PGTypeCompiler):
    """Writes a text without its length where that is of a package that is not installed."""

    def visit_VARCHAR(self, type_: Any, **options: Any) -> str:  # noqa: N802 - SQLAlchemy's name
        return "VARCHAR" if isinstance(type_.length, Absent) else super().visit_VARCHAR(type_, **options)


class RecordingDialect(PGDialect):
    """PostgreSQL's dialect with a recorder in place of a driver."""

    driver = "recording"
    ddl_compiler = RecordingDDLCompiler
    type_compiler_cls = RecordingTypeCompiler
    supports_statement_cache = False
    insert_executemany_returning = False
    use_insertmanyvalues = False

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
        self.recorder = recorder
        self.known = recorder.known
        self.server_version_info = (recorder.known.version // 10_000, recorder.known.version % 10_000)
        self.default_schema_name = "public"
        self.dbapi = SimpleNamespace(Error=Exception, paramstyle="numeric_dollar", Binary=bytes)  # type: ignore[assignment]
        self.loaded_dbapi = self.dbapi

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        if self.is_async:
            from sqlalchemy.util import await_only

            await_only(_at_once())
        cursor.execute(statement, parameters, context)

    def do_executemany(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        cursor.execute(statement, parameters, context)

    def do_execute_no_params(self, cursor: Any, statement: str, context: Any = None) -> None:
        cursor.execute(statement, None, context)

    def validate_identifier(self, ident: str) -> None:
        """Let names that are too long pass: a rule speaks of them."""

    def is_disconnect(self, *_: Any) -> bool:
        return False

    def get_isolation_level_values(self, dbapi_conn: Any) -> Any:
        return ("AUTOCOMMIT", "READ COMMITTED", "READ UNCOMMITTED", "REPEATABLE READ", "SERIALIZABLE")

    def get_isolation_level(self, dbapi_connection: Any) -> Any:
        return self.recorder.isolation

    def set_isolation_level(self, dbapi_connection: Any, level: Any) -> None:
        self.recorder.isolation = level

    def get_default_isolation_level(self, dbapi_conn: Any) -> Any:
        return "READ COMMITTED"

    def reset_isolation_level(self, dbapi_conn: Any) -> None:
        self.recorder.isolation = "READ COMMITTED"

    # --- What `inspect()` asks ---

    def has_schema(self, connection: Any, schema: str, **_: Any) -> bool:  # type: ignore[override]
        return schema in self.known.schemas() or schema in self.recorder.named

    def has_table(self, connection: Any, table_name: str, schema: str | None = None, **_: Any) -> bool:
        return table_name in [*self.known.tables(schema), *self.known.views(schema), *self.recorder.named]

    def has_index(self, connection: Any, table_name: str, index_name: str, schema: str | None = None, **_: Any) -> bool:
        return any(index["name"] == index_name for index in self.get_indexes(connection, table_name, schema))

    def has_type(self, connection: Any, type_name: str, schema: str | None = None, **_: Any) -> bool:
        return type_name in [name for name, _ in self.known.enums(schema)]

    def has_sequence(self, connection: Any, sequence_name: str, schema: str | None = None, **_: Any) -> bool:
        return self.recorder.yields

    def get_schema_names(self, connection: Any, **_: Any) -> list[str]:
        return sorted({*self.known.schemas(), *self.recorder.named})

    def get_table_names(self, connection: Any, schema: str | None = None, **_: Any) -> list[str]:
        return sorted({*self.known.tables(schema), *self.recorder.named})

    def get_view_names(self, connection: Any, schema: str | None = None, **_: Any) -> list[str]:
        return sorted({*self.known.views(schema), *self.recorder.named})

    def get_materialized_view_names(self, connection: Any, schema: str | None = None, **_: Any) -> list[str]:
        return self.get_view_names(connection, schema)

    def get_columns(self, connection: Any, table_name: str, schema: str | None = None, **_: Any) -> Any:
        known = self.known.columns(table_name, schema)
        if known is None:
            known = [(name, "text", False) for name in self.recorder.named]
        return [
            {"name": name, "type": self._type(type_), "nullable": not not_null, "default": None, "comment": None}
            for name, type_, not_null in known
        ]

    def _type(self, spelled: str) -> Any:
        name, _, size = spelled.partition("(")
        found = self.ischema_names.get(name.strip(), sqltypes.NullType)
        try:
            return found(int(size.rstrip(")"))) if size else found()
        except (TypeError, ValueError):
            return sqltypes.NullType()

    def get_indexes(self, connection: Any, table_name: str, schema: str | None = None, **_: Any) -> Any:
        known = self.known.indexes(table_name, schema)
        if self.known.columns(table_name, schema) is None:
            known = [*known, *((name, [], False) for name in self.recorder.named)]
        keys = {key["name"] for key in self.known.constraints(table_name, schema, "unique")}
        return [
            {"name": name, "column_names": columns, "unique": unique, "include_columns": [], "dialect_options": {}}
            | ({"duplicates_constraint": name} if name in keys else {})
            for name, columns, unique in known
        ]

    def _constraints(self, table: str, schema: str | None, kind: str, **other: Any) -> list[dict[str, Any]]:
        known = self.known.constraints(table, schema, kind)
        if self.known.columns(table, schema) is None:
            known = [*known, *({"name": name, "comment": None} | other for name in self.recorder.named)]
        return known

    def get_pk_constraint(self, connection: Any, table_name: str, schema: str | None = None, **_: Any) -> Any:
        found = self.known.constraints(table_name, schema, "primary key")
        return found[0] if found else {"name": None, "constrained_columns": [], "comment": None}

    def get_unique_constraints(self, connection: Any, table_name: str, schema: str | None = None, **_: Any) -> Any:
        return self._constraints(table_name, schema, "unique", column_names=[])

    def get_check_constraints(self, connection: Any, table_name: str, schema: str | None = None, **_: Any) -> Any:
        return self._constraints(table_name, schema, "check", sqltext="")

    def get_foreign_keys(self, connection: Any, table_name: str, schema: str | None = None, **_: Any) -> Any:
        other: dict[str, Any] = {
            "constrained_columns": [],
            "referred_schema": None,
            "referred_table": "",
            "referred_columns": [],
        }
        return self._constraints(table_name, schema, "foreign key", **other, options={})

    def get_table_comment(self, connection: Any, table_name: str, schema: str | None = None, **_: Any) -> Any:
        return {"text": None}

    def get_table_options(self, connection: Any, table_name: str, schema: str | None = None, **_: Any) -> Any:
        return {}

    def get_enums(self, connection: Any, schema: str | None = None, **_: Any) -> Any:
        return [
            {"name": name, "schema": schema or "public", "visible": True, "labels": labels}
            for name, labels in self.known.enums(schema)
        ]

    def get_sequence_names(self, connection: Any, schema: str | None = None, **_: Any) -> list[str]:
        return self.recorder.named


# SQLAlchemy's PostgreSQL dialect reads many tables at once, where the default one asks for each.
for _name in vars(DefaultDialect):
    if _name.startswith(("get_multi_", "has_multi_")):
        setattr(RecordingDialect, _name, vars(DefaultDialect)[_name])
