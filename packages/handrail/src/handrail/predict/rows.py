"""INSERT, UPDATE, DELETE, TRUNCATE and the like: which rows they may change."""

from __future__ import annotations

from postgast import pg_query_pb2 as pb

from handrail.effects import Effect, LockMode, Loss, Lost, Relation
from handrail.predict.creating import read
from handrail.predict.state import State
from handrail.predict.syntax import Node, column_names, names, nodes, relation


def _written(node: Node, state: State, effect: Effect) -> Relation:
    table = relation(node.relation, state)
    read(node, state, effect)
    for one in (table, *state.partitions(table)):
        if not state.is_new(one):
            effect.lock(one, LockMode.ROW_EXCLUSIVE)
    for kind in (pb.DeleteStmt, pb.UpdateStmt, pb.InsertStmt):
        for inner in nodes(node, kind):
            other = relation(inner.relation, state)
            if inner is not node and not state.is_new(other):
                effect.lock(other, LockMode.ROW_EXCLUSIVE)
                effect.losses += [Loss(Lost.ROWS, other)] if kind is pb.DeleteStmt else []
    return table


def insert(node: Node, state: State, effect: Effect) -> Relation:
    """INSERT: nothing is lost, but for what ON CONFLICT DO UPDATE writes over."""
    table = _written(node, state, effect)
    if not state.is_new(table):
        targets = node.on_conflict_clause.target_list
        effect.losses += [Loss(Lost.VALUES, table, target.res_target.name) for target in targets]
    return table


def merge(node: Node, state: State, effect: Effect) -> Relation:
    table = _written(node, state, effect)
    for wrapped in node.merge_when_clauses:
        clause = wrapped.merge_when_clause
        if clause.command_type == pb.CMD_UPDATE:
            effect.losses += [Loss(Lost.VALUES, table, target.res_target.name) for target in clause.target_list]
        elif clause.command_type == pb.CMD_DELETE:
            effect.losses.append(Loss(Lost.ROWS, table))
    return table


def update(node: Node, state: State, effect: Effect) -> Relation:
    """UPDATE: values change, except those that were added since the batch began."""
    table = _written(node, state, effect)
    if state.is_new(table):
        return table
    for target in node.target_list:
        column = state.table(table).column(target.res_target.name)
        if column is None or not column.new:
            effect.losses.append(Loss(Lost.VALUES, table, target.res_target.name))
    if not is_limited(node):
        effect.scans.add(table)
    return table


def delete(node: Node, state: State, effect: Effect) -> Relation:
    table = _written(node, state, effect)
    if not state.is_new(table):
        effect.losses.append(Loss(Lost.ROWS, table))
        if not is_limited(node):
            effect.scans.add(table)
    return table


def is_limited(node: Node) -> bool:
    """Whether a statement names some rows by a value or a number of them, rather than all that are alike.

    Conditions that join tables, ask for NULL or true, or for all that is older, mean whatever is there.
    """
    return not is_unconditional(node) and _limits(node.where_clause)


def _limits(condition: Node) -> bool:
    kind = condition.WhichOneof("node")
    if kind == "bool_expr" and condition.bool_expr.boolop != pb.NOT_EXPR:
        inner = list(condition.bool_expr.args)
        if condition.bool_expr.boolop == pb.OR_EXPR:
            return all(_limits(one) for one in inner)
        return any(_limits(one) for one in inner) or _are_range(inner)
    if kind == "a_expr" and _names_values(condition.a_expr):
        listed = condition.a_expr.kind == pb.AEXPR_IN  # of an empty list SQLAlchemy makes IN (NULL)
        return listed or any(map(_is_value, nodes(condition, pb.A_Const))) or _has(condition, *VALUES)
    return _has(condition, pb.SubLink)


VALUES = (pb.ParamRef, pb.SubLink, pb.SQLValueFunction)
EQUAL = (pb.AEXPR_OP, pb.AEXPR_IN, pb.AEXPR_OP_ANY, pb.AEXPR_NOT_DISTINCT)


def _names_values(expression: Node) -> bool:
    """Whether an expression compares with `=`, IN or BETWEEN."""
    equal = expression.kind in EQUAL and names(expression.name) == ["="]
    return equal or expression.kind in (pb.AEXPR_BETWEEN, pb.AEXPR_BETWEEN_SYM)


def _is_value(constant: Node) -> bool:
    return not constant.isnull and not constant.HasField("boolval")


def _has(tree: Node, *kinds: type) -> bool:
    return any(True for kind in kinds for _ in nodes(tree, kind))


def _are_range(conditions: list[Node]) -> bool:
    """Whether conditions that hold together say from where to where: `id > 0 AND id <= 5000`."""
    signs = [
        (sign[0], tuple(column_names(condition)))
        for condition in conditions
        if condition.WhichOneof("node") == "a_expr"
        and (sign := next(iter(names(condition.a_expr.name)), "")) in ("<", "<=", ">", ">=")
        and _has(condition, pb.A_Const, *VALUES)
    ]
    return any(("<", columns) in signs and (">", columns) in signs for _, columns in signs)


def is_unconditional(node: Node) -> bool:
    """Whether a statement means all rows: it has no condition, or one that speaks of no column."""
    if not node.HasField("where_clause"):
        return True
    kinds = (pb.ColumnRef, pb.SubLink, pb.CurrentOfExpr)
    return not any(True for kind in kinds for _ in nodes(node.where_clause, kind))


def truncate(node: Node, state: State, effect: Effect) -> Relation | None:
    about: Relation | None = None
    for wrapped in node.relations:
        about = relation(wrapped.range_var, state)
        if state.is_new(about):
            continue
        for one in (about, *state.partitions(about)):
            effect.lock(one, LockMode.ACCESS_EXCLUSIVE)
        effect.losses.append(Loss(Lost.ROWS, about))
        effect.rewrites.add(about)
        effect.rewrites |= {name for name, _ in state.indexes_of(about)}
        if node.behavior == pb.DROP_CASCADE:
            for other, _, _ in state.referring(about):
                effect.lock(other, LockMode.ACCESS_EXCLUSIVE)
                effect.losses.append(Loss(Lost.ROWS, other))
                effect.rewrites.add(other)
    return about


def select(node: Node, state: State, effect: Effect) -> Relation | None:
    read(node, state, effect)
    if node.HasField("into_clause"):
        created = Relation(node.into_clause.rel.schemaname, node.into_clause.rel.relname)
        effect.created.add(created)
    if node.locking_clause:
        for table in list(effect.locks):
            effect.lock(table, LockMode.ROW_SHARE)
    return None


def copy(node: Node, state: State, effect: Effect) -> Relation | None:
    if not node.HasField("relation"):
        return None
    table = relation(node.relation, state)
    if not state.is_new(table):
        effect.lock(table, LockMode.ROW_EXCLUSIVE if node.is_from else LockMode.ACCESS_SHARE)
    return table


HANDLERS = {
    "insert_stmt": insert,
    "update_stmt": update,
    "delete_stmt": delete,
    "merge_stmt": merge,
    "truncate_stmt": truncate,
    "select_stmt": select,
    "copy_stmt": copy,
}
