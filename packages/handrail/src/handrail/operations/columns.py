"""Columns: added, dropped, altered, and written as `sa.Column` inside a new table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic.operations.ops import AddColumnOp, AlterColumnOp, DropColumnOp

from handrail.casts import is_conversion, using
from handrail.catalog.ddl.columns import definition, value
from handrail.catalog.ddl.partitions import parent_column
from handrail.connection import literal
from handrail.operations.comments import new_comment
from handrail.operations.expressions import default_value, without_parentheses
from handrail.operations.identifiers import ident, table_of
from handrail.operations.sequences import chosen, identity_clauses
from handrail.operations.statement import Statement, sql_text

if TYPE_CHECKING:
    from alembic.operations.ops import MigrateOperation

    from handrail.catalog.objects import Attributes, Name
    from handrail.operations.sides import Sides

# How sa.Identity calls the options of a sequence.
IDENTITY = {
    "increment": "increment",
    "min": "minvalue",
    "max": "maxvalue",
    "start": "start",
    "cache": "cache",
    "cycle": "cycle",
}
# What a column of a partition or child table may have unlike its parent's.
OF_ITS_OWN = frozenset({"comment", "default", "not_null", "options", "statistics", "storage", "compression"})
# What SQLAlchemy has no argument for: the clause that sets it, and the one that takes it back.
SETTINGS = {
    "compression": ("SET COMPRESSION {}", "SET COMPRESSION default"),
    "statistics": ("SET STATISTICS {}", "SET STATISTICS -1"),
}


def column(sides: Sides, name: Name, attributes: Attributes, *, serial: bool = False) -> sa.Column[Any] | None:
    """Return a new column as SQLAlchemy has it, or None where it has no words for the type.

    Args:
        sides: Where it is new.
        name: The column's.
        attributes: The column's.
        serial: The sequence of its default is created with the table.
    """
    type_ = sides.type_of(name, attributes, sides.after)
    if type_ is None:
        return None
    arguments: dict[str, Any] = {"nullable": not attributes.get("not_null"), "comment": attributes.get("comment")}
    if attributes.get("default") is not None and not serial:
        arguments["server_default"] = default_value(attributes["default"], attributes["type"])
    generators: list[Any] = []
    if identity := attributes.get("identity"):
        options = {IDENTITY[key]: value for key, value in chosen(identity, attributes["type"]).items()}
        generators.append(sa.Identity(always=identity["always"], **options))
    if generated := attributes.get("generated"):
        expression = sql_text(without_parentheses(generated["expression"]))
        generators.append(sa.Computed(expression, persisted=generated["stored"]))
    return sa.Column(name.name, type_, *generators, **arguments)


def identity(attributes: Attributes) -> str:
    """Return the clause that makes a column an identity column."""
    return " ".join(value({"identity": attributes["identity"], "type": attributes["type"]}))


def add_column(sides: Sides, name: Name, attributes: Attributes) -> list[MigrateOperation]:
    """Add a column to a table that is there."""
    new = column(sides, name, attributes)
    if new is None:
        added: list[MigrateOperation] = [alter_table(name, f"ADD COLUMN {definition(name.name, attributes)}")]
        return added + new_comment(name, attributes) + settings(name, {}, attributes)
    return [AddColumnOp(name.table, new, schema=sides.schema(name.schema)), *settings(name, {}, attributes)]


def drop_column(sides: Sides, name: Name) -> list[MigrateOperation]:
    return [DropColumnOp(name.table, name.name, schema=sides.schema(name.schema))]


def loosen(
    sides: Sides, name: Name, before: Attributes, after: Attributes, *, converted: bool
) -> list[MigrateOperation]:
    """Take away what ties a column to its type or to a sequence, before either is touched."""
    if before.get("identity") and not after.get("identity"):
        return [alter_column_sql(name, "DROP IDENTITY")]
    if before.get("generated") and not after.get("generated"):
        return [alter_column_sql(name, "DROP EXPRESSION")]
    default = before.get("default")
    if default is None or not (converted or ("nextval(" in default and default != after.get("default"))):
        return []
    return [existing(sides, name, before, modify_server_default=None)]


def alter_column(
    sides: Sides, name: Name, before: Attributes, after: Attributes, *, converted: bool
) -> list[MigrateOperation]:
    """Turn a column into another without losing its values.

    Args:
        sides: Where it is altered.
        name: The column's.
        before: Its attributes now.
        after: The attributes it is to have.
        converted: Its default is gone, and its values have to be cast, also where the type's name is the same.
    """
    changes = changed_arguments(sides, name, before, after, converted=converted)
    operations: list[MigrateOperation] = []
    retyped = converted or differs("type", before, after) or differs("collation", before, after)
    if retyped and ("modify_type" not in changes or "%" in changes.get("postgresql_using", "")):
        changes.pop("modify_type", None)
        operations.append(retype(name, after, changes.pop("postgresql_using", None)))
    if changes:
        operations.append(existing(sides, name, before, **changes))
    # With another type both are as usual again.
    reset = {"storage": None, "compression": None} if retyped else {}
    return operations + alter_generator(name, before, after) + settings(name, {**before, **reset}, after)


def changed_arguments(
    sides: Sides, name: Name, before: Attributes, after: Attributes, *, converted: bool
) -> dict[str, Any]:
    """Return what `op.alter_column` is to change."""
    changes: dict[str, Any] = {}
    retyped = converted or differs("type", before, after) or differs("collation", before, after)
    if retyped:
        type_ = sides.type_of(name, after, sides.after)
        changes |= {"modify_type": type_} if type_ is not None else {}
        cast = conversion(name, before, after, converted=converted)
        changes |= {"postgresql_using": cast} if cast else {}
    if bool(before.get("not_null")) != bool(after.get("not_null")):
        changes["modify_nullable"] = not after.get("not_null")
    default = after.get("default")
    # A new type brings along a default that is written differently, although it is the same.
    if default is not None and (retyped or before.get("default") != default):
        changes["modify_server_default"] = sa.DefaultClause(default_value(default, after["type"]))
    elif default is None and before.get("default") is not None and not loosened(before, converted=converted):
        changes["modify_server_default"] = None
    if differs("comment", before, after):
        changes |= {"modify_comment": after.get("comment"), "existing_comment": before.get("comment")}
    return changes


def loosened(before: Attributes, *, converted: bool) -> bool:
    """Whether `loosen` has dropped the default of a column that is to have none."""
    return converted or "nextval(" in before["default"]


def differs(attribute: str, before: Attributes, after: Attributes) -> bool:
    return before.get(attribute) != after.get(attribute)


def conversion(name: Name, before: Attributes, after: Attributes, *, converted: bool) -> str | None:
    """Return the expression for USING, if one is needed."""
    if converted and not is_conversion(before["type"], after["type"]):
        array = "[]" if after["type"].endswith("[]") else ""
        return f"{ident(name.name)}::text{array}::{after['type']}"
    return using(ident(name.name), before["type"], after["type"])


def retype(name: Name, after: Attributes, cast: str | None) -> MigrateOperation:
    """Give a column a type that SQLAlchemy has no words for."""
    words = ["TYPE", after["type"]]
    if after.get("collation"):
        words.append(f"COLLATE {after['collation']}")
    if cast:
        words.append(f"USING {cast}")
    return alter_column_sql(name, " ".join(words))


def existing(sides: Sides, name: Name, before: Attributes, **changes: Any) -> AlterColumnOp:
    """Return Alembic's operation, which wants to know what the column is now."""
    operation = AlterColumnOp(
        name.table,
        name.name,
        schema=sides.schema(name.schema),
        existing_type=sides.type_of(name, before, sides.before),
        **{key: value for key, value in changes.items() if key != "existing_comment"},
    )
    operation.existing_comment = changes.get("existing_comment")
    if "modify_nullable" not in changes:
        operation.existing_nullable = not before.get("not_null")
    return operation


def alter_generator(name: Name, before: Attributes, after: Attributes) -> list[MigrateOperation]:
    """Change or add an identity; turn a generated column into an ordinary one."""
    old, new = before.get("identity"), after.get("identity")
    if new and not old:
        return [alter_column_sql(name, f"ADD {identity(after)}")]
    if old and new and old != new:
        return [alter_column_sql(name, " ".join(identity_clauses(old, new, after["type"])))]
    return []


def settings(name: Name, before: Attributes, after: Attributes) -> list[MigrateOperation]:
    """Set what SQLAlchemy's columns have no argument for."""
    actions = []
    if differs("storage", before, after):
        actions.append(f"SET STORAGE {after.get('storage') or usual_storage(after['type'])}")
    for key, (setting, resetting) in SETTINGS.items():
        if differs(key, before, after):
            actions.append(setting.format(after[key]) if after.get(key) is not None else resetting)
    old, new = before.get("options") or {}, after.get("options") or {}
    if changed := {key: value for key, value in new.items() if old.get(key) != value}:
        actions.append(f"SET ({option_list(changed)})")
    if gone := sorted(old.keys() - new.keys()):
        actions.append(f"RESET ({', '.join(gone)})")
    return [alter_column_sql(name, action) for action in actions]


def usual_storage(type_: str) -> str:
    """Return how values of a type are kept, if they can be kept in more than one way."""
    # SET STORAGE DEFAULT would say it, but only since PostgreSQL 16.
    return "MAIN" if type_.startswith(("numeric", "inet", "cidr")) and not type_.endswith("[]") else "EXTENDED"


def option_list(options: dict[str, str]) -> str:
    """Write storage parameters."""
    return ", ".join(f"{key} = {literal(str(value))}" for key, value in sorted(options.items()))


def inherited_changes(sides: Sides, name: Name, before: Attributes, after: Attributes) -> list[MigrateOperation]:
    """Change what does not come down from the parent: comments never do, and everything else only if it is the same."""
    old = parent_column(sides.before, sides.before.objects[name.owner], name.name)
    new = parent_column(sides.after, sides.after.objects[name.owner], name.name)
    own = {
        key: after.get(key)
        for key in sorted(OF_ITS_OWN)
        if differs(key, before, after)
        and (key == "comment" or (before.get(key), after.get(key)) != (old.get(key), new.get(key)))
    }
    return alter_column(sides, name, before, {**before, **own}, converted=False) if own else []


def alter_table(name: Name, action: str) -> Statement:
    """Change the table of a column or constraint."""
    return Statement(f"ALTER TABLE {table_of(name)} {action}")


def alter_column_sql(name: Name, action: str) -> Statement:
    return alter_table(name, f"ALTER COLUMN {ident(name.name)} {action}")
