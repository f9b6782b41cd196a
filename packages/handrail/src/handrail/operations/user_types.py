"""Enums, domains, composite and range types: altered, and rebuilt where PostgreSQL cannot alter them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handrail.catalog.objects import Attributes, Kind, Name
from handrail.connection import literal
from handrail.operations.comments import comment
from handrail.operations.identifiers import ident, relation
from handrail.operations.statement import Statement

if TYPE_CHECKING:
    from alembic.operations.ops import MigrateOperation

    from handrail.catalog.difference import Difference

TYPES = (Kind.ENUM, Kind.DOMAIN, Kind.COMPOSITE, Kind.RANGE)


def must_be_rebuilt(difference: Difference) -> bool:
    """Whether PostgreSQL has no way to turn a type into the other one."""
    changes, before, after = difference.changes, difference.before or {}, difference.after or {}
    if difference.name.kind is Kind.ENUM:
        return "values" in changes and not is_extended(before["values"], after["values"])
    if difference.name.kind is Kind.DOMAIN:
        return bool({"type", "collation"} & changes.keys())
    if difference.name.kind is Kind.COMPOSITE:
        return "attributes" in changes
    return bool(changes.keys() - {"comment"})


def is_extended(before: list[str], after: list[str]) -> bool:
    """Whether values were only added, in whatever places."""
    return [value for value in after if value in set(before)] == before


def new_values(difference: Difference) -> list[str]:
    """Return the values that an enum gets without being rebuilt."""
    before, after = (difference.before or {}).get("values", []), (difference.after or {}).get("values", [])
    if difference.name.kind is not Kind.ENUM or not is_extended(before, after):
        return []
    return [value for value in after if value not in before]


def add_values(difference: Difference, *, outside_transaction: bool) -> list[MigrateOperation]:
    """Add values to an enum, each in its place.

    Args:
        difference: The enum's.
        outside_transaction: Something in the same revision uses a new value, which must be committed before.
    """
    after = (difference.after or {}).get("values", [])
    present = set((difference.before or {}).get("values", []))
    operations: list[MigrateOperation] = []
    for value in new_values(difference):
        sql = f"ALTER TYPE {relation(difference.name)} ADD VALUE {'IF NOT EXISTS ' if outside_transaction else ''}"
        place = place_of(value, after, present)
        operations.append(Statement(f"{sql}{literal(value)}{place}", outside_transaction=outside_transaction))
        present.add(value)
    return operations


def place_of(value: str, values: list[str], present: set[str]) -> str:
    """Return where a value belongs among those that are there; nothing where that is the end."""
    position = values.index(value)
    if not present & set(values[position + 1 :]):
        return ""
    if position and values[position - 1] in present:
        return f" AFTER {literal(values[position - 1])}"
    return f" BEFORE {literal(next(v for v in values[position + 1 :] if v in present))}"


def alter_type(difference: Difference) -> list[MigrateOperation]:
    """Change what can be changed in place, except the values of an enum."""
    name, before, after = difference.name, difference.before or {}, difference.after or {}
    operations = alter_domain(name, before, after) if name.kind is Kind.DOMAIN else []
    return operations + (comment(name, after) if "comment" in difference.changes else [])


def alter_domain(name: Name, before: Attributes, after: Attributes) -> list[MigrateOperation]:
    actions = []
    if before.get("default") != after.get("default"):
        default = after.get("default")
        actions.append("DROP DEFAULT" if default is None else f"SET DEFAULT {default}")
    if bool(before.get("not_null")) != bool(after.get("not_null")):
        actions.append("SET NOT NULL" if after.get("not_null") else "DROP NOT NULL")
    old, new = before.get("checks") or {}, after.get("checks") or {}
    actions += [f"DROP CONSTRAINT {ident(check)}" for check, text in old.items() if new.get(check) != text]
    actions += [f"ADD CONSTRAINT {ident(check)} {text}" for check, text in new.items() if old.get(check) != text]
    return [Statement(f"ALTER DOMAIN {relation(name)} {action}") for action in actions]


def set_aside(name: Name) -> list[MigrateOperation]:
    """Rename a type so that the new one can have its name, while columns still use the old one."""
    kind = "DOMAIN" if name.kind is Kind.DOMAIN else "TYPE"
    return [Statement(f"ALTER {kind} {relation(name)} RENAME TO {ident(aside(name).name)}")]


def aside(name: Name) -> Name:
    """Return the name that a type has until nothing uses it any more."""
    return name._replace(name=f"{name.name[:58]}_old")


def drop_aside(name: Name) -> list[MigrateOperation]:
    kind = "DOMAIN" if name.kind is Kind.DOMAIN else "TYPE"
    return [Statement(f"DROP {kind} {relation(aside(name))}")]


def type_text(attributes: Attributes) -> str:
    """Return what a type is made of, or what a function takes and returns."""
    if "definition" in attributes:
        return str(attributes["definition"]).partition("\nAS $")[0]
    kept = ("type", "default", "checks", "attributes", "subtype", "canonical", "subtype_diff", "aggregate")
    return "\n".join(flat(attributes.get(key)) for key in kept)


def flat(value: object) -> str:
    """Return all texts of a value."""
    if isinstance(value, dict):
        return "\n".join(map(flat, value.values()))
    return "\n".join(map(flat, value)) if isinstance(value, list) else str(value or "")
