"""Serial columns: those whose sequence PostgreSQL creates with the table, as SQLAlchemy asks it to."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from handrail.catalog.ddl.spelling import MAX_NAME_BYTES
from handrail.catalog.objects import Attributes, Kind, Name
from handrail.connection import literal
from handrail.operations.identifiers import relation
from handrail.operations.sequences import chosen
from handrail.operations.tables import in_words, own

if TYPE_CHECKING:
    from handrail.operations.sides import Sides


def serial_columns(sides: Sides, tables: Collection[Name], sequences: Collection[Name]) -> dict[Name, Name]:
    """Return the serial columns of new tables with their sequences, which then must not be created by themselves."""
    found: dict[Name, Name] = {}
    for sequence in sorted(sequences):
        owner = sides.after.objects[sequence].get("owned_by")
        column = Name(Kind.COLUMN, *owner) if owner else None
        if column is None or column.owner not in tables:
            continue
        # SQLAlchemy makes one column of a table serial, not two.
        taken = any(other.owner == column.owner for other in found)
        if not taken and is_serial(sides, column.owner, column, sequence):
            found[column] = sequence
    return found


def is_serial(sides: Sides, table: Name, column: Name, sequence: Name) -> bool:
    """Whether SERIAL would create just this sequence for just this column."""
    columns = own(sides.parts(sides.after, table, Kind.COLUMN))
    attributes = columns.get(column)
    if attributes is None or not in_words(sides, table):
        return False
    return column.name in key_columns(sides, table) and is_usual(column, attributes, sequence, sides)


def key_columns(sides: Sides, table: Name) -> list[str]:
    """Return the columns of the primary key, the only ones that SQLAlchemy makes serial."""
    constraints = own(sides.parts(sides.after, table, Kind.CONSTRAINT)).values()
    found: list[str] = next((c["columns"] for c in constraints if c["type"] == "primary key"), [])
    return found


def is_usual(column: Name, attributes: Attributes, sequence: Name, sides: Sides) -> bool:
    """Whether sequence and default are named, and made, as PostgreSQL does it by itself."""
    made, usual_name = sides.after.objects[sequence], f"{column.table}_{column.name}_seq"
    if sequence.schema != column.schema or sequence.name != usual_name or len(usual_name.encode()) > MAX_NAME_BYTES:
        return False
    default = f"nextval({literal(relation(sequence))}::regclass)"
    unlogged = sides.after.objects[column.owner].get("unlogged")
    ordinary = made.get("type") == attributes["type"] and not chosen(made, made["type"])
    return ordinary and made.get("unlogged") == unlogged and attributes.get("default") == default
