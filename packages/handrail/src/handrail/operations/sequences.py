"""Sequences, and the numbers of identity columns: the same options, in SQL and for `sa.Identity`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handrail.catalog.ddl.types import LIMITS
from handrail.connection import literal
from handrail.operations.identifiers import ident, qualified, relation
from handrail.operations.statement import Statement

if TYPE_CHECKING:
    from alembic.operations.ops import MigrateOperation

    from handrail.catalog.difference import Difference
    from handrail.catalog.objects import Attributes, Name

CLAUSES = {
    "increment": "INCREMENT BY {}",
    "min": "MINVALUE {}",
    "max": "MAXVALUE {}",
    "start": "START WITH {}",
    "cache": "CACHE {}",
}


def ordinary(type_: str, increment: int) -> dict[str, Any]:
    """Return the options that PostgreSQL gives to a sequence of this type by itself."""
    limit = LIMITS.get(type_, 2**63)
    least, greatest = (1, limit - 1) if increment > 0 else (-limit, -1)
    start = least if increment > 0 else greatest
    return {"increment": 1, "min": least, "max": greatest, "start": start, "cache": 1, "cycle": False}


def chosen(attributes: Attributes, type_: str) -> dict[str, Any]:
    """Return the options that are not the ordinary ones."""
    usual = ordinary(type_, attributes.get("increment", 1))
    return {key: attributes[key] for key in usual if attributes.get(key, usual[key]) != usual[key]}


def clauses(options: dict[str, Any]) -> list[str]:
    """Write options in SQL."""
    words = [clause.format(options[key]) for key, clause in CLAUSES.items() if key in options]
    if "cycle" in options:
        words.append("CYCLE" if options["cycle"] else "NO CYCLE")
    return words


def create_sequence(name: Name, attributes: Attributes) -> list[MigrateOperation]:
    """Create a sequence that no column owns yet."""
    unlogged = "UNLOGGED " if attributes.get("unlogged") else ""
    type_ = attributes.get("type", "bigint")
    words = [f"CREATE {unlogged}SEQUENCE {relation(name)}"]
    words += [f"AS {type_}"] if type_ != "bigint" else []
    return [Statement(" ".join(words + clauses(chosen(attributes, type_))))]


def drop_sequence(name: Name) -> list[MigrateOperation]:
    return [Statement(f"DROP SEQUENCE {relation(name)}")]


def own_sequence(name: Name, attributes: Attributes) -> list[MigrateOperation]:
    """Let the column own its sequence, or nothing."""
    owner = attributes.get("owned_by")
    column = f"{qualified(*owner[:2])}.{ident(owner[2])}" if owner else "NONE"
    return [Statement(f"ALTER SEQUENCE {relation(name)} OWNED BY {column}")]


def alter_sequence(difference: Difference) -> list[MigrateOperation]:
    """Change type and options; the owner is another matter, because the column must exist by then."""
    changes, after = difference.changes, difference.after or {}
    words = [f"AS {after['type']}"] if "type" in changes else []
    # With its type PostgreSQL changes the bounds, too.
    stated = {"min", "max"} if "type" in changes else set()
    words += clauses({key: after[key] for key in (*CLAUSES, "cycle") if key in changes or key in stated})
    operations = moved(difference)
    if words:
        operations.append(Statement(" ".join([f"ALTER SEQUENCE {relation(difference.name)}", *words])))
    if "unlogged" in changes:
        logged = "UNLOGGED" if after.get("unlogged") else "LOGGED"
        operations.append(Statement(f"ALTER SEQUENCE {relation(difference.name)} SET {logged}"))
    return operations


def moved(difference: Difference) -> list[MigrateOperation]:
    """Move a sequence into narrower bounds, which PostgreSQL refuses as long as it stands outside."""
    before, after = difference.before or {}, difference.after or {}
    usual = ordinary(after.get("type", "bigint"), after["increment"])
    raised = after["min"] > before["min"] and after["min"] != usual["min"]
    lowered = after["max"] < before["max"] and after["max"] != usual["max"]
    if not raised and not lowered:
        return []
    value = f"least(greatest(last_value, {after['min']}), {after['max']})"
    name = relation(difference.name)
    return [Statement(f"SELECT setval({literal(name)}, {value}, is_called) FROM {name}")]  # noqa: S608 - it is SQL for a file


def identity_clauses(before: Attributes, after: Attributes, type_: str) -> list[str]:
    """Write what `ALTER COLUMN` needs to turn one identity into another."""
    words = []
    if before["always"] != after["always"]:
        words.append("SET GENERATED " + ("ALWAYS" if after["always"] else "BY DEFAULT"))
    changed = {key: after[key] for key in ordinary(type_, 1) if before.get(key) != after.get(key)}
    return words + [f"SET {clause}" for clause in clauses(changed)]
