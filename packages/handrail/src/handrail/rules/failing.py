"""Rules about what fails: always, or as soon as there are rows."""

from __future__ import annotations

from collections.abc import Iterator

from postgast import pg_query_pb2 as pb

from handrail.effects import Wanted
from handrail.findings import Severity
from handrail.predict.syntax import Node, type_name
from handrail.predict.types import lacks_cast, used_fresh_values
from handrail.predict.upkeep import is_concurrent
from handrail.quoting import literal
from handrail.rules.rule import Hit, Step, about, in_sql, rule


def _is_concurrent(kind: str, node: Node) -> bool:
    if kind in ("index_stmt", "drop_stmt"):
        return bool(node.concurrent)
    if kind == "AT_DetachPartition":
        return bool(getattr(node, "def").partition_cmd.concurrent)
    return kind == "reindex_stmt" and is_concurrent(node)


def _is_alone(kind: str, node: Node) -> bool:
    """Whether a statement can never be in a transaction with others."""
    if kind == "vacuum_stmt":
        return bool(node.is_vacuumcmd)  # otherwise it is ANALYZE
    return kind in {"createdb_stmt", "dropdb_stmt", "alter_system_stmt", "create_table_space_stmt"}


@rule(Severity.DANGER)
def concurrently_in_transaction(step: Step) -> Iterator[Hit]:
    if step.in_transaction and (_is_concurrent(step.kind, step.part.node) or _is_alone(step.kind, step.part.node)):
        yield Hit(str(step.part.table or "database"), {"name": str(step.part.table or "the database")})


@rule(Severity.WARNING)
def mixed_revision(step: Step) -> Iterator[Hit]:
    """A statement that runs by itself commits what was before it, and the version comes after both."""
    if step.committed and step.kind != "transaction_stmt":
        yield Hit(str(step.part.table or "revision"), {"name": str(step.part.table or "the database")})


@rule(Severity.DANGER)
def required_column(step: Step) -> Iterator[Hit]:
    """NOT NULL without a default: the first row is enough to fail."""
    if step.kind != "AT_AddColumn":
        return
    definition = getattr(step.part.node, "def").column_def
    for demand in step.effect.demands:
        size = step.sizes.tables.get(demand.table)
        if demand.wanted is Wanted.EMPTY and not (size is not None and size.rows == 0):
            column = demand.columns[0]
            more = {"size": step.sizes.words(demand.table), "type": type_name(definition.type_name, step.part.before)}
            yield Hit(f"{demand.table}.{column}", about(demand.table, column, **more))


@rule(Severity.DANGER)
def missing_cast(step: Step) -> Iterator[Hit]:
    if step.kind != "AT_AlterColumnType":
        return
    node = step.part.node
    known = step.part.before.table(step.table).column(node.name)
    refused = lacks_cast(getattr(node, "def").column_def, known, step.part.before) if known is not None else ""
    if known is not None and refused:
        after = step.after.table(step.table).column(node.name)
        types = {"before": known.type, "after": after.type if after else "the new type", "refused": refused}
        yield Hit(f"{step.table}.{node.name}", about(step.table, node.name, **types))


@rule(Severity.DANGER)
def new_value_used(step: Step) -> Iterator[Hit]:
    """A value that was added to an enum cannot be used before its transaction is committed."""
    if not step.in_transaction or step.kind in ("alter_enum_stmt", "create_enum_stmt"):
        return
    for value in sorted(used_fresh_values(step.part.node, step.part.before)):
        enum = step.part.before.fresh_values[value]
        yield Hit(str(enum), about(enum, value=value, sql_value=literal(value)))


CONTROL = {pb.TRANS_STMT_BEGIN, pb.TRANS_STMT_START, pb.TRANS_STMT_COMMIT, pb.TRANS_STMT_ROLLBACK}


@rule(Severity.DANGER)
def transaction_control(step: Step) -> Iterator[Hit]:
    if step.kind == "transaction_stmt" and step.part.node.kind in CONTROL and step.in_transaction:
        word = pb.TransactionStmtKind.Name(step.part.node.kind).removeprefix("TRANS_STMT_")
        yield Hit(word, {"word": word})


@rule(Severity.DANGER)
def type_in_use(step: Step) -> Iterator[Hit]:
    """A column that a view shows can neither change its type nor be dropped."""
    if step.kind not in ("AT_AlterColumnType", "AT_DropColumn") or step.part.node.behavior == pb.DROP_CASCADE:
        return
    column = step.part.node.name
    for view, known in step.part.before.views_of(step.table):
        if column in known.words:
            yield Hit(
                f"{step.table}.{column}",
                about(step.table, column, view=str(view), sql_view=in_sql(view), view_name=view.name),
            )
