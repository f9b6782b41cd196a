"""What stands in place of a driver: it writes down what is sent, and answers for the database."""

from __future__ import annotations

import datetime
import decimal
import re
import uuid
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import postgast
from sqlalchemy import types as sqltypes

from handrail.statements.nothing import of_nothing
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
        self.rows = [tuple(value for _, value in columns)] if row else of_nothing(sql, len(columns))
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
