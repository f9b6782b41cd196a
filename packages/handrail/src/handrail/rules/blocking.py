"""Rules about requests that stand still: a lock that others wait for, held while a table is read or written anew."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from postgast import pg_query_pb2 as pb

from handrail.effects import LockMode, Lost, Relation, Wanted
from handrail.findings import Severity
from handrail.predict.syntax import is_serial, names, relation, type_name
from handrail.predict.upkeep import is_concurrent
from handrail.predict.volatile import is_volatile
from handrail.quoting import identifier
from handrail.rules.rule import Hit, Step, about, in_schema, in_sql, in_text, rule, spelled


def _definition(step: Step) -> object:
    return getattr(step.part.node, "def")


def _constraint(step: Step, *kinds: int) -> tuple[str, object] | None:
    """Return name and node of the constraint that is added, if it is of one of these kinds."""
    if step.kind != "AT_AddConstraint":
        return None
    node = step.part.node
    constraint = getattr(node, "def").constraint
    return (constraint.conname, constraint) if constraint.contype in kinds else None


def _sized(step: Step, table: Relation, column: str = "", **more: str) -> dict[str, str]:
    return about(table, column, size=step.sizes.words(table), **more)


@rule(Severity.DANGER)
def index_not_concurrent(step: Step) -> Iterator[Hit]:
    if step.kind != "index_stmt" or step.part.node.concurrent or step.table not in step.effect.scans:
        return
    if step.sizes.matters(step.table):
        node = step.part.node
        keys = [element.index_elem for element in node.index_params]
        more = {
            "index": node.idxname or "_".join(["ix", step.table.name, *(key.name for key in keys if key.name)]),
            "columns": ", ".join(f'"{key.name}"' if key.name else in_text(key.expr) for key in keys),
            "options": "".join(_index_options(node)),
        }
        yield Hit(str(step.table), _sized(step, step.table, **more))


def _index_options(node: Any) -> Iterator[str]:
    """Yield what else an index is told, as `op.create_index` takes it."""
    if node.unique:
        yield ", unique=True"
    if node.access_method not in ("", "btree"):
        yield f', postgresql_using="{node.access_method}"'
    if node.index_including_params:
        included = ", ".join(f'"{element.index_elem.name}"' for element in node.index_including_params)
        yield f", postgresql_include=[{included}]"
    if node.HasField("where_clause"):
        yield f", postgresql_where={in_text(node.where_clause)}"


@rule(Severity.WARNING)
def drop_index_not_concurrent(step: Step) -> Iterator[Hit]:
    node = step.part.node
    if step.kind == "drop_stmt" and node.remove_type == pb.OBJECT_INDEX and not node.concurrent:
        gone = {loss.table for later in step.later for loss in later.effect.losses if loss.what is Lost.TABLE}
        for table, mode in step.effect.blocking():
            if table == step.table and mode is LockMode.ACCESS_EXCLUSIVE and step.sizes.matters(table):
                if table in gone:
                    continue
                index = names(node.objects[0].list.items)[-1]
                yield Hit(str(table), _sized(step, table, index=index))


@rule(Severity.DANGER)
def reindex_not_concurrent(step: Step) -> Iterator[Hit]:
    if step.kind == "reindex_stmt" and not is_concurrent(step.part.node):
        matter = [table for table, _ in step.scanned()] or ([step.table] if not step.effect.locks else [])
        node = step.part.node
        kind = pb.ReindexObjectType.Name(node.kind).removeprefix("REINDEX_OBJECT_")
        named = in_sql(Relation(node.relation.schemaname, node.relation.relname)) or identifier(node.name)
        for table in matter:
            yield Hit(str(table), _sized(step, table, target=f"{kind} {named}".strip()))


@rule(Severity.DANGER)
def unique_scan(step: Step) -> Iterator[Hit]:
    found = _constraint(step, pb.CONSTR_UNIQUE)
    in_column = step.kind == "AT_AddColumn" and any(
        wrapped.constraint.contype == pb.CONSTR_UNIQUE
        for wrapped in _definition(step).column_def.constraints  # type: ignore[attr-defined]
    )
    if (found is None and not in_column) or not any(True for _ in step.scanned()):
        return
    demand = next((d for d in step.effect.demands if d.wanted is Wanted.UNIQUE), None)
    columns = demand.columns if demand else ()
    listed = ", ".join(f'"{column}"' for column in columns)
    name = (found[0] if found else "") or f"{step.table.name}_{'_'.join(columns)}_key"
    yield Hit(str(step.table), _sized(step, step.table, ", ".join(columns), name=name, columns=listed))


@rule(Severity.DANGER)
def primary_key_scan(step: Step) -> Iterator[Hit]:
    found = _constraint(step, pb.CONSTR_PRIMARY)
    if found is not None and any(True for _ in step.scanned()):
        columns = next((demand.columns for demand in step.effect.demands), ())
        listed = ", ".join(f'"{column}"' for column in columns)
        name = found[0] or f"{step.table.name}_pkey"
        yield Hit(str(step.table), _sized(step, step.table, ", ".join(columns), name=name, columns=listed))


@rule(Severity.DANGER)
def exclusion_scan(step: Step) -> Iterator[Hit]:
    if _constraint(step, pb.CONSTR_EXCLUSION) and any(True for _ in step.scanned()):
        yield Hit(str(step.table), _sized(step, step.table))


@rule(Severity.DANGER)
def foreign_key_scan(step: Step) -> Iterator[Hit]:
    """A foreign key that is checked at once; of a new column only one that has a default refers to anything."""
    if step.kind not in ("AT_AddConstraint", "AT_AddColumn"):
        return
    if not any(demand.wanted is Wanted.REFERENCED for demand in step.effect.demands):
        return
    scanned = [table for table, _ in step.scanned()]
    if not scanned:
        return
    demand = next(demand for demand in step.effect.demands if demand.wanted is Wanted.REFERENCED)
    node = _foreign_key(step)
    name = node.conname or f"{step.table.name}_{'_'.join(demand.columns)}_fkey"
    after = step.after.table(step.table).constraints
    constraint = after.get(name) or next(
        (c for c in after.values() if c.references and c.columns == demand.columns), None
    )
    other = constraint.references if constraint and constraint.references else Relation("", "the other table")
    more = {
        "name": name,
        "other": other.name,
        "other_full": str(other),
        "columns": ", ".join(f'"{column}"' for column in demand.columns),
        "referred": ", ".join(f'"{column}"' for column in names(node.pk_attrs) or _key_of(other, step)),
        "schemas": in_schema(step.table, "source_schema") + in_schema(other, "referent_schema"),
    }
    yield Hit(str(step.table), _sized(step, step.table, ", ".join(demand.columns), **more))


def _foreign_key(step: Step) -> Any:
    definition: Any = _definition(step)
    if step.kind == "AT_AddConstraint":
        return definition.constraint
    return next(
        wrapped.constraint
        for wrapped in definition.column_def.constraints
        if wrapped.constraint.contype == pb.CONSTR_FOREIGN
    )


def _key_of(table: Relation, step: Step) -> tuple[str, ...]:
    """Return the columns of a primary key; where it is not known, what they are mostly called."""
    constraints = step.after.table(table).constraints.values()
    return next((constraint.columns for constraint in constraints if constraint.kind == "primary key"), ("id",))


@rule(Severity.DANGER)
def check_scan(step: Step) -> Iterator[Hit]:
    if step.kind not in ("AT_AddConstraint", "AT_AddColumn"):
        return
    wanted = [d for d in step.effect.demands if d.wanted in (Wanted.CHECKED, Wanted.NOT_NULL)]
    if not wanted or _constraint(step, pb.CONSTR_PRIMARY, pb.CONSTR_EXCLUSION, pb.CONSTR_UNIQUE):
        return
    definition: Any = _definition(step)
    constraint = definition.constraint if step.kind == "AT_AddConstraint" else _check_of(definition.column_def)
    if constraint is None:
        return
    column = ", ".join(wanted[0].columns)
    condition = spelled(constraint.raw_expr) if constraint.HasField("raw_expr") else f"{identifier(column)} IS NOT NULL"
    for table, _ in step.scanned():
        name = constraint.conname or f"{table.name}_{'_'.join(wanted[0].columns)}_check"
        yield Hit(str(table), _sized(step, table, column, name=name, condition=condition))


def _check_of(definition: Any) -> Any:
    checks = (c.constraint for c in definition.constraints if c.constraint.contype == pb.CONSTR_CHECK)
    return next(checks, None)


@rule(Severity.DANGER)
def set_not_null(step: Step) -> Iterator[Hit]:
    if step.kind == "AT_SetNotNull":
        for table, _ in step.scanned():
            yield Hit(f"{table}.{step.part.node.name}", _sized(step, table, step.part.node.name))


def _new_column(step: Step, **more: str) -> Iterator[Hit]:
    """Report the column that is added, where adding it takes time."""
    definition: Any = _definition(step)
    name = definition.column_def.colname
    for table, _ in list(step.scanned())[:1]:
        type_ = type_name(definition.column_def.type_name, step.part.before)
        yield Hit(f"{table}.{name}", _sized(step, table, name, type=type_, **more))


def _constraints_of_new_column(step: Step, kind: int) -> list[Any]:
    definition: Any = _definition(step)
    return [wrapped.constraint for wrapped in definition.column_def.constraints if wrapped.constraint.contype == kind]


@rule(Severity.DANGER)
def volatile_default(step: Step) -> Iterator[Hit]:
    if step.kind == "AT_AddColumn":
        for default in _constraints_of_new_column(step, pb.CONSTR_DEFAULT):
            if is_volatile(default.raw_expr, step.part.before):
                yield from _new_column(step, default=spelled(default.raw_expr))


@rule(Severity.DANGER)
def counted_column(step: Step) -> Iterator[Hit]:
    """A serial or identity column gives every row a number at once."""
    if step.kind == "AT_AddColumn":
        definition: Any = _definition(step)
        identity = _constraints_of_new_column(step, pb.CONSTR_IDENTITY)
        if identity or is_serial(definition.column_def.type_name):
            yield from _new_column(step)


@rule(Severity.DANGER)
def stored_column(step: Step) -> Iterator[Hit]:
    if step.kind == "AT_AddColumn":
        for generated in _constraints_of_new_column(step, pb.CONSTR_GENERATED):
            yield from _new_column(step, expression=spelled(generated.raw_expr))


@rule(Severity.DANGER)
def type_rewrite(step: Step) -> Iterator[Hit]:
    """A change of type that writes the table anew, or that may where the old type is not known."""
    if step.kind != "AT_AlterColumnType" or not step.sizes.matters(step.table):
        return
    if step.table in step.effect.scans or step.effect.unknown:
        severity = Severity.DANGER if step.table in step.effect.scans else Severity.WARNING
        before = step.part.before.table(step.table).column(step.part.node.name)
        definition: Any = _definition(step)
        after = type_name(definition.column_def.type_name, step.part.before)
        size = step.sizes.words(step.table)
        types = {"before": (before and before.type) or "its type", "after": after, "does": _done(step, size)}
        names = about(step.table, step.part.node.name, **types)
        yield Hit(f"{step.table}.{step.part.node.name}", names, severity)


def _done(step: Step, size: str) -> str:
    """Return what a change of type does to the table, or may do where the old type is not known."""
    if step.table in step.effect.rewrites:
        return f"reads all of {step.table}{size} and writes it and its indexes anew"
    if step.table not in step.effect.scans:
        return f"may read all of {step.table}{size} and write it and its indexes anew"
    indexes = " and ".join(sorted(name.name for name in step.effect.rewrites))
    return f"reads all of {step.table}{size} and " + (
        f"builds {indexes} anew" if indexes else "checks its constraints anew"
    )


REWRITING = {
    "AT_SetLogged": "SET LOGGED",
    "AT_SetUnLogged": "SET UNLOGGED",
    "AT_SetTableSpace": "SET TABLESPACE",
    "AT_SetAccessMethod": "SET ACCESS METHOD",
    "AT_SetExpression": "SET EXPRESSION",
    "cluster_stmt": "CLUSTER",
    "vacuum_stmt": "VACUUM FULL",
}


@rule(Severity.DANGER)
def rewrites_table(step: Step) -> Iterator[Hit]:
    if step.kind in REWRITING:
        for table, _ in step.scanned():
            if table in step.effect.rewrites and table not in step.part.before.indexes:
                yield Hit(str(table), _sized(step, table, command=REWRITING[step.kind]))


@rule(Severity.WARNING)
def domain_scan(step: Step) -> Iterator[Hit]:
    if step.kind == "alter_domain_stmt":
        for table, _ in step.scanned():
            column = next((", ".join(demand.columns) for demand in step.effect.demands if demand.table == table), "")
            more = {"domain": ".".join(names(step.part.node.type_name)), "condition": _of_a_column(step, column)}
            yield Hit(str(table), _sized(step, table, column, **more))
        if step.effect.unknown:
            more = {"domain": str(step.table), "condition": "…", "size": ""}
            yield Hit(str(step.table), about(step.table, "the column", **more))


def _of_a_column(step: Step, column: str) -> str:
    """Return what a domain's constraint says of its values as a condition on a column."""
    if not step.part.node.HasField("def"):
        return f"{identifier(column)} IS NOT NULL"
    definition: Any = _definition(step)
    return re.sub(r"\bvalue\b", identifier(column), spelled(definition.constraint.raw_expr), flags=re.IGNORECASE)


@rule(Severity.DANGER)
def attach_partition_scan(step: Step) -> Iterator[Hit]:
    """A new partition, which is read, or for which the default partition is."""
    node = step.part.node
    if step.kind == "AT_AttachPartition":
        parent, child = step.table, relation(getattr(node, "def").partition_cmd.name, step.part.before)
    elif step.kind == "create_stmt" and node.HasField("partbound"):
        parent, child = relation(node.inh_relations[0].range_var, step.part.before), step.table
    else:
        return
    both = {"parent": str(parent), "sql_parent": in_sql(parent), "child": str(child), "sql_child": in_sql(child)}
    for table, _ in step.scanned():
        yield Hit(str(table), _sized(step, table, **both))


@rule(Severity.WARNING)
def detach_partition(step: Step) -> Iterator[Hit]:
    if step.kind != "AT_DetachPartition" or getattr(step.part.node, "def").partition_cmd.concurrent:
        return
    if step.effect.locks:
        partition = relation(getattr(step.part.node, "def").partition_cmd.name, step.part.before)
        yield Hit(str(step.table), _sized(step, step.table, partition=str(partition), sql_partition=in_sql(partition)))


@rule(Severity.WARNING)
def refresh_blocking(step: Step) -> Iterator[Hit]:
    if step.kind == "refresh_mat_view_stmt" and not step.part.node.concurrent and not step.part.node.skip_data:
        for view, _ in step.scanned():
            yield Hit(str(view), _sized(step, view))


@rule(Severity.DANGER)
def locks_table(step: Step) -> Iterator[Hit]:
    if step.kind == "lock_stmt":
        for table, mode in step.effect.blocking():
            if not step.part.before.is_new(table):
                yield Hit(str(table), _sized(step, table, mode=str(mode), who=mode.who_waits))


# Statements that are reported by themselves when they read a table, whatever was locked before.
REPORTED = {
    *("AT_AddConstraint", "AT_AddColumn", "AT_SetNotNull", "AT_AlterColumnType"),
    *("index_stmt", "reindex_stmt", "cluster_stmt"),
}


@rule(Severity.DANGER)
def scan_while_blocking(step: Step) -> Iterator[Hit]:
    """A table is read in full after an earlier statement of the same transaction has locked it."""
    if step.kind in REPORTED or not step.in_transaction:
        return
    for table in sorted(step.effect.scans):
        held = step.held.get(table)
        own = step.effect.locks.get(table, LockMode.ACCESS_SHARE)
        if held is not None and held.blocks_writes and held > own and step.sizes.matters(table):
            yield Hit(str(table), _sized(step, table, mode=str(held), who=held.who_waits))
