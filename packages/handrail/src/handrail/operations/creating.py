"""The steps that create and alter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from handrail.catalog.objects import Attributes, Kind, Name
from handrail.connection import literal
from handrail.operations import columns, constraints, indexes, sequences, tables, user_types
from handrail.operations.code import CODE, ON_TABLES, VIEWS, alter_code, replace_function, text_of
from handrail.operations.comments import comment, new_comment
from handrail.operations.foreign_keys import added_afterwards
from handrail.operations.identifiers import mentions_relation, relation
from handrail.operations.ordering import ordered_by_text, ordered_tables
from handrail.operations.statement import create
from handrail.operations.user_types import TYPES, flat, type_text

if TYPE_CHECKING:
    from alembic.operations.ops import MigrateOperation

    from handrail.operations.plan import Plan


def add_enum_values(plan: Plan) -> Iterator[MigrateOperation]:
    for difference in plan.to_alter(Kind.ENUM):
        if difference.name not in plan.upheaval.types:
            values = [f"{literal(value)}::{relation(difference.name)}" for value in user_types.new_values(difference)]
            yield from user_types.add_values(difference, outside_transaction=is_used(values, plan))


def is_used(values: list[str], plan: Plan) -> bool:
    """Whether anything that is created or altered speaks of one of these values."""
    new = [*plan.created.values(), *(difference.after for difference in plan.changed.values())]
    return any(value in flat(dict(attributes or {})) for value in values for attributes in new)


def create_types(plan: Plan) -> Iterator[MigrateOperation]:
    """Create types, and the functions that tables, columns and domains use."""
    for name in sorted(plan.in_the_way):
        yield from user_types.set_aside(name)
    rebuilt = {name: plan.sides.after.objects[name] for name in plan.upheaval.types}
    for kind in (Kind.SCHEMA, Kind.EXTENSION, Kind.COLLATION):
        for name in plan.to_create(kind):
            yield from create(plan.sides.origin(name), name)
    early = {name: plan.created[name] for name in used_functions(plan)}
    for name in ordered_by_text(plan.to_create(*TYPES) | rebuilt | early, type_text):
        yield from create(plan.sides.origin(name), name)
    for difference in plan.to_alter(*TYPES, Kind.SCHEMA):
        if difference.name.kind is Kind.SCHEMA:
            yield from comment(difference.name, difference.after or {})
        elif difference.name not in plan.upheaval.types:
            yield from user_types.alter_type(difference)


def used_functions(plan: Plan) -> set[Name]:
    """Return the new functions without which a table, column, constraint, index or domain cannot be created."""
    functions = plan.to_create(Kind.FUNCTION)
    users = (Kind.COLUMN, Kind.CONSTRAINT, Kind.INDEX, Kind.DOMAIN, Kind.RANGE)
    texts = [flat(dict(attributes)) for name, attributes in plan.created.items() if functions and name.kind in users]
    texts += [flat(dict(d.after or {})) for d in plan.to_alter(*users) if functions]
    return {name for name in functions if any(mentions_relation(text, name) for text in texts)}


def create_sequences(plan: Plan) -> Iterator[MigrateOperation]:
    for name, attributes in plan.to_create(Kind.SEQUENCE).items():
        if name not in plan.serials.values():
            yield from sequences.create_sequence(name, attributes)
            yield from new_comment(name, attributes)
    for difference in plan.to_alter(Kind.SEQUENCE):
        yield from sequences.alter_sequence(difference)
        if "comment" in difference.changes:
            yield from comment(difference.name, difference.after or {})


def create_tables(plan: Plan) -> Iterator[MigrateOperation]:
    new = plan.to_create(Kind.TABLE)
    order, _ = ordered_tables(plan.sides, plan.sides.after, new)
    postponed = added_afterwards(plan)
    for name in order:
        serials = {column for column in plan.serials if column.owner == name}
        yield from tables.create_table(plan.sides, name, new[name], serials, postponed)


def change_columns(plan: Plan) -> Iterator[MigrateOperation]:
    new = plan.to_create(Kind.COLUMN)
    in_order = sorted(new, key=lambda name: (name.schema, name.table, new[name]["position"]))
    for name in in_order:
        if not new[name].get("generated"):
            yield from columns.add_column(plan.sides, name, new[name])
    for name, before, after, converted in plan.altered_columns():
        if after.get("inherited") and before.get("inherited"):
            yield from columns.inherited_changes(plan.sides, name, before, after)
        else:
            yield from columns.alter_column(plan.sides, name, before, after, converted=converted)
    # These may be made of the others.
    for name in in_order:
        if new[name].get("generated"):
            yield from columns.add_column(plan.sides, name, new[name])


def own_sequences(plan: Plan) -> Iterator[MigrateOperation]:
    for name, attributes in plan.to_create(Kind.SEQUENCE).items():
        if attributes.get("owned_by") and name not in plan.serials.values():
            yield from sequences.own_sequence(name, attributes)
        elif name in plan.serials.values():
            yield from new_comment(name, attributes)
    for difference in plan.to_alter(Kind.SEQUENCE):
        if "owned_by" in difference.changes and (difference.after or {}).get("owned_by"):
            yield from sequences.own_sequence(difference.name, difference.after or {})


def alter_tables(plan: Plan) -> Iterator[MigrateOperation]:
    for difference in plan.to_alter(Kind.TABLE):
        yield from tables.alter_table(plan.sides, difference)


def add_constraints(plan: Plan) -> Iterator[MigrateOperation]:
    """Add constraints and indexes; foreign keys last, because they refer to the others."""
    new = plan.to_create(Kind.CONSTRAINT)
    for name, attributes in new.items():
        if attributes["type"] != "foreign key":
            yield from constraints.add_constraint(plan.sides, name, attributes)
    views = {(name.schema, name.name) for name in plan.created if name.kind in VIEWS}
    for name, attributes in index_parts(plan).items():
        if (name.schema, name.table) not in views:
            yield from indexes.create_index(plan.sides, name, attributes)
    for name, attributes in ({n: plan.created[n] for n in sorted(added_afterwards(plan))} | new).items():
        if attributes["type"] == "foreign key":
            yield from constraints.add_constraint(plan.sides, name, attributes)
    for difference in plan.to_alter(Kind.INDEX):
        yield from indexes.alter_index(difference)
    for difference in plan.to_alter(Kind.CONSTRAINT):
        yield from constraints.alter_constraint(difference)


def index_parts(plan: Plan) -> dict[Name, Attributes]:
    """Return the indexes to be created, those of new tables included."""
    return {n: a for n, a in plan.created.items() if n.kind is Kind.INDEX and not a.get("inherited")}


def create_code(plan: Plan) -> Iterator[MigrateOperation]:
    for difference in plan.to_alter(Kind.FUNCTION):
        yield from replace_function(difference)
    early = used_functions(plan)
    late = {n: a for n, a in plan.to_create(Kind.FUNCTION, *VIEWS).items() if n not in early}
    for name in ordered_by_text(late, text_of):
        yield from create(plan.sides.origin(name), name)
    views = {(name.schema, name.name) for name in late}
    for name, attributes in index_parts(plan).items():
        if (name.schema, name.table) in views:
            yield from indexes.create_index(plan.sides, name, attributes)
    for kind in (Kind.STATISTICS, *ON_TABLES):
        for name in (n for n in plan.created if n.kind is kind and not plan.created[n].get("inherited")):
            yield from create(plan.sides.origin(name), name)
    for difference in plan.to_alter(*CODE):
        yield from alter_code(difference)


def finish_tables(plan: Plan) -> Iterator[MigrateOperation]:
    for name, attributes in plan.to_create(Kind.TABLE).items():
        if tables.in_words(plan.sides, name):
            yield from tables.finish_table(name, {}, attributes)
    for difference in plan.to_alter(Kind.TABLE):
        yield from tables.finish_table(difference.name, difference.before or {}, difference.after or {})
