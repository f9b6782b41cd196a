"""ALTER TABLE: what each of its commands locks, reads, writes anew and breaks.

Locks: https://www.postgresql.org/docs/18/sql-altertable.html. Scans and rewrites are measured, on PostgreSQL 15 and 18.
"""

from __future__ import annotations

from collections.abc import Callable

from postgast import pg_query_pb2 as pb

from handrail.effects import Break, Broken, Demand, Effect, LockMode, Loss, Lost, Relation, Wanted
from handrail.predict.constraints import add_constraint, drop_constraint, validate
from handrail.predict.creating import look_for_bounds, look_into_default
from handrail.predict.state import Column, State
from handrail.predict.syntax import Node, is_serial, options, relation, type_name
from handrail.predict.types import change_type
from handrail.predict.volatile import is_volatile

Command = Callable[[Node, Relation, State, Effect], None]

WEAK = {
    *("AT_ValidateConstraint", "AT_SetStatistics", "AT_ClusterOn", "AT_DropCluster", "AT_SetOptions"),
    *("AT_ResetOptions", "AT_SetRelOptions", "AT_ResetRelOptions", "AT_AttachPartition"),
}
TRIGGERS = {
    *("AT_EnableTrig", "AT_EnableAlwaysTrig", "AT_EnableReplicaTrig", "AT_EnableTrigAll", "AT_EnableTrigUser"),
    *("AT_DisableTrig", "AT_DisableTrigAll", "AT_DisableTrigUser"),
}
# Options of a table that need more than SHARE UPDATE EXCLUSIVE.
STRONG_OPTIONS = {"user_catalog_table", "security_barrier", "security_invoker", "check_option"}


def name_of(command: Node) -> str:
    """Return a command's name in PostgreSQL's words: `AT_AddColumn`."""
    return str(pb.AlterTableType.Name(command.subtype))


def alter(statement: Node, command: Node, state: State, effect: Effect) -> Relation:
    """Note what one command of an ALTER TABLE does, and let the state be as it is after it."""
    target = relation(statement.relation, state)
    name = name_of(command)
    if statement.objtype == pb.OBJECT_INDEX:
        return _alter_index(name, command, target, state, effect)
    quiet = Effect() if state.is_new(target) else effect
    quiet.lock(target, _lock(name, command, state, target))
    handler = COMMANDS.get(name)
    if handler is not None:
        handler(command, target, state, quiet)
    for partition in state.partitions(target):
        if not state.is_new(partition) and name not in ("AT_AttachPartition", "AT_DetachPartition"):
            quiet.lock(partition, quiet.locks.get(target, LockMode.ACCESS_EXCLUSIVE))
    return target


def _alter_index(name: str, command: Node, index: Relation, state: State, effect: Effect) -> Relation:
    if name != "AT_AttachPartition":
        effect.lock(index, LockMode.SHARE_UPDATE_EXCLUSIVE)
        return index
    for one in (index, relation(getattr(command, "def").partition_cmd.name, state)):
        if one in state.indexes:
            effect.lock(state.indexes[one].table, LockMode.ACCESS_SHARE)
    return index


def _lock(name: str, command: Node, state: State, target: Relation) -> LockMode:
    if name in TRIGGERS:
        return LockMode.SHARE_ROW_EXCLUSIVE
    if name == "AT_AddConstraint" and getattr(command, "def").constraint.contype == pb.CONSTR_FOREIGN:
        return LockMode.SHARE_ROW_EXCLUSIVE
    if name == "AT_DetachPartition":
        concurrent = getattr(command, "def").partition_cmd.concurrent
        return LockMode.SHARE_UPDATE_EXCLUSIVE if concurrent else LockMode.ACCESS_EXCLUSIVE
    if name == "AT_SetRelOptions" and STRONG_OPTIONS & options(getattr(command, "def").list.items).keys():
        return LockMode.ACCESS_EXCLUSIVE
    if state.table(target).kind in ("view", "sequence"):
        return LockMode.ACCESS_EXCLUSIVE
    return LockMode.SHARE_UPDATE_EXCLUSIVE if name in WEAK else LockMode.ACCESS_EXCLUSIVE


def add_column(command: Node, target: Relation, state: State, effect: Effect) -> None:
    definition = getattr(command, "def").column_def
    name = definition.colname
    if command.missing_ok and state.table(target).column(name):
        return
    spelled = type_name(definition.type_name, state)
    constraints = {wrapped.constraint.contype: wrapped.constraint for wrapped in definition.constraints}
    default = constraints.get(pb.CONSTR_DEFAULT)
    generated = constraints.get(pb.CONSTR_GENERATED)
    serial = is_serial(definition.type_name)
    # Generated columns that are not stored are worked out when they are read.
    stored = generated is not None and generated.generated_kind != "v"
    filled = serial or bool(constraints.keys() & {pb.CONSTR_DEFAULT, pb.CONSTR_IDENTITY, pb.CONSTR_GENERATED})
    required = bool(constraints.keys() & {pb.CONSTR_NOTNULL, pb.CONSTR_PRIMARY})
    checked = any(str(domain) == spelled for domain in state.constrained)
    volatile = default is not None and is_volatile(default.raw_expr, state)
    if serial or stored or checked or volatile or pb.CONSTR_IDENTITY in constraints:
        _rewrite(target, state, effect)
    if required and not filled:
        effect.scans.add(target)
        effect.demands.append(Demand(Wanted.EMPTY, target, (name,)))
        effect.breaks.append(Break(Broken.REQUIRED, target, name))
    table = state.change(target)
    if table.columns is not None:
        table.columns[name] = Column(spelled, required or serial, filled, new=True)
    for kind, constraint in constraints.items():
        if kind not in (pb.CONSTR_CHECK, pb.CONSTR_UNIQUE, pb.CONSTR_PRIMARY, pb.CONSTR_FOREIGN):
            continue
        # A column full of NULL refers to nothing and has no duplicates, but its CHECK is asked nevertheless.
        fresh = not filled and kind in (pb.CONSTR_FOREIGN, pb.CONSTR_UNIQUE)
        add_constraint(constraint, target, state, effect, column=name, empty=fresh)


def drop_column(command: Node, target: Relation, state: State, effect: Effect) -> None:
    if command.missing_ok and state.table(target).columns is not None and not state.table(target).column(command.name):
        return
    column = state.table(target).column(command.name)
    if column is None or not column.new:
        effect.losses.append(Loss(Lost.COLUMN, target, command.name))
        effect.breaks.append(Break(Broken.GONE, target, command.name))
    table = state.change(target)
    if table.columns is not None:
        table.columns.pop(command.name, None)
    for name, constraint in list(table.constraints.items()):
        if command.name in constraint.columns:
            if constraint.references and not state.is_new(constraint.references):
                effect.lock(constraint.references, LockMode.ACCESS_EXCLUSIVE)
            del table.constraints[name]
    for index, known in list(state.indexes_of(target)):
        if command.name in known.columns:
            del state.indexes[index]
    if command.behavior == pb.DROP_CASCADE:
        for view, shown in state.views_of(target):
            if command.name in shown.words:
                effect.lock(view, LockMode.ACCESS_EXCLUSIVE)


def set_not_null(command: Node, target: Relation, state: State, effect: Effect) -> None:
    table = state.table(target)
    column = table.column(command.name)
    if column is not None and column.not_null:
        return
    proven = any(
        constraint.valid and (constraint.not_null == command.name or constraint.kind == "primary key")
        for constraint in table.constraints.values()
        if constraint.not_null or command.name in constraint.columns
    )
    if not proven:
        effect.scans.add(target)
        effect.demands.append(Demand(Wanted.NOT_NULL, target, (command.name,)))
    if column is None or not column.default:
        effect.breaks.append(Break(Broken.REQUIRED, target, command.name))
    state.change_column(target, command.name, not_null=True)


def drop_not_null(command: Node, target: Relation, state: State, _effect: Effect) -> None:
    state.change_column(target, command.name, not_null=False)


def column_default(command: Node, target: Relation, state: State, effect: Effect) -> None:
    given = command.HasField("def")
    column = state.table(target).column(command.name)
    if not given and column is not None and column.not_null and column.default:
        effect.breaks.append(Break(Broken.REQUIRED, target, command.name))
    state.change_column(target, command.name, default=given)


def add_identity(command: Node, target: Relation, state: State, _effect: Effect) -> None:
    state.change_column(target, command.name, default=True)


def alter_type(command: Node, target: Relation, state: State, effect: Effect) -> None:
    definition = getattr(command, "def").column_def
    change_type(command.name, definition, target, state, effect)


def constrain(command: Node, target: Relation, state: State, effect: Effect) -> None:
    add_constraint(getattr(command, "def").constraint, target, state, effect)


def unconstrain(command: Node, target: Relation, state: State, effect: Effect) -> None:
    drop_constraint(command.name, target, state, effect)
    if command.behavior == pb.DROP_CASCADE:
        for other, _, _ in state.referring(target):
            effect.lock(other, LockMode.ACCESS_EXCLUSIVE)


def validate_constraint(command: Node, target: Relation, state: State, effect: Effect) -> None:
    validate(command.name, target, state, effect)


def set_logged(command: Node, target: Relation, state: State, effect: Effect) -> None:
    unlogged = name_of(command) == "AT_SetUnLogged"
    if state.table(target).unlogged != unlogged or not (state.complete or target in state.tables):
        _rewrite(target, state, effect)
    state.change(target).unlogged = unlogged


def move(command: Node, target: Relation, state: State, effect: Effect) -> None:
    """SET TABLESPACE and SET ACCESS METHOD: nothing happens where the table is already."""
    if command.name not in ("pg_default", "heap"):
        _rewrite(target, state, effect)


def inherit(command: Node, _target: Relation, state: State, effect: Effect) -> None:
    effect.lock(relation(getattr(command, "def").range_var, state), LockMode.SHARE_UPDATE_EXCLUSIVE)


def attach_partition(command: Node, target: Relation, state: State, effect: Effect) -> None:
    partition = relation(getattr(command, "def").partition_cmd.name, state)
    if not state.is_new(partition):
        effect.lock(partition, LockMode.ACCESS_EXCLUSIVE)
        look_for_bounds(partition, state, effect)
    look_into_default(target, state, effect)
    state.change(partition).parent = target


def detach_partition(command: Node, target: Relation, state: State, effect: Effect) -> None:
    partition = relation(getattr(command, "def").partition_cmd.name, state)
    effect.lock(partition, LockMode.ACCESS_EXCLUSIVE)
    effect.breaks.append(Break(Broken.GONE, target))
    state.change(partition).parent = None


def row_security(_command: Node, target: Relation, state: State, effect: Effect) -> None:
    if not state.table(target).policies:
        effect.breaks.append(Break(Broken.HIDDEN, target))


def set_expression(_command: Node, target: Relation, state: State, effect: Effect) -> None:
    _rewrite(target, state, effect)


def _rewrite(target: Relation, state: State, effect: Effect) -> None:
    effect.scans.add(target)
    effect.rewrites.add(target)
    effect.rewrites |= {name for name, _ in state.indexes_of(target)}
    for partition in state.partitions(target):
        _rewrite(partition, state, effect)


COMMANDS: dict[str, Command] = {
    "AT_AddColumn": add_column,
    "AT_DropColumn": drop_column,
    "AT_SetNotNull": set_not_null,
    "AT_DropNotNull": drop_not_null,
    "AT_ColumnDefault": column_default,
    "AT_AddIdentity": add_identity,
    "AT_AlterColumnType": alter_type,
    "AT_AddConstraint": constrain,
    "AT_DropConstraint": unconstrain,
    "AT_ValidateConstraint": validate_constraint,
    "AT_SetLogged": set_logged,
    "AT_SetUnLogged": set_logged,
    "AT_SetTableSpace": move,
    "AT_SetAccessMethod": move,
    "AT_AddInherit": inherit,
    "AT_SetExpression": set_expression,
    "AT_AttachPartition": attach_partition,
    "AT_DetachPartition": detach_partition,
    "AT_EnableRowSecurity": row_security,
}
