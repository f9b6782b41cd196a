"""Constraints: what adding, validating and dropping one asks of the rows and of whoever uses the table."""

from __future__ import annotations

from postgast import pg_query_pb2 as pb

from handrail.effects import Break, Broken, Demand, Effect, LockMode, Relation, Wanted
from handrail.predict.state import Constraint, Index, State
from handrail.predict.syntax import Node, column_names, names, relation

KINDS = {
    pb.CONSTR_PRIMARY: "primary key",
    pb.CONSTR_UNIQUE: "unique",
    pb.CONSTR_CHECK: "check",
    pb.CONSTR_FOREIGN: "foreign key",
    pb.CONSTR_EXCLUSION: "exclude",
    pb.CONSTR_NOTNULL: "not null",
}
SUFFIXES = {"primary key": "pkey", "unique": "key", "check": "check", "foreign key": "fkey", "exclude": "excl"}


def columns_of(node: Node, column: str = "") -> tuple[str, ...]:
    """Return the columns that a constraint is about."""
    if node.contype == pb.CONSTR_FOREIGN:
        return tuple(names(node.fk_attrs)) or (column,)
    if node.contype == pb.CONSTR_CHECK:
        return tuple(sorted(column_names(node.raw_expr)))
    return tuple(names(node.keys)) or ((column,) if column else ())


def name_for(node: Node, table: Relation, columns: tuple[str, ...], kind: str) -> str:
    """Return a constraint's name: its own, or the one that PostgreSQL gives."""
    key = "" if kind == "primary key" else "_" + "_".join(columns)
    return node.conname or node.indexname or f"{table.name}{key}_{SUFFIXES.get(kind, kind.replace(' ', '_'))}"


def add_constraint(
    node: Node, table: Relation, state: State, effect: Effect, *, column: str = "", empty: bool = False
) -> None:
    """Note what adding a constraint does.

    Args:
        node: Its definition.
        table: To which table.
        state: Before; it is changed.
        effect: To be filled.
        column: The column that is added with it.
        empty: Whether all its columns are NULL in every row, so that nothing is read.
    """
    kind = KINDS.get(node.contype)
    if kind is None:
        return
    columns = columns_of(node, column)
    name = name_for(node, table, columns, kind)
    not_valid = node.skip_validation
    checked = node.is_enforced or node.contype not in (pb.CONSTR_CHECK, pb.CONSTR_FOREIGN)
    references: Relation | None = None
    if kind == "foreign key":
        references = _refer(node, table, state, effect, columns if checked and not not_valid and not empty else ())
    elif kind in ("primary key", "unique"):
        columns = _unique(node, kind, name, columns, table, state, effect)
    elif checked and not not_valid:
        effect.scans.add(table)
        wanted = {"not null": Wanted.NOT_NULL, "exclude": Wanted.UNIQUE}.get(kind, Wanted.CHECKED)
        effect.demands.append(Demand(wanted, table, columns))
    proves = columns[0] if len(columns) == 1 and (kind == "not null" or _is_not_null(node)) else ""
    if kind == "not null":
        effect.breaks.append(Break(Broken.REQUIRED, table, columns[0] if columns else ""))
    valid = checked and not not_valid
    referred = tuple(names(node.pk_attrs))
    state.change(table).constraints[name] = Constraint(kind, columns, valid, references, proves, referred)
    if kind == "not null" and valid:
        state.change_column(table, columns[0], not_null=True)


def _is_not_null(node: Node) -> bool:
    test = node.raw_expr.null_test if node.raw_expr.WhichOneof("node") == "null_test" else None
    return test is not None and test.nulltesttype == pb.IS_NOT_NULL


def _refer(node: Node, table: Relation, state: State, effect: Effect, checked: tuple[str, ...]) -> Relation:
    """Note what a foreign key does; whether rows of these columns are checked."""
    other = relation(node.pktable, state)
    if not state.is_new(other):
        effect.lock(other, LockMode.SHARE_ROW_EXCLUSIVE)
    effect.lock(table, LockMode.SHARE_ROW_EXCLUSIVE)
    if checked:
        effect.scans.add(table)
        if not state.is_new(other):
            effect.scans.add(other)
        effect.demands.append(Demand(Wanted.REFERENCED, table, checked))
    return other


def _unique(
    node: Node, kind: str, name: str, columns: tuple[str, ...], table: Relation, state: State, effect: Effect
) -> tuple[str, ...]:
    """Note what a key does; return its columns, which an existing index knows where the statement does not."""
    if node.indexname:
        index = state.indexes.pop(Relation(table.schema, node.indexname), None)
        columns = index.columns if index else ()
    else:
        effect.scans.add(table)
        effect.demands.append(Demand(Wanted.UNIQUE, table, columns))
    state.indexes[Relation(table.schema, name)] = Index(table, columns, unique=True)
    if kind == "primary key":
        known = state.table(table).columns
        # Whoever has made an index first has done the rest as well, where nobody has told about the table.
        unknown = known is None and bool(node.indexname)
        nullable = [name for name in columns if known is None or name not in known or not known[name].not_null]
        if not unknown and (nullable or not columns):
            effect.scans.add(table)
            effect.demands.append(Demand(Wanted.NOT_NULL, table, tuple(nullable)))
        for column in nullable:
            state.change_column(table, column, not_null=True)
    return columns


def validate(name: str, table: Relation, state: State, effect: Effect) -> None:
    """Note what VALIDATE CONSTRAINT does: it reads all rows, and only other changes of the table wait."""
    constraint = state.table(table).constraints.get(name)
    if constraint is not None and constraint.valid:
        return
    effect.scans.add(table)
    wanted = Wanted.REFERENCED if constraint is not None and constraint.references else Wanted.CHECKED
    effect.demands.append(Demand(wanted, table, constraint.columns if constraint else ()))
    if constraint is None:
        return
    if constraint.references and not state.is_new(constraint.references):
        effect.lock(constraint.references, LockMode.ROW_SHARE)
        effect.scans.add(constraint.references)
    state.change(table).constraints[name].valid = True
    if constraint.kind == "not null":
        state.change_column(table, constraint.not_null, not_null=True)


def drop_constraint(name: str, table: Relation, state: State, effect: Effect) -> None:
    """Note what dropping a constraint does; a foreign key lets go of both tables."""
    constraint = state.change(table).constraints.pop(name, None)
    state.indexes.pop(Relation(table.schema, name), None)
    if constraint is not None and constraint.references and not state.is_new(constraint.references):
        effect.lock(constraint.references, LockMode.ACCESS_EXCLUSIVE)
