"""What has to be dropped, created and altered, with everything that must make way for it and come back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from handrail.catalog.objects import Attributes, Kind, Name
from handrail.operations import code, constraints, indexes
from handrail.operations.code import CODE, VIEWS
from handrail.operations.columns import OF_ITS_OWN
from handrail.operations.dependents import Upheaval, changed_columns, keys_between, spread
from handrail.operations.serials import serial_columns
from handrail.operations.user_types import TYPES, must_be_rebuilt

if TYPE_CHECKING:
    from handrail.catalog.difference import Difference
    from handrail.operations.sides import Sides

# A type must not be called like one of these: each brings a type of its rows.
RELATIONS = (Kind.TABLE, *VIEWS, Kind.SEQUENCE)


@dataclass(frozen=True)
class Plan:
    """What has to be done.

    Attributes:
        sides: Between which catalogs.
        dropped: What goes, with its attributes; what only makes way is in `created`, too.
        created: What comes.
        changed: What stays and is altered.
        upheaval: Which columns and types change their nature.
    """

    sides: Sides
    dropped: dict[Name, Attributes]
    created: dict[Name, Attributes]
    changed: dict[Name, Difference]
    upheaval: Upheaval

    def to_drop(self, *kinds: Kind) -> dict[Name, Attributes]:
        """Return what does not go by itself together with its table or view."""
        return {n: a for n, a in self.dropped.items() if n.kind in kinds and not self._goes_along(n)}

    def to_create(self, *kinds: Kind) -> dict[Name, Attributes]:
        """Return what does not come with its table."""
        new = self.created
        return {n: a for n, a in new.items() if n.kind in kinds and not (n.table and n.owner in new)}

    def to_alter(self, *kinds: Kind) -> list[Difference]:
        return [difference for name, difference in self.changed.items() if name.kind in kinds]

    def _goes_along(self, name: Name) -> bool:
        owners = (name.owner._replace(kind=kind) for kind in (Kind.TABLE, *VIEWS))
        return bool(name.table) and any(owner in self.dropped for owner in owners)

    def altered_columns(self) -> Iterator[tuple[Name, Attributes, Attributes, bool]]:
        """Yield the columns that stay and change, before and after, and whether their values have to be cast."""
        stay = (self.upheaval.retyped | {n for n in self.changed if n.kind is Kind.COLUMN}) - self.dropped.keys()
        for name in sorted(stay):
            yield name, self.sides.before.objects[name], self.sides.after.objects[name], name in self.upheaval.converted

    @cached_property
    def in_the_way(self) -> set[Name]:
        """The types whose name something new gets, another type or a relation, while columns still use them."""
        relations = {(n.schema, n.name) for n in self.created if n.kind in RELATIONS}
        taken = {n for n in self.to_drop(*TYPES) if (n.schema, n.name) in relations}
        return self.upheaval.types | taken

    @cached_property
    def serials(self) -> dict[Name, Name]:
        """The columns of new tables whose sequence comes with them, and the sequence."""
        tables = {name for name in self.created if name.kind is Kind.TABLE}
        return serial_columns(self.sides, tables, [name for name in self.created if name.kind is Kind.SEQUENCE])


def make_plan(sides: Sides, differences: Sequence[Difference]) -> Plan:
    """Sort differences into what is dropped, created and altered, and add what depends on them."""
    relevant = [difference for difference in differences if not comes_from_parent(difference)]
    dropped = {d.name: d.before for d in relevant if d.before is not None and d.after is None}
    created = {d.name: d.after for d in relevant if d.after is not None and d.before is None}
    changed = {d.name: d for d in relevant if d.changes}
    upheaval = Upheaval(gone=set(dropped))
    upheaval.types = {d.name for d in changed.values() if d.name.kind in TYPES and must_be_rebuilt(d)}
    upheaval.gone |= {d.name for d in changed.values() if not stays(d)}
    upheaval.gone |= keys_between(sides, {n for n, d in changed.items() if "unlogged" in d.changes})
    changed_columns(changed.values(), upheaval)
    spread(sides, upheaval)
    for name in upheaval.gone - dropped.keys():
        before = sides.before.objects[name]
        dropped[name], created[name] = before, sides.after.objects.get(name, before)
        changed.pop(name, None)
    return Plan(sides, dict(sorted(dropped.items())), dict(sorted(created.items())), changed, upheaval)


def comes_from_parent(difference: Difference) -> bool:
    """Whether the parent of a partition or child table brings, changes and takes it along."""
    sides = [attributes for attributes in (difference.before, difference.after) if attributes is not None]
    kept = difference.name.kind is Kind.COLUMN and bool(OF_ITS_OWN & difference.changes.keys())
    return all(attributes.get("inherited") for attributes in sides) and not kept


def stays(difference: Difference) -> bool:
    """Whether an object that is not the same can be altered instead of being created anew."""
    kind = difference.name.kind
    if kind is Kind.CONSTRAINT:
        return constraints.alters_in_place(difference)
    if kind is Kind.INDEX:
        return indexes.alters_in_place(difference)
    return code.alters_in_place(difference) if kind in (*CODE, Kind.FUNCTION) else kind is not Kind.COLLATION
