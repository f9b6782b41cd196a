"""An order in which things can be created, each after what it needs; the reverse is one for dropping them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from handrail.catalog.objects import Attributes, Kind, Name
from handrail.operations.identifiers import mentions_relation

if TYPE_CHECKING:
    from handrail.catalog.objects import Catalog
    from handrail.operations.sides import Sides

Edges = dict[Name, set[Name]]


def ordered(needs: Mapping[Name, set[Name]]) -> list[Name]:
    """Return names so that each comes after those it needs, otherwise sorted.

    Raises:
        CycleError: Some need each other.
    """
    sorter = TopologicalSorter(needs)
    sorter.prepare()
    found: list[Name] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        found += ready
        sorter.done(*ready)
    return found


def ordered_tables(sides: Sides, catalog: Catalog, tables: Collection[Name]) -> tuple[list[Name], set[Name]]:
    """Return tables in an order in which they can be created, and the foreign keys that must be added afterwards."""
    needs: Edges = {table: parents(catalog.objects[table]) & set(tables) for table in tables}
    keys: dict[tuple[Name, Name], set[Name]] = {}
    for table in tables:
        for name, attributes in sides.parts(catalog, table, Kind.CONSTRAINT).items():
            target = referred_table(attributes)
            if target in needs and target != table and target not in needs[table]:
                keys.setdefault((table, target), set()).add(name)
    for table, target in keys:
        needs[table].add(target)
    postponed: set[Name] = set()
    while True:
        try:
            return ordered(needs), postponed
        except CycleError as circle:
            # Each table of the list is needed by the next one, the first and the last are the same.
            round_trip: list[Name] = circle.args[1]
            pairs = zip(round_trip[1:], round_trip[:-1], strict=True)
            table, target = next(pair for pair in pairs if pair in keys)
            postponed |= keys[table, target]
            needs[table].discard(target)


def parents(attributes: Attributes) -> set[Name]:
    """Return the tables that a table is a partition or a child of."""
    above = [*(attributes.get("inherits") or []), *filter(None, [attributes.get("partition_of")])]
    return {Name(Kind.TABLE, schema, "", table) for schema, table in above}


def referred_table(constraint: Attributes) -> Name | None:
    """Return the table that a foreign key refers to."""
    target = constraint.get("references")
    return Name(Kind.TABLE, target["schema"], "", target["table"]) if target else None


def ordered_by_text(objects: Mapping[Name, Attributes], text: Callable[[Attributes], str]) -> list[Name]:
    """Return views, types or functions so that each comes after those that its text speaks of.

    Functions may speak of each other; then their bodies do not count, as PostgreSQL does not look at them either.
    """
    texts = {name: text(attributes) for name, attributes in objects.items()}
    needs = {name: spoken_of(texts[name], objects, name) for name in objects}
    try:
        return ordered(needs)
    except CycleError:
        return sorted(objects)


def spoken_of(text: str, names: Iterable[Name], itself: Name) -> set[Name]:
    return {other for other in names if other != itself and mentions_relation(text, other)}
