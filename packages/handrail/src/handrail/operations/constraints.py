"""Constraints: inside a new table, added, dropped, altered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic.operations.ops import (
    CreateCheckConstraintOp,
    CreateForeignKeyOp,
    CreatePrimaryKeyOp,
    CreateUniqueConstraintOp,
    DropConstraintOp,
)
from sqlalchemy.sql.elements import conv

from handrail.operations.columns import alter_table, option_list
from handrail.operations.comments import comment, new_comment
from handrail.operations.expressions import without_parentheses
from handrail.operations.identifiers import ident, idents, qualified
from handrail.operations.statement import Statement, create, sql_text

if TYPE_CHECKING:
    from alembic.operations.ops import MigrateOperation

    from handrail.catalog.difference import Difference
    from handrail.catalog.objects import Attributes, Name
    from handrail.operations.sides import Sides

DROPPED_AS = {"primary key": "primary", "unique": "unique", "check": "check", "foreign key": "foreignkey"}


def in_words(attributes: Attributes) -> bool:
    """Whether Alembic and SQLAlchemy can say all of this constraint, and say it right."""
    definition = attributes["definition"]
    if attributes.get("enforced") is False or attributes["type"] == "exclude":
        return False
    if attributes["type"] == "primary key":
        return not (attributes.get("deferrable") or attributes.get("include") or "WITHOUT OVERLAPS" in definition)
    if attributes["type"] == "unique":
        return "WITHOUT OVERLAPS" not in definition
    if attributes["type"] == "check":
        return not attributes.get("no_inherit")
    target = attributes["references"]
    # A dot in a name cannot be told from the dots between names.
    dotted = any("." in part for part in (target["schema"], target["table"], *target["columns"]))
    return not dotted and "PERIOD" not in definition


def inline(sides: Sides, name: Name, attributes: Attributes) -> sa.schema.Constraint | None:
    """Return a constraint as part of a new table, or None where it must be added afterwards."""
    if not in_words(attributes) or not attributes.get("validated", True):
        return None
    named: dict[str, Any] = {"name": conv(name.name)}
    columns = attributes.get("columns") or []
    if attributes["type"] == "primary key":
        return sa.PrimaryKeyConstraint(*columns, **named)
    if attributes["type"] == "unique":
        return sa.UniqueConstraint(*columns, **named, **timing(attributes), **unique_options(attributes))
    if attributes["type"] == "check":
        return sa.CheckConstraint(sql_text(without_parentheses(attributes["expression"])), **named)
    target = attributes["references"]
    prefix = ".".join(filter(None, (sides.schema(target["schema"]), target["table"])))
    referred = [f"{prefix}.{column}" for column in target["columns"]]
    return sa.ForeignKeyConstraint(columns, referred, **named, **actions(attributes), **timing(attributes))


def timing(attributes: Attributes) -> dict[str, Any]:
    """Return when a constraint is checked."""
    deferrable = attributes.get("deferrable")
    initially = {"initially": "DEFERRED"} if deferrable == "deferred" else {}
    return {"deferrable": True, **initially} if deferrable else {}


def unique_options(attributes: Attributes) -> dict[str, Any]:
    options = {}
    if attributes.get("include"):
        options["postgresql_include"] = attributes["include"]
    if attributes.get("nulls_not_distinct"):
        options["postgresql_nulls_not_distinct"] = True
    return options


def actions(attributes: Attributes) -> dict[str, Any]:
    """Return what a foreign key does when the row that it refers to changes, and how it treats NULL."""
    target = attributes["references"]
    deletion = target.get("on_delete")
    if columns := target.get("on_delete_columns"):
        deletion = f"{deletion} ({idents(columns)})"
    words = {"ondelete": deletion, "onupdate": target.get("on_update"), "match": target.get("match")}
    return {key: word for key, word in words.items() if word}


def add_constraint(sides: Sides, name: Name, attributes: Attributes) -> list[MigrateOperation]:
    """Add a constraint to a table that is there; one that is not validated does not look at its rows."""
    # Of the columns of INCLUDE op.create_unique_constraint knows nothing, and fails.
    said = in_words(attributes) and not attributes.get("include")
    if not said:
        return create(sides.origin(name), name)
    return [operation(sides, name, attributes), *additions(name, attributes)]


def additions(name: Name, attributes: Attributes) -> list[MigrateOperation]:
    """Say of a new constraint what cannot be said when it is created."""
    return settings(name, {}, attributes) + new_comment(name, attributes)


def operation(sides: Sides, name: Name, attributes: Attributes) -> MigrateOperation:
    """Return Alembic's operation."""
    schema, named, columns = sides.schema(name.schema), conv(name.name), attributes.get("columns") or []
    unproven = {} if attributes.get("validated", True) else {"postgresql_not_valid": True}
    if attributes["type"] == "primary key":
        return CreatePrimaryKeyOp(named, name.table, columns, schema=schema)
    if attributes["type"] == "unique":
        options = timing(attributes) | unique_options(attributes)
        return CreateUniqueConstraintOp(named, name.table, columns, schema=schema, **options)
    if attributes["type"] == "check":
        condition = sql_text(without_parentheses(attributes["expression"]))
        return CreateCheckConstraintOp(named, name.table, condition, schema=schema, **unproven)
    target = attributes["references"]
    return CreateForeignKeyOp(
        named,
        name.table,
        target["table"],
        columns,
        target["columns"],
        source_schema=schema,
        referent_schema=sides.schema(target["schema"]),
        **actions(attributes),
        **timing(attributes),
        **unproven,
    )


def drop_constraint(sides: Sides, name: Name, attributes: Attributes) -> list[MigrateOperation]:
    kind = DROPPED_AS.get(attributes["type"])
    return [DropConstraintOp(conv(name.name), name.table, type_=kind, schema=sides.schema(name.schema))]


def alters_in_place(difference: Difference) -> bool:
    """Whether a constraint can stay, although it is not the same."""
    changes, after = set(difference.changes), difference.after or {}
    free = {"comment", "options", "tablespace", "clustered", "inherited"}
    if after.get("validated"):
        free.add("validated")
    if after["type"] == "foreign key":
        # Its definition says how it is deferrable, and more than that only when something else differs.
        free |= {"deferrable", "definition"} if "deferrable" in changes else set()
    return changes <= free


def alter_constraint(difference: Difference) -> list[MigrateOperation]:
    """Change what can be changed without checking all rows again, and validate."""
    name, before, after = difference.name, difference.before or {}, difference.after or {}
    changes = difference.changes
    operations: list[MigrateOperation] = []
    if "deferrable" in changes:
        words = {None: "NOT DEFERRABLE", "immediate": "DEFERRABLE", "deferred": "DEFERRABLE INITIALLY DEFERRED"}
        operations.append(alter_table(name, f"ALTER CONSTRAINT {ident(name.name)} {words[after.get('deferrable')]}"))
    if "validated" in changes:
        operations.append(alter_table(name, f"VALIDATE CONSTRAINT {ident(name.name)}"))
    operations += settings(name, before, after)
    return operations + (comment(name, after) if "comment" in changes else [])


def settings(name: Name, before: Attributes, after: Attributes) -> list[MigrateOperation]:
    """Set what belongs to an index, one behind a constraint included."""
    index = qualified(name.schema, name.name)
    old, new = before.get("options") or {}, after.get("options") or {}
    words = []
    if changed := {key: value for key, value in new.items() if old.get(key) != value}:
        words.append(f"ALTER INDEX {index} SET ({option_list(changed)})")
    if gone := sorted(old.keys() - new.keys()):
        words.append(f"ALTER INDEX {index} RESET ({', '.join(gone)})")
    if before.get("tablespace") != after.get("tablespace"):
        words.append(f"ALTER INDEX {index} SET TABLESPACE {ident(after.get('tablespace') or 'pg_default')}")
    operations: list[MigrateOperation] = [Statement(word) for word in words]
    if bool(before.get("clustered")) != bool(after.get("clustered")):
        clustering = f"CLUSTER ON {ident(name.name)}" if after.get("clustered") else "SET WITHOUT CLUSTER"
        operations.append(alter_table(name, clustering))
    return operations
