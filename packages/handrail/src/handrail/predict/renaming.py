"""RENAME, SET SCHEMA and OWNER: code that is still running looks in the old place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from postgast import pg_query_pb2 as pb

from handrail.effects import Break, Broken, Effect, LockMode, Relation
from handrail.predict.state import State
from handrail.predict.syntax import Node, names, relation, user_type

RELATIONS = {pb.OBJECT_TABLE, pb.OBJECT_VIEW, pb.OBJECT_MATVIEW, pb.OBJECT_FOREIGN_TABLE}


def rename(node: Node, state: State, effect: Effect) -> Relation | None:
    """Note what a RENAME of any kind does."""
    if node.rename_type == pb.OBJECT_COLUMN:
        return _column(node, state, effect)
    if node.rename_type in RELATIONS:
        old = relation(node.relation, state)
        new = Relation(old.schema, node.newname)
        _move(old, new, state, effect)
        return old
    if node.rename_type == pb.OBJECT_TABCONSTRAINT:
        return _constraint(node, state, effect)
    if node.rename_type == pb.OBJECT_INDEX:
        old = relation(node.relation, state)
        known = state.indexes.pop(old, None)
        if known is not None:
            state.indexes[Relation(old.schema, node.newname)] = known
            if not state.is_new(known.table):
                effect.lock(old, LockMode.SHARE_UPDATE_EXCLUSIVE)
        return known.table if known else old
    if node.rename_type == pb.OBJECT_SCHEMA:
        effect.breaks.append(Break(Broken.RENAMED, Relation("", node.subname)))
        for table in [table for table in state.tables if table.schema == node.subname]:
            state.rename(table, Relation(node.newname, table.name))
        return Relation("", node.subname)
    return _other(node, state, effect)


def _move(old: Relation, new: Relation, state: State, effect: Effect) -> None:
    if not state.is_new(old):
        effect.lock(old, LockMode.ACCESS_EXCLUSIVE)
        effect.breaks.append(Break(Broken.RENAMED, old))
    state.rename(old, new)


def _column(node: Node, state: State, effect: Effect) -> Relation:
    table = relation(node.relation, state)
    old, new = node.subname, node.newname
    known = state.table(table).column(old)
    if not state.is_new(table):
        effect.lock(table, LockMode.ACCESS_EXCLUSIVE)
        if known is None or not known.new:
            effect.breaks.append(Break(Broken.RENAMED, table, old))
    changed = state.change(table)
    if changed.columns is not None:
        changed.columns = {new if name == old else name: column for name, column in changed.columns.items()}
    for constraint in changed.constraints.values():
        constraint.columns = tuple(new if name == old else name for name in constraint.columns)
        constraint.not_null = new if constraint.not_null == old else constraint.not_null
    for name, index in list(state.indexes_of(table)):
        state.indexes[name] = replace(index, columns=tuple(new if c == old else c for c in index.columns))
    return table


def _constraint(node: Node, state: State, effect: Effect) -> Relation:
    table = relation(node.relation, state)
    if not state.is_new(table):
        effect.lock(table, LockMode.ACCESS_EXCLUSIVE)
    changed = state.change(table).constraints
    if node.subname in changed:
        changed[node.newname] = changed.pop(node.subname)
    index = state.indexes.pop(Relation(table.schema, node.subname), None)
    if index is not None:
        state.indexes[Relation(table.schema, node.newname)] = index
    return table


def _other(node: Node, state: State, effect: Effect) -> Relation | None:
    if node.rename_type in (pb.OBJECT_TYPE, pb.OBJECT_DOMAIN):
        parts = names(node.object.list.items)
        known = user_type(parts, state)
        if known not in state.created_types:
            effect.breaks.append(Break(Broken.RENAMED, known))
        for kind in (state.enums, state.domains):
            _rename_type(kind, known, node.newname, state)
        return known
    if node.rename_type in (pb.OBJECT_FUNCTION, pb.OBJECT_PROCEDURE, pb.OBJECT_ROUTINE):
        parts = names(node.object.object_with_args.objname)
        about = Relation(parts[-2] if len(parts) > 1 else "", parts[-1])
        effect.breaks.append(Break(Broken.RENAMED, about))
        return about
    if node.rename_type in (pb.OBJECT_TRIGGER, pb.OBJECT_RULE, pb.OBJECT_POLICY):
        table = relation(node.relation, state)
        if not state.is_new(table):
            effect.lock(table, LockMode.ACCESS_EXCLUSIVE)
        return table
    if node.rename_type == pb.OBJECT_SEQUENCE:
        return relation(node.relation, state)
    return None


def _rename_type(kind: dict[Relation, Any], old: Relation, new: str, state: State) -> None:
    if old in kind:
        kind[Relation(old.schema, new)] = kind.pop(old)
        _retype(old, new, state)


def _retype(old: Relation, new: str, state: State) -> None:
    for table in list(state.tables):
        for name, column in (state.table(table).columns or {}).items():
            if column.type == str(old):
                state.change_column(table, name, type=str(Relation(old.schema, new)))


def set_schema(node: Node, state: State, effect: Effect) -> Relation | None:
    if node.object_type not in RELATIONS:
        return None
    old = relation(node.relation, state)
    _move(old, Relation(node.newschema, old.name), state, effect)
    return old


def change_owner(node: Node, state: State, effect: Effect) -> Relation | None:
    if node.HasField("relation"):
        table = relation(node.relation, state)
        effect.lock(table, LockMode.ACCESS_EXCLUSIVE)
        return table
    return None


HANDLERS = {"rename_stmt": rename, "alter_object_schema_stmt": set_schema, "alter_owner_stmt": change_owner}
