"""CREATE: tables, indexes, views and sequences."""

from __future__ import annotations

from postgast import pg_query_pb2 as pb

from handrail.effects import Demand, Effect, LockMode, Relation, Wanted
from handrail.predict.constraints import KINDS, add_constraint, columns_of
from handrail.predict.state import DEFAULT_SCHEMA, Column, Index, State, Table
from handrail.predict.syntax import Node, is_serial, names, nodes, relation, type_name

FILLED = {pb.CONSTR_DEFAULT, pb.CONSTR_IDENTITY, pb.CONSTR_GENERATED}


def placed(range_var: Node) -> Relation:
    """Return the name of a table that is created."""
    return Relation(range_var.schemaname or DEFAULT_SCHEMA, range_var.relname)


def create_table(node: Node, state: State, effect: Effect) -> Relation:
    table = placed(node.relation)
    if node.if_not_exists and table in state.tables:
        return table
    unlogged = node.relation.relpersistence == "u"
    known = Table("partitioned" if node.HasField("partspec") else "table", {}, new=True, unlogged=unlogged)
    state.create(table, known)
    effect.created.add(table)
    for parent in (relation(wrapped.range_var, state) for wrapped in node.inh_relations):
        _inherit(node, parent, known, state, effect)
    for element in node.table_elts:
        which = element.WhichOneof("node")
        if which == "column_def":
            _column(element.column_def, table, known, state, effect)
        elif which == "constraint":
            _constraint(element.constraint, table, state, effect)
        elif which == "table_like_clause":
            source = relation(element.table_like_clause.relation, state)
            _note(source, LockMode.ACCESS_SHARE, state, effect)
            for name, column in (state.table(source).columns or {}).items():
                known.columns = {**(known.columns or {}), name: Column(column.type, column.not_null, column.default)}
    return table


def _inherit(node: Node, parent: Relation, known: Table, state: State, effect: Effect) -> None:
    if node.HasField("partbound"):
        _note(parent, LockMode.ACCESS_EXCLUSIVE, state, effect)
        look_into_default(parent, state, effect)
        known.parent, known.default = parent, node.partbound.is_default
    else:
        _note(parent, LockMode.SHARE_UPDATE_EXCLUSIVE, state, effect)
    for name, column in (state.table(parent).columns or {}).items():
        known.columns = {**(known.columns or {}), name: Column(column.type, column.not_null, column.default)}


def look_into_default(parent: Relation, state: State, effect: Effect) -> None:
    """A new partition takes over rows that the default partition would have had: it is locked and read."""
    for partition in state.partitions(parent):
        if state.table(partition).default and not state.is_new(partition):
            effect.lock(partition, LockMode.ACCESS_EXCLUSIVE)
            look_for_bounds(partition, state, effect)


def look_for_bounds(partition: Relation, state: State, effect: Effect) -> None:
    """All rows are compared with the bounds, unless a CHECK says the same: whoever wrote one meant it to."""
    constraints = state.table(partition).constraints.values()
    if not any(constraint.kind == "check" and constraint.valid for constraint in constraints):
        effect.scans.add(partition)
        effect.demands.append(Demand(Wanted.CHECKED, partition))


def _column(definition: Node, table: Relation, known: Table, state: State, effect: Effect) -> None:
    kinds = {wrapped.constraint.contype for wrapped in definition.constraints}
    serial = is_serial(definition.type_name)
    known.columns = known.columns if known.columns is not None else {}
    known.columns[definition.colname] = Column(
        type_name(definition.type_name, state),
        serial or bool(kinds & {pb.CONSTR_NOTNULL, pb.CONSTR_PRIMARY, pb.CONSTR_IDENTITY}),
        serial or bool(kinds & FILLED),
    )
    for wrapped in definition.constraints:
        if wrapped.constraint.contype in KINDS and wrapped.constraint.contype != pb.CONSTR_NOTNULL:
            _constraint(wrapped.constraint, table, state, effect, definition.colname)


def _constraint(node: Node, table: Relation, state: State, effect: Effect, column: str = "") -> None:
    """Note a constraint of a new table: no row can be wrong, but a table that it refers to is locked."""
    quiet = Effect()
    add_constraint(node, table, state, quiet, column=column)
    for other, mode in quiet.locks.items():
        if other != table:
            effect.lock(other, mode)
    if node.contype == pb.CONSTR_PRIMARY:
        for name in columns_of(node, column):
            if known := state.table(table).column(name):
                known.not_null = True


def _note(table: Relation, mode: LockMode, state: State, effect: Effect) -> None:
    if not state.is_new(table):
        effect.lock(table, mode)


def create_table_as(node: Node, state: State, effect: Effect) -> Relation:
    table = placed(node.into.rel)
    if node.if_not_exists and table in state.tables:
        return table
    kind = "materialized view" if node.objtype == pb.OBJECT_MATVIEW else "table"
    columns = _selected(node.query, state)
    source = _words(node.query) if kind == "materialized view" else ""
    state.create(table, Table(kind, columns, new=True, source=source))
    effect.created.add(table)
    read(node.query, state, effect, scans=not node.into.skip_data)
    return table


def _selected(query: Node, state: State) -> dict[str, Column] | None:
    """Return the columns of a query that names some of one table's; None of any other."""
    select = query.select_stmt
    if query.WhichOneof("node") != "select_stmt" or len(select.from_clause) != 1:
        return None
    if select.from_clause[0].WhichOneof("node") != "range_var":
        return None
    known = state.table(relation(select.from_clause[0].range_var, state)).columns or {}
    found: dict[str, Column] = {}
    for target in select.target_list:
        fields = names(target.res_target.val.column_ref.fields)
        if not fields or fields[-1] not in known:
            return None
        found[target.res_target.name or fields[-1]] = Column(known[fields[-1]].type)
    return found


def _words(query: Node) -> str:
    """Return the names of tables and columns that a query speaks of."""
    tables = {ref.relname for ref in nodes(query, pb.RangeVar)}
    columns = {name for ref in nodes(query, pb.ColumnRef) for name in names(ref.fields)}
    return " ".join(sorted(tables | columns))


def create_view(node: Node, state: State, effect: Effect) -> Relation:
    view = placed(node.view)
    if not node.replace or view not in state.tables:
        effect.created.add(view)
    elif not state.is_new(view):
        effect.lock(view, LockMode.ACCESS_EXCLUSIVE)
    read(node.query, state, effect)
    state.create(view, Table("view", None, new=view not in state.tables, source=_words(node.query)))
    return view


def read(query: Node, state: State, effect: Effect, *, scans: bool = False) -> None:
    """Note the tables that a query reads."""
    common = {cte.ctename for cte in nodes(query, pb.CommonTableExpr)}
    for ref in nodes(query, pb.RangeVar):
        if ref.relname in common and not ref.schemaname:
            continue
        table = relation(ref, state)
        if not state.is_new(table) and table.schema not in ("pg_catalog", "information_schema"):
            effect.lock(table, LockMode.ACCESS_SHARE)
            if scans:
                effect.scans.add(table)


def create_index(node: Node, state: State, effect: Effect) -> Relation:
    table = relation(node.relation, state)
    columns = tuple(p.index_elem.name for p in node.index_params if p.index_elem.name)
    name = node.idxname or f"{table.name}_{'_'.join(columns)}_{'key' if node.unique else 'idx'}"
    index = Relation(table.schema, name)
    if node.if_not_exists and index in state.indexes:
        _note(table, LockMode.SHARE_UPDATE_EXCLUSIVE if node.concurrent else LockMode.SHARE, state, effect)
        return table
    if not state.is_new(table):
        effect.lock(table, LockMode.SHARE_UPDATE_EXCLUSIVE if node.concurrent else LockMode.SHARE)
        # ON ONLY a partitioned table builds nothing.
        if node.relation.inh or (table in state.tables and state.table(table).kind != "partitioned"):
            effect.scans.add(table)
        for partition in state.partitions(table) if node.relation.inh else ():
            effect.lock(partition, LockMode.SHARE)
            effect.scans.add(partition)
        if node.unique:
            effect.demands.append(Demand(Wanted.UNIQUE, table, columns))
    effect.created.add(index)
    plain = not node.HasField("where_clause") and len(columns) == len(node.index_params)
    state.indexes[index] = Index(table, columns, node.unique, plain)
    return table


def create_schema(node: Node, state: State, _effect: Effect) -> None:
    state.schemas.add(node.schemaname)


def create_sequence(node: Node, state: State, effect: Effect) -> Relation:
    sequence = placed(node.sequence)
    state.sequences.add(sequence)
    effect.created.add(sequence)
    return sequence


def create_statistics(node: Node, state: State, effect: Effect) -> Relation | None:
    for wrapped in node.relations:
        table = relation(wrapped.range_var, state)
        given = names(node.defnames)
        state.statistics[Relation(DEFAULT_SCHEMA if len(given) < 2 else given[0], given[-1] if given else "")] = table
        _note(table, LockMode.SHARE_UPDATE_EXCLUSIVE, state, effect)
        return table
    return None


def create_foreign_table(node: Node, state: State, effect: Effect) -> Relation:
    table = create_table(node.base_stmt, state, effect)
    state.change(table).kind = "foreign"
    return table


HANDLERS = {
    "create_stmt": create_table,
    "create_table_as_stmt": create_table_as,
    "view_stmt": create_view,
    "index_stmt": create_index,
    "create_schema_stmt": create_schema,
    "create_seq_stmt": create_sequence,
    "create_stats_stmt": create_statistics,
    "create_foreign_table_stmt": create_foreign_table,
}
