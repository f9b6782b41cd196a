"""Rules about data that is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from postgast import pg_query_pb2 as pb

from handrail.effects import Lost, Relation
from handrail.findings import Severity
from handrail.predict.rows import is_limited, is_unconditional
from handrail.predict.syntax import nodes, relation
from handrail.quoting import identifier
from handrail.rules.rule import Hit, Step, about, rule, spelled


@rule(Severity.DANGER)
def drops_table(step: Step) -> Iterator[Hit]:
    if any(loss.what is Lost.SCHEMA for loss in step.effect.losses):
        return
    for loss in step.effect.losses:
        if loss.what is Lost.TABLE:
            again = any(loss.table in later.effect.created for later in step.later)
            hint = " It is created again right after: to rename or change it, say so instead." if again else ""
            yield Hit(str(loss), about(loss.table, size=step.sizes.words(loss.table), hint=hint))


@rule(Severity.DANGER)
def drops_column(step: Step) -> Iterator[Hit]:
    for loss in step.effect.losses:
        if loss.what is Lost.COLUMN:
            yield Hit(str(loss), about(loss.table, loss.column, size=step.sizes.words(loss.table)))


@rule(Severity.DANGER)
def drops_schema(step: Step) -> Iterator[Hit]:
    for loss in step.effect.losses:
        if loss.what is Lost.SCHEMA:
            yield Hit(loss.table.name, {"name": loss.table.name})


@rule(Severity.DANGER)
def drops_cascade(step: Step) -> Iterator[Hit]:
    """CASCADE takes along what the statement does not name."""
    node = step.part.node
    if getattr(node, "behavior", None) != pb.DROP_CASCADE or step.kind in ("truncate_stmt", "grant_stmt"):
        return
    if step.part.table is None or step.part.before.is_new(step.part.table):
        return
    if any(loss.what is Lost.SCHEMA for loss in step.effect.losses):
        return
    yield Hit(str(step.table), {"name": str(step.table)})


@rule(Severity.DANGER)
def truncates(step: Step) -> Iterator[Hit]:
    if step.kind != "truncate_stmt":
        return
    for loss in step.effect.losses:
        yield Hit(str(loss), about(loss.table, size=step.sizes.words(loss.table)))


def _written(step: Step, kind: type[Any]) -> Iterator[tuple[Relation, Any]]:
    """Yield the tables in use that statements of a kind change, those in a WITH among them."""
    if step.kind not in WRITING:
        return
    for node in nodes(step.part.node, kind):
        table = relation(node.relation, step.part.before)
        if not step.part.before.is_new(table):
            yield table, node


WRITING = {"insert_stmt", "update_stmt", "delete_stmt", "merge_stmt", "select_stmt"}


@rule(Severity.DANGER)
def deletes_all_rows(step: Step) -> Iterator[Hit]:
    for table, node in _written(step, pb.DeleteStmt):
        if is_unconditional(node):
            yield Hit(str(table), about(table, size=step.sizes.words(table)))


@rule(Severity.WARNING)
def deletes_many_rows(step: Step) -> Iterator[Hit]:
    """A DELETE with a condition is what its author meant; on a large table it takes long."""
    for table, node in _written(step, pb.DeleteStmt):
        if not is_unconditional(node) and not is_limited(node) and step.sizes.matters(table):
            more = {"size": step.sizes.words(table), "condition": spelled(node.where_clause)}
            yield Hit(str(table), about(table, **more))


@rule(Severity.WARNING)
def updates_all_rows(step: Step) -> Iterator[Hit]:
    for table, node in _written(step, pb.UpdateStmt):
        if is_limited(node) or not step.sizes.matters(table):
            continue
        targets = [target.res_target for target in node.target_list]
        values = [
            f"{identifier(t.name)} = {spelled(t.val)}"
            for t in targets
            if t.val.WhichOneof("node") != "multi_assign_ref" and not t.indirection
        ]
        more = {
            "size": step.sizes.words(table),
            "values": ", ".join(values) or "…",
            "condition": spelled(node.where_clause)
            if node.HasField("where_clause")
            else f"{identifier(targets[0].name)} IS NULL",
        }
        yield Hit(str(table), about(table, targets[0].name, **more))


@rule(Severity.DANGER)
def narrows_type(step: Step) -> Iterator[Hit]:
    if step.kind != "AT_AlterColumnType":
        return
    for loss in step.effect.losses:
        if loss.what is Lost.VALUES:
            before = step.part.before.table(loss.table).column(loss.column)
            after = step.after.table(loss.table).column(loss.column)
            names = {"before": (before and before.type) or "its type", "after": after.type if after else "another type"}
            yield Hit(str(loss), about(loss.table, loss.column, **names))


@rule(Severity.WARNING)
def unlogged(step: Step) -> Iterator[Hit]:
    if step.kind == "AT_SetUnLogged" and step.effect.rewrites:
        yield Hit(str(step.table), about(step.table))
