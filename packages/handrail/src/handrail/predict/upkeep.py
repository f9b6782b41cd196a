"""REINDEX, CLUSTER, VACUUM, REFRESH, LOCK, COMMENT and GRANT."""

from __future__ import annotations

from postgast import pg_query_pb2 as pb

from handrail.effects import Effect, LockMode, Relation
from handrail.predict.state import State
from handrail.predict.syntax import Node, listed, options, relation, resolved


def reindex(node: Node, state: State, effect: Effect) -> Relation | None:
    concurrent = is_concurrent(node)
    if not node.HasField("relation"):
        whole = Relation("", node.name)
        inside = [t for t in state.tables if node.kind != pb.REINDEX_OBJECT_SCHEMA or t.schema == node.name]
        for table in inside:
            effect.lock(table, LockMode.SHARE_UPDATE_EXCLUSIVE if concurrent else LockMode.SHARE)
            effect.scans.add(table)
            effect.rewrites |= {name for name, _ in state.indexes_of(table)}
        return whole
    named = relation(node.relation, state)
    index = state.indexes.get(named)
    table = index.table if index else named
    if state.is_new(table):
        return table
    effect.lock(table, LockMode.SHARE_UPDATE_EXCLUSIVE if concurrent else LockMode.SHARE)
    effect.scans.add(table)
    effect.rewrites |= {named} if index else {name for name, _ in state.indexes_of(table)}
    if index and not concurrent:
        effect.lock(named, LockMode.ACCESS_EXCLUSIVE)
    return table


def is_concurrent(node: Node) -> bool:
    """Whether REINDEX is said to be CONCURRENTLY."""
    return "concurrently" in options(node.params)


def cluster(node: Node, state: State, effect: Effect) -> Relation | None:
    if not node.HasField("relation"):
        effect.unknown.append("CLUSTER without a table writes all clustered tables anew")
        return None
    return _rewritten(relation(node.relation, state), state, effect)


def vacuum(node: Node, state: State, effect: Effect) -> Relation | None:
    full = "full" in options(node.options)
    about: Relation | None = None
    for wrapped in node.rels:
        about = relation(wrapped.vacuum_relation.relation, state)
        if full:
            _rewritten(about, state, effect)
        else:
            effect.lock(about, LockMode.SHARE_UPDATE_EXCLUSIVE)
    if full and about is None:
        for table in list(state.tables):
            about = _rewritten(table, state, effect)
    return about


def _rewritten(table: Relation, state: State, effect: Effect) -> Relation:
    if not state.is_new(table):
        effect.lock(table, LockMode.ACCESS_EXCLUSIVE)
        effect.scans.add(table)
        effect.rewrites.add(table)
        effect.rewrites |= {name for name, _ in state.indexes_of(table)}
    return table


def refresh(node: Node, state: State, effect: Effect) -> Relation:
    view = relation(node.relation, state)
    if not state.is_new(view):
        effect.lock(view, LockMode.EXCLUSIVE if node.concurrent else LockMode.ACCESS_EXCLUSIVE)
        if node.concurrent:
            effect.scans.add(view)
        else:
            effect.rewrites.add(view)
        for source in state.sources_of(view):
            effect.lock(source, LockMode.ACCESS_SHARE)
            effect.scans.add(source)
    return view


def lock_table(node: Node, state: State, effect: Effect) -> Relation | None:
    about: Relation | None = None
    for wrapped in node.relations:
        about = relation(wrapped.range_var, state)
        effect.lock(about, LockMode(node.mode or LockMode.ACCESS_EXCLUSIVE))
    return about


def comment(node: Node, state: State, effect: Effect) -> Relation | None:
    if node.objtype in (pb.OBJECT_TABLE, pb.OBJECT_VIEW, pb.OBJECT_MATVIEW):
        table = listed(node.object, state)
    elif node.objtype == pb.OBJECT_COLUMN:
        *owner, _ = [item.string.sval for item in node.object.list.items]
        table = resolved(owner[-2] if len(owner) > 1 else "", owner[-1], state)
    else:
        return None
    if not state.is_new(table):
        effect.lock(table, LockMode.SHARE_UPDATE_EXCLUSIVE)
    return table


def grant(node: Node, state: State, effect: Effect) -> Relation | None:
    """GRANT and REVOKE change the catalog only."""
    about: Relation | None = None
    for wrapped in node.objects:
        if wrapped.WhichOneof("node") == "range_var":
            about = relation(wrapped.range_var, state)
            if state.version >= 180000 and about in state.tables:
                effect.lock(about, LockMode.ACCESS_SHARE)
    return about


def alter_sequence(node: Node, state: State, effect: Effect) -> Relation:
    sequence = relation(node.sequence, state)
    effect.lock(sequence, LockMode.SHARE_ROW_EXCLUSIVE)
    for wrapped in node.options:
        if wrapped.def_elem.defname == "owned_by":
            *owner, _ = [item.string.sval for item in wrapped.def_elem.arg.list.items]
            if owner:
                table = resolved(owner[-2] if len(owner) > 1 else "", owner[-1], state)
                effect.lock(table, LockMode.ACCESS_SHARE)
    return sequence


HANDLERS = {
    "reindex_stmt": reindex,
    "cluster_stmt": cluster,
    "vacuum_stmt": vacuum,
    "refresh_mat_view_stmt": refresh,
    "lock_stmt": lock_table,
    "comment_stmt": comment,
    "grant_stmt": grant,
    "alter_seq_stmt": alter_sequence,
}
