"""A connection of SQLAlchemy's that reaches no server.

Revisions do more than call `op`: they use `op.get_bind()`, sessions of the ORM and `inspect()`. On a real Connection
with a dialect that has nothing behind it, all of that works as it does in an upgrade.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from alembic.ddl.base import AlterColumn
from sqlalchemy import text
from sqlalchemy import types as sqltypes
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import CompileError
from sqlalchemy.pool import NullPool

from handrail.statements.recorder import Recorder, Session
from handrail.statements.statement import Existing


def recording_engine(recorder: Recorder) -> Engine:
    """Return an engine whose connections all write here."""
    dialect = RecordingDialect(recorder)
    return RecordingEngine(NullPool(lambda: Session(recorder), dialect=dialect), dialect, make_url("postgresql://"))  # type: ignore[arg-type]


class RecordingConnection(Connection):
    """Takes a bare text as well, as SQLAlchemy did before 2.0: the revisions of that time are still there."""

    dialect: RecordingDialect

    def execute(self, statement: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(statement, AlterColumn):
            self.dialect.recorder.existing = existing(statement, self.dialect)
        try:
            return super().execute(text(statement) if isinstance(statement, str) else statement, *arguments, **options)
        finally:
            self.dialect.recorder.existing = None

    def scalar(self, statement: Any, *arguments: Any, **options: Any) -> Any:
        return super().scalar(text(statement) if isinstance(statement, str) else statement, *arguments, **options)


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


class RecordingDialect(PGDialect):
    """PostgreSQL's dialect with a recorder in place of a driver."""

    driver = "recording"
    supports_statement_cache = False
    insert_executemany_returning = False
    use_insertmanyvalues = False

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
        self.recorder = recorder
        self.known = recorder.known
        self.server_version_info = (recorder.known.version // 10_000, recorder.known.version % 10_000)
        self.default_schema_name = "public"
        self.dbapi = SimpleNamespace(Error=Exception, paramstyle="numeric_dollar")  # type: ignore[assignment]
        self.loaded_dbapi = self.dbapi

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
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
        return [
            {"name": name, "column_names": columns, "unique": unique, "include_columns": [], "dialect_options": {}}
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
for _kind in ("columns", "pk_constraint", "foreign_keys", "indexes", "unique_constraints", "check_constraints"):
    setattr(RecordingDialect, f"get_multi_{_kind}", getattr(DefaultDialect, f"get_multi_{_kind}"))
for _kind in ("table_comment", "table_options"):
    setattr(RecordingDialect, f"get_multi_{_kind}", getattr(DefaultDialect, f"get_multi_{_kind}"))
