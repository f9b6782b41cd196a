"""Leave out the tables that are the same on both sides: of a thousand, an edit is about two or three."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from handrail.catalog.objects import Attributes, Catalog, Kind, Name

Place: TypeAlias = "tuple[str, str]"  # schema and name of a table

# What more than one table may use: a change of one of these may concern any of them.
SHARED = (Kind.ENUM, Kind.DOMAIN, Kind.COMPOSITE, Kind.RANGE, Kind.COLLATION, Kind.SEQUENCE, Kind.FUNCTION)


def narrowed(history: Catalog, target: Catalog) -> tuple[Catalog, Catalog]:
    """Return both catalogs with only those tables that differ, and those that refer to them or are referred to.

    Everything is kept where something shared by tables is not the same, and always all that is no table.
    """
    changed: set[Place | None] = set()
    for one, other in ((history.objects, target.objects), (target.objects, history.objects)):
        for name, attributes in one.items():
            if other.get(name) != attributes:
                place = _place(name, attributes)
                if place is None and name.kind in SHARED and name in other:
                    return history, target
                changed.add(place)
    kept = changed | {None}
    for catalog in (history, target):
        for pair in _related(catalog):
            if not changed.isdisjoint(pair):
                kept.update(pair)
    return _only(history, kept), _only(target, kept)


def _place(name: Name, attributes: Attributes) -> Place | None:
    """Return the table that an object is or belongs to; None for all others."""
    if name.table:
        return name.schema, name.table
    if name.kind is Kind.TABLE:
        return name.schema, name.name
    owner = attributes.get("owned_by")
    return (owner[0], owner[1]) if owner else None


def _related(catalog: Catalog) -> Iterator[tuple[Place, Place]]:
    """Yield tables in pairs: one refers to the other, or has its columns from it."""
    for name, attributes in catalog.objects.items():
        if name.kind is Kind.CONSTRAINT:
            reference = attributes.get("references")
            if reference:
                yield (name.schema, name.table), (reference["schema"], reference["table"])
        elif name.kind is Kind.TABLE:
            parents = [*(attributes.get("inherits") or ()), attributes.get("partition_of")]
            yield from (((name.schema, name.name), (parent[0], parent[1])) for parent in parents if parent)


def _only(catalog: Catalog, places: set[Place | None]) -> Catalog:
    kept = {name: value for name, value in catalog.objects.items() if _place(name, value) in places}
    return Catalog(catalog.version, kept)
