"""Foreign keys of whole tables that come or go: which of them cannot come or go together with their table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handrail.catalog.objects import Attributes, Kind, Name
from handrail.operations.ordering import ordered_tables, referred_table
from handrail.operations.tables import holds

if TYPE_CHECKING:
    from handrail.operations.plan import Plan

KEYS = ("primary key", "unique")


def added_afterwards(plan: Plan) -> set[Name]:
    """Return the foreign keys of new tables that cannot stand inside them."""
    tables = plan.to_create(Kind.TABLE)
    _, found = ordered_tables(plan.sides, plan.sides.after, tables)
    for name, attributes in foreign_keys(plan.created).items():
        if name.owner in tables and not (holds(plan.sides, name, attributes) and is_ready(plan, attributes)):
            found.add(name)
    return found


def dropped_before(plan: Plan) -> set[Name]:
    """Return the foreign keys that must be dropped before their tables are."""
    tables = plan.to_drop(Kind.TABLE)
    _, found = ordered_tables(plan.sides, plan.sides.before, tables)
    keys = foreign_keys(plan.dropped)
    for name, attributes in keys.items():
        target = referred_table(attributes)
        if name.owner in tables and target not in tables and touches_key(plan.dropped, attributes):
            found.add(name)
    return found & keys.keys()


def foreign_keys(names: dict[Name, Attributes]) -> dict[Name, Attributes]:
    return {n: a for n, a in names.items() if n.kind is Kind.CONSTRAINT and a["type"] == "foreign key"}


def is_ready(plan: Plan, foreign_key: Attributes) -> bool:
    """Whether what a foreign key refers to is there when tables are created."""
    target = referred_table(foreign_key)
    assert target is not None
    if target not in plan.created:
        columns = {column.name for column in plan.upheaval.retyped if column.owner == target}
        moving = bool(columns & set(foreign_key["references"]["columns"]))
        # A logged table cannot refer to one that is not.
        rewritten = target in plan.changed and "unlogged" in plan.changed[target].changes
        return not (moving or rewritten or touches_key(plan.created, foreign_key))
    inside = plan.sides.parts(plan.sides.after, target, Kind.CONSTRAINT)
    return any(is_key(a, foreign_key) and holds(plan.sides, n, a) for n, a in inside.items())


def is_key(constraint: Attributes, foreign_key: Attributes) -> bool:
    """Whether a foreign key may refer to this constraint."""
    return constraint["type"] in KEYS and set(constraint["columns"]) == set(foreign_key["references"]["columns"])


def touches_key(names: dict[Name, Attributes], foreign_key: Attributes) -> bool:
    """Whether the columns or the key that a foreign key refers to are among these objects."""
    target = referred_table(foreign_key)
    for name, attributes in names.items():
        if not name.table or name.owner != target:
            continue
        if name.kind is Kind.COLUMN and name.name in foreign_key["references"]["columns"]:
            return True
        if name.kind is Kind.CONSTRAINT and is_key(attributes, foreign_key):
            return True
        if name.kind is Kind.INDEX and attributes.get("unique"):
            return True
    return False
