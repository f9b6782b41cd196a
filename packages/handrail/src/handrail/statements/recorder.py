"""A connection of SQLAlchemy's that reaches no server: it writes down what is sent, and answers for the database.

Revisions do more than call `op`: they use `op.get_bind()`, sessions of the ORM and `inspect()`. On a real Connection
with a dialect that has nothing behind it, all of that works as it does in an upgrade.
"""

from __future__ import annotations

import datetime
import decimal
import re
import uuid
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any, Protocol

import postgast
from alembic.ddl.base import AlterColumn
from sqlalchemy import text
from sqlalchemy import types as sqltypes
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import CompileError
from sqlalchemy.pool import NullPool

from handrail.statements.statement import Existing, Statement

DIGITS = re.compile(r"\d+")
MANY = 20_000  # statements of one revision; what sends more is a loop without end


class Known(Protocol):
    """What is known of the database that a revision would run on; `schema` None is the default schema."""

    version: int

    def schemas(self) -> list[str]: ...

    def tables(self, schema: str | None) -> list[str]: ...

    def views(self, schema: str | None) -> list[str]: ...

    def columns(self, table: str, schema: str | None) -> list[tuple[str, str, bool]] | None:
        """Return name, type and NOT NULL of each column; None when the table is not known."""

    def indexes(self, table: str, schema: str | None) -> list[tuple[str, list[str], bool]]:
        """Return name, columns and uniqueness of each index."""

    def constraints(self, table: str, schema: str | None, kind: str) -> list[dict[str, Any]]:
        """Return `primary key`, `unique`, `check` or `foreign key` constraints as SQLAlchemy describes them."""

    def enums(self, schema: str | None) -> list[tuple[str, list[str]]]: ...

    def ran(self, sql: str) -> None:
        """Take note of a statement that was sent."""


class EndlessError(Exception):
    """The revision sends statements without end."""


class Recorder:
    """Writes down what is sent.

    Attributes:
        known: Answers for the database.
        named: Texts in the revision. Where nothing is known, each of them may be the name of something that is there.
        yields: Whether a question is answered with a row, once; otherwise with none.
        place: Tells the line of the revision that is running.
        existing: What the revision says about the column that it changes now.
        sent: What was sent.
    """

    def __init__(self, known: Known, named: Iterable[str], place: Callable[[], int], *, yields: bool) -> None:
        self.known = known
        self.named = sorted(set(named)) if yields else []
        self.yields = yields
        self.place = place
        self.sent: list[Statement] = []
        self.existing: Existing | None = None
        self.transaction = 0
        self.isolation = "READ COMMITTED"
        self._answered: set[str] = set()

    def engine(self) -> Engine:
        """Return an engine whose connections all write here."""
        dialect = RecordingDialect(self)
        return RecordingEngine(NullPool(lambda: Session(self), dialect=dialect), dialect, make_url("postgresql://"))  # type: ignore[arg-type]

    def send(self, sql: str) -> None:
        if len(self.sent) >= MANY:
            raise EndlessError(f"it sends more than {MANY:,} statements")
        transaction = None if self.isolation == "AUTOCOMMIT" else self.transaction
        self.sent.append(Statement(sql, self.place(), transaction, existing=self.existing))
        self.known.ran(sql)

    def has_row(self, sql: str) -> bool:
        """Whether this question gets a row: once, so that loops that work until nothing is left come to an end.

        With other numbers in it, as of the next batch, it is the same question.
        """
        question = DIGITS.sub("0", sql)
        if not self.yields or question in self._answered:
            return False
        self._answered.add(question)
        return True


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


class Session:
    """What the dialect takes for a connection of a driver."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def cursor(self, *_: Any, **__: Any) -> Cursor:
        return Cursor(self.recorder)

    def commit(self) -> None:
        self.recorder.transaction += 1

    def rollback(self) -> None:
        self.recorder.transaction += 1

    def close(self) -> None:
        """There is nothing to close."""


class Cursor:
    """What the dialect takes for a cursor of a driver."""

    arraysize = 1

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.description: list[tuple[Any, ...]] | None = None
        self.rowcount = 0
        self.rows: list[tuple[Any, ...]] = []

    def execute(self, sql: str, _parameters: Any = None, context: Any = None) -> None:
        self.recorder.send(sql)
        columns = answer_columns(sql, context)
        self.description = [(name, None, None, None, None, None, None) for name, _ in columns] or None
        # An INSERT that returns its row always has one.
        row = bool(columns) and (sql.lstrip()[:6].upper() == "INSERT" or self.recorder.has_row(sql))
        self.rows = [tuple(value for _, value in columns)] if row else []
        self.rowcount = len(self.rows) if columns else int(self.recorder.has_row(sql))

    def executemany(self, sql: str, _parameters: Any = None, context: Any = None) -> None:
        self.execute(sql, None, context)

    def fetchone(self) -> tuple[Any, ...] | None:
        return self.rows.pop(0) if self.rows else None

    def fetchmany(self, size: int = 1) -> list[tuple[Any, ...]]:
        taken, self.rows = self.rows[:size], self.rows[size:]
        return taken

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self.fetchmany(len(self.rows))

    def __iter__(self) -> Any:
        return iter(self.fetchall())

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """There is nothing to close."""


def answer_columns(sql: str, context: Any) -> list[tuple[str, Any]]:
    """Return name and a likely value of each column that a statement returns; none for what returns no rows."""
    compiled = getattr(context, "compiled", None)
    columns = getattr(compiled, "_result_columns", None)
    if columns:
        return [(column.keyname, likely(column.type)) for column in columns]
    try:
        node = postgast.parse(sql).stmts[0].stmt
    except (postgast.PgQueryError, IndexError):
        return []
    which = node.WhichOneof("node")
    if which == "select_stmt":
        select = node.select_stmt
        while select.op != 1 and select.HasField("larg"):  # of a UNION the first part names the columns
            select = select.larg
        targets = select.target_list
    elif which in ("insert_stmt", "update_stmt", "delete_stmt"):
        targets = getattr(node, which).returning_clause.exprs
    else:
        return [(which, "1")] if which in ("explain_stmt", "variable_show_stmt") else []
    return [_target(target.res_target, position) for position, target in enumerate(targets)]


def _target(target: Any, position: int) -> tuple[str, Any]:
    kind = target.val.WhichOneof("node")
    name = target.name
    if kind == "column_ref":
        field = target.val.column_ref.fields[-1]
        return (name or field.string.sval or f"column{position}", "1")
    if kind == "func_call":
        return (name or target.val.func_call.funcname[-1].string.sval, 1)
    return (name or ("exists" if kind == "sub_link" else "?column?"), 1)


def likely(type_: Any) -> Any:
    """Return a value of a column type, as a driver returns it."""
    values: dict[type, Any] = {
        int: 1,
        bool: True,
        float: 1.0,
        decimal.Decimal: decimal.Decimal(1),
        datetime.datetime: datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC),
        datetime.date: datetime.date(2000, 1, 1),
        uuid.UUID: uuid.UUID(int=1),
        list: [],
        dict: "{}",
    }
    if isinstance(type_, sqltypes.Enum) and type_.enums:
        return type_.enums[0]
    try:
        return values.get(type_.python_type, "1")
    except NotImplementedError:
        return "1"


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
