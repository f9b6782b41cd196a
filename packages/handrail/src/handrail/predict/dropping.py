"""DROP: what goes, and what goes with it."""

from __future__ import annotations

from postgast import pg_query_pb2 as pb

from handrail.effects import Break, Broken, Effect, LockMode, Loss, Lost, Relation
from handrail.predict.state import State
from handrail.predict.syntax import Node, listed, names, resolved, user_type
from handrail.predict.types import using_type

TABLES = {pb.OBJECT_TABLE, pb.OBJECT_FOREIGN_TABLE}
VIEWS = {pb.OBJECT_VIEW, pb.OBJECT_MATVIEW}
# Objects of a table, whose own name is the last of the parts.
OF_A_TABLE = {pb.OBJECT_TRIGGER, pb.OBJECT_RULE, pb.OBJECT_POLICY}


def drop(node: Node, state: State, effect: Effect) -> Relation | None:
    """Note what a DROP of any kind does."""
    about: Relation | None = None
    for item in node.objects:
        if node.remove_type in TABLES:
            about = _table(listed(item, state), node, state, effect)
        elif node.remove_type in VIEWS:
            about = _view(listed(item, state), state, effect)
        elif node.remove_type == pb.OBJECT_INDEX:
            about = _index(listed(item, state), node, state, effect)
        elif node.remove_type == pb.OBJECT_SCHEMA:
            about = _schema(names([item])[0], node, state, effect)
        elif node.remove_type in OF_A_TABLE:
            about = _of_table(names(item.list.items), node, state, effect)
        elif node.remove_type in (pb.OBJECT_TYPE, pb.OBJECT_DOMAIN):
            about = _type(names(item.type_name.names), node, state, effect)
        elif node.remove_type == pb.OBJECT_SEQUENCE:
            about = listed(item, state)
            state.sequences.discard(about)
            effect.lock(about, LockMode.ACCESS_EXCLUSIVE)
        elif node.remove_type == pb.OBJECT_STATISTIC_EXT:
            about = state.statistics.pop(listed(item, state), None)
            if about is not None and not state.is_new(about):
                effect.lock(about, LockMode.SHARE_UPDATE_EXCLUSIVE)
        elif node.remove_type in (pb.OBJECT_FUNCTION, pb.OBJECT_PROCEDURE, pb.OBJECT_ROUTINE):
            parts = names(item.object_with_args.objname)
            about = Relation(parts[-2] if len(parts) > 1 else "", parts[-1])
            state.functions.pop(parts[-1], None)
            _triggers(parts[-1], node, state, effect)
            effect.breaks.append(Break(Broken.GONE, about))
        elif item.WhichOneof("node") == "string":  # an extension, a language, …
            about = Relation("", names([item])[0])
    return about


def _absent(relation: Relation, node: Node, state: State) -> bool:
    """Whether IF EXISTS finds nothing."""
    return node.missing_ok and state.complete and relation not in state.tables


def _table(table: Relation, node: Node, state: State, effect: Effect) -> Relation:
    if not _absent(table, node, state) and not state.is_new(table):
        effect.lock(table, LockMode.ACCESS_EXCLUSIVE)
        effect.losses.append(Loss(Lost.TABLE, table))
        effect.breaks.append(Break(Broken.GONE, table))
        for constraint in state.table(table).constraints.values():
            if constraint.references and not state.is_new(constraint.references):
                effect.lock(constraint.references, LockMode.ACCESS_EXCLUSIVE)
        parent = state.table(table).parent
        if parent:
            effect.lock(parent, LockMode.ACCESS_EXCLUSIVE)
    for other, name, _ in list(state.referring(table)):
        if node.behavior == pb.DROP_CASCADE:
            if not state.is_new(other):
                effect.lock(other, LockMode.ACCESS_EXCLUSIVE)
            del state.change(other).constraints[name]
    for partition in state.partitions(table):
        inner = Effect()
        _table(partition, node, state, inner)
        for one, mode in inner.locks.items():
            effect.lock(one, mode)
    if node.behavior == pb.DROP_CASCADE:
        for view, _ in list(state.views_of(table)):
            _view(view, state, effect)
    state.drop(table)
    return table


def _view(view: Relation, state: State, effect: Effect) -> Relation:
    if not state.is_new(view):
        effect.lock(view, LockMode.ACCESS_EXCLUSIVE)
        effect.breaks.append(Break(Broken.GONE, view))
    state.drop(view)
    return view


def _index(index: Relation, node: Node, state: State, effect: Effect) -> Relation:
    known = state.indexes.pop(index, None)
    if known is not None and not state.is_new(known.table):
        effect.lock(known.table, LockMode.SHARE_UPDATE_EXCLUSIVE if node.concurrent else LockMode.ACCESS_EXCLUSIVE)
        effect.lock(index, LockMode.ACCESS_EXCLUSIVE)
    elif known is None and not (node.missing_ok and state.complete):
        effect.lock(index, LockMode.SHARE_UPDATE_EXCLUSIVE if node.concurrent else LockMode.ACCESS_EXCLUSIVE)
    return known.table if known else index


def _schema(schema: str, node: Node, state: State, effect: Effect) -> Relation:
    inside = [table for table in state.tables if table.schema == schema]
    known = schema in state.schemas or not state.complete
    # Without CASCADE only an empty schema can be dropped.
    if node.behavior == pb.DROP_CASCADE and known and (inside or not state.complete):
        effect.losses.append(Loss(Lost.SCHEMA, Relation(schema, schema)))
        for table in inside:
            effect.lock(table, LockMode.ACCESS_EXCLUSIVE)
            effect.losses.append(Loss(Lost.TABLE, table))
    for table in inside:
        state.drop(table)
    state.schemas.discard(schema)
    return Relation("", schema)


def _of_table(parts: list[str], node: Node, state: State, effect: Effect) -> Relation:
    table = resolved(parts[-3] if len(parts) > 2 else "", parts[-2], state)
    if not state.is_new(table):
        effect.lock(table, LockMode.ACCESS_EXCLUSIVE)
    if node.remove_type == pb.OBJECT_POLICY:
        changed = state.change(table)
        changed.policies = max(0, changed.policies - 1)
    return table


def _triggers(function: str, node: Node, state: State, effect: Effect) -> None:
    """Note the triggers that go with a function."""
    if node.behavior == pb.DROP_CASCADE:
        for table, known in state.tables.items():
            if function in known.triggers.values() and not known.new:
                effect.lock(table, LockMode.ACCESS_EXCLUSIVE)


def _type(parts: list[str], node: Node, state: State, effect: Effect) -> Relation:
    if node.behavior == pb.DROP_CASCADE:
        for table, column in list(using_type(user_type(parts, state), state)):
            if not state.is_new(table):
                effect.lock(table, LockMode.ACCESS_EXCLUSIVE)
                effect.losses.append(Loss(Lost.COLUMN, table, column))
            (state.change(table).columns or {}).pop(column, None)
    for kind in (state.enums, state.domains):
        for known in list(kind):
            if known.name == parts[-1] and (len(parts) == 1 or known.schema == parts[-2]):
                del kind[known]
                return known
    return Relation(parts[-2] if len(parts) > 1 else "", parts[-1])


def drop_owned(_node: Node, _state: State, effect: Effect) -> Relation:
    everything = Relation("", "all that the role owns")
    effect.losses.append(Loss(Lost.SCHEMA, everything))
    return everything


def drop_database(node: Node, _state: State, effect: Effect) -> Relation:
    effect.losses.append(Loss(Lost.SCHEMA, Relation("", node.dbname)))
    return Relation("", node.dbname)


HANDLERS = {"drop_stmt": drop, "drop_owned_stmt": drop_owned, "dropdb_stmt": drop_database}
