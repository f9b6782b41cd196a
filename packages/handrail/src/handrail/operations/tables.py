"""Tables: created with their columns and constraints, dropped, altered."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic.operations.ops import CreateTableCommentOp, CreateTableOp, DropTableCommentOp, DropTableOp

from handrail.catalog.ddl import comes_with_its_table
from handrail.catalog.objects import Attributes, Kind, Name
from handrail.errors import MigrationError
from handrail.operations.columns import column, option_list, settings
from handrail.operations.comments import comment
from handrail.operations.constraints import add_constraint, additions, inline
from handrail.operations.identifiers import ident, qualified, relation
from handrail.operations.statement import Statement, create

if TYPE_CHECKING:
    from alembic.operations.ops import MigrateOperation

    from handrail.catalog.difference import Difference
    from handrail.operations.sides import Sides

# Nothing turns the one into the other: the rows have to move to a new table.
FIXED = {"type": "type", "partition_by": "partition key", "of_type": "row type", "server": "foreign server"}


def create_table(
    sides: Sides, name: Name, attributes: Attributes, serials: Collection[Name], postponed: Collection[Name]
) -> list[MigrateOperation]:
    """Create a table with all its columns, and all constraints that can stand inside.

    Args:
        sides: Where it is new.
        name: The table's.
        attributes: The table's.
        serials: Columns whose sequence is created with them.
        postponed: Foreign keys to tables that are not there yet.
    """
    columns = own(sides.parts(sides.after, name, Kind.COLUMN))
    constraints = own(sides.parts(sides.after, name, Kind.CONSTRAINT))
    new = [column(sides, key, value, serial=key in serials) for key, value in columns.items()]
    if not in_words(sides, name):
        return create(sides.after, name) + [
            operation
            for key, value in constraints.items()
            if value["type"] != "foreign key" and not comes_with_its_table(sides.after, key)
            for operation in add_constraint(sides, key, value)
        ]
    operations: list[MigrateOperation] = []
    found = {key: inline(sides, key, value) for key, value in constraints.items() if key not in postponed}
    inside = {key: constraint for key, constraint in found.items() if constraint is not None}
    items = [*new, *inside.values()]
    operations.append(create_in_words(sides, name, attributes, items, {key.name for key in serials}))
    for key, value in constraints.items():
        if key in inside:
            operations += additions(key, value)
        elif value["type"] != "foreign key":
            operations += add_constraint(sides, key, value)
    for key, value in columns.items():
        operations += settings(key, {}, value)
    return operations + toast({}, attributes, name)


def in_words(sides: Sides, name: Name) -> bool:
    """Whether SQLAlchemy has words for a new table and all its columns."""
    attributes = sides.after.objects[name]
    special = ("partition_of", "inherits", "of_type")
    if attributes.get("type") == "foreign" or any(attributes.get(key) for key in special):
        return False
    columns = sides.parts(sides.after, name, Kind.COLUMN)
    # For an empty table Alembic writes a comma and nothing before it.
    return bool(columns) and all(sides.type_of(key, value, sides.after) is not None for key, value in columns.items())


def holds(sides: Sides, name: Name, constraint: Attributes) -> bool:
    """Whether a constraint of a new table can stand inside it."""
    return in_words(sides, name.owner) and inline(sides, name, constraint) is not None


def is_column(item: Any) -> bool:
    return isinstance(item, sa.Column)


def own(parts: dict[Name, Attributes]) -> dict[Name, Attributes]:
    """Return what does not come from a parent."""
    return {name: attributes for name, attributes in parts.items() if not attributes.get("inherited")}


def create_in_words(
    sides: Sides, name: Name, attributes: Attributes, items: list[Any], serials: Collection[str]
) -> CreateTableOp:
    """Return Alembic's operation."""
    options: dict[str, Any] = {}
    words = {"partition_by": "partition_by", "access_method": "using", "tablespace": "tablespace", "options": "with"}
    for key, word in words.items():
        if attributes.get(key):
            options[f"postgresql_{word}"] = attributes[key]
    if attributes.get("unlogged"):
        options["prefixes"] = ["UNLOGGED"]
    if attributes.get("comment") is not None:
        options["comment"] = attributes["comment"]
    operation = CreateTableOp(name.name, items, schema=sides.schema(name.schema), **options)
    # SQLAlchemy would make a lone integer key SERIAL, and no part of a longer one.
    chosen = operation.to_table()._autoincrement_column  # noqa: SLF001
    for item in filter(is_column, items):
        if item.identity is None and (item.name in serials) != (chosen is not None and item.name == chosen.name):
            item.autoincrement = item.name in serials
    return operation


def drop_table(sides: Sides, name: Name, attributes: Attributes) -> list[MigrateOperation]:
    if attributes.get("type") == "foreign":
        return [Statement(f"DROP FOREIGN TABLE {relation(name)}")]
    return [DropTableOp(name.name, schema=sides.schema(name.schema))]


def alter_table(sides: Sides, difference: Difference) -> list[MigrateOperation]:
    """Change what belongs to the table itself, except what needs its indexes.

    Raises:
        MigrationError: It would have to become another kind of table.
    """
    name, before, after = difference.name, difference.before or {}, difference.after or {}
    refuse_another_table(difference)
    actions = storage_actions(before, after)
    operations: list[MigrateOperation] = [alter(name, action) for action in actions]
    operations += family(name, before, after) + toast(before, after, name)
    if before.get("comment") != after.get("comment"):
        operations += table_comment(sides, name, before, after)
    return operations


def refuse_another_table(difference: Difference) -> None:
    changed = [word for key, word in FIXED.items() if key in difference.changes]
    if changed:
        name = relation(difference.name)
        raise MigrationError(
            f"the {' and the '.join(changed)} of {name} cannot change: PostgreSQL fixes it when a table is created. "
            "Give the model another table name, let autogenerate create that table, and copy the rows of "
            f"{name} to it in a revision of your own"
        )


def table_comment(sides: Sides, name: Name, before: Attributes, after: Attributes) -> list[MigrateOperation]:
    schema, existing = sides.schema(name.schema), before.get("comment")
    # Alembic pastes the names between single quotes.
    if after.get("type") == "foreign" or {"'", "\\"} & set(name.schema + name.name):
        return comment(name, after)
    if after.get("comment") is None:
        return [DropTableCommentOp(name.name, schema=schema, existing_comment=existing)]
    return [CreateTableCommentOp(name.name, after["comment"], schema=schema, existing_comment=existing)]


def storage_actions(before: Attributes, after: Attributes) -> list[str]:
    """Return how the way changes in which rows are kept."""
    actions = []
    if bool(before.get("unlogged")) != bool(after.get("unlogged")):
        actions.append("SET UNLOGGED" if after.get("unlogged") else "SET LOGGED")
    if before.get("access_method") != after.get("access_method"):
        actions.append(f"SET ACCESS METHOD {ident(after.get('access_method') or 'heap')}")
    if before.get("tablespace") != after.get("tablespace"):
        actions.append(f"SET TABLESPACE {ident(after.get('tablespace') or 'pg_default')}")
    return actions + option_actions(before.get("options"), after.get("options"))


def option_actions(before: dict[str, str] | None, after: dict[str, str] | None, prefix: str = "") -> list[str]:
    """Return how storage parameters change."""
    old, new = before or {}, after or {}
    changed = {prefix + key: value for key, value in new.items() if old.get(key) != value}
    gone = [prefix + key for key in sorted(old.keys() - new.keys())]
    actions = [f"SET ({option_list(changed)})"] if changed else []
    return actions + ([f"RESET ({', '.join(gone)})"] if gone else [])


def toast(before: Attributes, after: Attributes, name: Name) -> list[MigrateOperation]:
    """Change the storage parameters of the TOAST table."""
    actions = option_actions(before.get("toast_options"), after.get("toast_options"), prefix="toast.")
    return [alter(name, action) for action in actions]


def family(name: Name, before: Attributes, after: Attributes) -> list[MigrateOperation]:
    """Change the parents of a table: what it inherits from, and what it is a partition of."""
    old, new = before.get("inherits") or [], after.get("inherits") or []
    operations: list[MigrateOperation] = [
        alter(name, f"NO INHERIT {qualified(*parent)}") for parent in old if parent not in new
    ]
    operations += [alter(name, f"INHERIT {qualified(*parent)}") for parent in new if parent not in old]
    place_before = before.get("partition_of"), before.get("bound")
    place = after.get("partition_of"), after.get("bound")
    if place_before != place and place_before[0]:
        words = f"ALTER TABLE {qualified(*place_before[0])} DETACH PARTITION {relation(name)}"
        operations.append(Statement(words))
    if place_before != place and place[0]:
        words = f"ALTER TABLE {qualified(*place[0])} ATTACH PARTITION {relation(name)} {place[1]}"
        operations.append(Statement(words))
    return operations


def finish_table(name: Name, before: Attributes, after: Attributes) -> list[MigrateOperation]:
    """Set what needs the table's indexes, and row level security."""
    actions = []
    if before.get("replica_identity") != after.get("replica_identity"):
        actions.append(f"REPLICA IDENTITY {replica_identity(after.get('replica_identity'))}")
    if bool(before.get("row_security")) != bool(after.get("row_security")):
        actions.append(f"{'ENABLE' if after.get('row_security') else 'DISABLE'} ROW LEVEL SECURITY")
    if bool(before.get("force_row_security")) != bool(after.get("force_row_security")):
        actions.append(f"{'FORCE' if after.get('force_row_security') else 'NO FORCE'} ROW LEVEL SECURITY")
    return [alter(name, action) for action in actions]


def replica_identity(chosen: str | dict[str, str] | None) -> str:
    if isinstance(chosen, dict):
        return f"USING INDEX {ident(chosen['index'])}"
    return (chosen or "default").upper()


def alter(name: Name, action: str) -> Statement:
    return Statement(f"ALTER TABLE {relation(name)} {action}")
