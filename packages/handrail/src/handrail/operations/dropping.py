"""The steps that take away: what goes for good, and what only makes way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from handrail.catalog.objects import Attributes, Kind, Name
from handrail.operations import columns, constraints, indexes, sequences, tables, user_types
from handrail.operations.code import VIEWS, text_of
from handrail.operations.foreign_keys import dropped_before
from handrail.operations.identifiers import ident, mentions_relation
from handrail.operations.ordering import ordered_by_text, ordered_tables
from handrail.operations.statement import drop
from handrail.operations.user_types import TYPES, type_text

if TYPE_CHECKING:
    from alembic.operations.ops import MigrateOperation

    from handrail.operations.plan import Plan


def drop_code(plan: Plan) -> Iterator[MigrateOperation]:
    for kind in (Kind.POLICY, Kind.RULE, Kind.TRIGGER, Kind.STATISTICS):
        for name in plan.to_drop(kind):
            yield from drop(plan.sides.before, name)
    gone = plan.to_drop(*VIEWS) | early_functions(plan)
    for name in reversed(ordered_by_text(gone, text_of)):
        yield from drop(plan.sides.before, name)


def early_functions(plan: Plan) -> dict[Name, Attributes]:
    """Return the functions that must be dropped before a table or view whose rows they take or return."""
    rows = plan.to_drop(Kind.TABLE, *VIEWS)
    functions = plan.to_drop(Kind.FUNCTION)
    return {n: a for n, a in functions.items() if any(mentions_relation(type_text(a), row) for row in rows)}


def drop_constraints(plan: Plan) -> Iterator[MigrateOperation]:
    late = proofs(plan)
    gone = {name: attributes for name, attributes in plan.to_drop(Kind.CONSTRAINT).items() if name not in late}
    gone |= {name: plan.dropped[name] for name in dropped_before(plan)}
    for foreign in (True, False):
        for name, attributes in gone.items():
            if (attributes["type"] == "foreign key") is foreign:
                yield from constraints.drop_constraint(plan.sides, name, attributes)


def drop_proofs(plan: Plan) -> Iterator[MigrateOperation]:
    for name, attributes in proofs(plan).items():
        yield from constraints.drop_constraint(plan.sides, name, attributes)


def proofs(plan: Plan) -> dict[Name, Attributes]:
    """Return the CHECKs that must outlive SET NOT NULL, as PostgreSQL then reads no rows."""
    altered = plan.altered_columns()
    required = {name for name, before, after, _ in altered if after["not_null"] and not before["not_null"]}
    proven = {(name.owner, f"({ident(name.name)} IS NOT NULL)") for name in required}
    gone = {name: a for name, a in plan.to_drop(Kind.CONSTRAINT).items() if name not in plan.created}
    return {name: a for name, a in gone.items() if (name.owner, a.get("expression")) in proven}


def drop_indexes(plan: Plan) -> Iterator[MigrateOperation]:
    for name in plan.to_drop(Kind.INDEX):
        yield from indexes.drop_index(plan.sides, name)


def loosen_columns(plan: Plan) -> Iterator[MigrateOperation]:
    for name, before, after, converted in plan.altered_columns():
        if not after.get("inherited"):
            yield from columns.loosen(plan.sides, name, before, after, converted=converted)
    for difference in plan.to_alter(Kind.SEQUENCE):
        if "owned_by" in difference.changes and (difference.before or {}).get("owned_by"):
            yield from sequences.own_sequence(difference.name, {})


def drop_tables(plan: Plan) -> Iterator[MigrateOperation]:
    gone_columns = plan.to_drop(Kind.COLUMN)
    # In the reverse order of adding them: generated columns before those that they are made of.
    order = sorted(gone_columns.items(), key=lambda item: (not item[1].get("generated"), -item[1]["position"]))
    for name, _ in order:
        yield from columns.drop_column(plan.sides, name)
    gone = plan.to_drop(Kind.TABLE)
    for name in reversed(ordered_tables(plan.sides, plan.sides.before, gone)[0]):
        yield from tables.drop_table(plan.sides, name, gone[name])


def drop_rebuilt_functions(plan: Plan) -> Iterator[MigrateOperation]:
    early = early_functions(plan)
    for name in plan.to_drop(Kind.FUNCTION):
        if name in plan.created and name not in early:
            yield from drop(plan.sides.before, name)


def drop_sequences(plan: Plan) -> Iterator[MigrateOperation]:
    for name, attributes in plan.to_drop(Kind.SEQUENCE).items():
        owner = attributes.get("owned_by")
        column = Name(Kind.COLUMN, *owner) if owner else None
        if column is None or not (column in plan.dropped or column.owner in plan.dropped):
            yield from sequences.drop_sequence(name)


def drop_types(plan: Plan) -> Iterator[MigrateOperation]:
    """Drop what tables no longer use, and types that have given their name to another."""
    early = early_functions(plan)
    done = early.keys() | plan.created.keys() | plan.in_the_way
    gone = {n: a for n, a in plan.to_drop(Kind.FUNCTION, *TYPES).items() if n not in done}
    for name in reversed(ordered_by_text(gone, type_text)):
        yield from drop(plan.sides.before, name)
    old = {name: plan.sides.before.objects[name] for name in plan.in_the_way}
    for name in reversed(ordered_by_text(old, type_text)):
        yield from user_types.drop_aside(name)
    for kind in (Kind.COLLATION, Kind.EXTENSION, Kind.SCHEMA):
        for name in plan.to_drop(kind):
            yield from drop(plan.sides.before, name)
