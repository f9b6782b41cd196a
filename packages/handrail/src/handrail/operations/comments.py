"""Comments, which everything can have; Alembic knows only those of tables and columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handrail.catalog.objects import Attributes, Kind, Name
from handrail.connection import literal
from handrail.operations.identifiers import ident, qualified, relation, table_of
from handrail.operations.statement import Statement

if TYPE_CHECKING:
    from alembic.operations.ops import MigrateOperation

TYPES = (Kind.ENUM, Kind.COMPOSITE, Kind.RANGE)


def comment(name: Name, attributes: Attributes) -> list[MigrateOperation]:
    """Set the comment of something, or take it away."""
    text = attributes.get("comment")
    return [Statement(f"COMMENT ON {target(name, attributes)} IS {'NULL' if text is None else literal(text)}")]


def new_comment(name: Name, attributes: Attributes) -> list[MigrateOperation]:
    """Set the comment of something that was just created, if it has one."""
    return comment(name, attributes) if attributes.get("comment") is not None else []


def target(name: Name, attributes: Attributes) -> str:
    """Name an object as `COMMENT ON` and `DROP` want it."""
    if name.kind in (Kind.CONSTRAINT, Kind.TRIGGER, Kind.RULE, Kind.POLICY):
        return f"{name.kind.upper()} {ident(name.name)} ON {table_of(name)}"
    if name.kind is Kind.COLUMN:
        return f"COLUMN {table_of(name)}.{ident(name.name)}"
    if name.kind is Kind.INDEX:
        return f"INDEX {qualified(name.schema, name.name)}"
    if name.kind in TYPES:
        return f"TYPE {relation(name)}"
    if name.kind is Kind.FUNCTION:
        words = {"procedure": "PROCEDURE", "aggregate": "AGGREGATE"}
        return f"{words.get(attributes.get('type', ''), 'FUNCTION')} {relation(name)}"
    return f"{name.kind.upper()} {relation(name)}"


def column_comments(name: Name, before: Attributes, after: Attributes) -> list[MigrateOperation]:
    """Set those comments of a view's columns that differ."""
    old, new = before.get("column_comments") or {}, after.get("column_comments") or {}
    columns = [column for column in sorted(old.keys() | new.keys()) if old.get(column) != new.get(column)]
    found: list[MigrateOperation] = []
    for column in columns:
        found += comment(Name(Kind.COLUMN, name.schema, name.name, column), {"comment": new.get(column)})
    return found
