"""Rules about code that is still running while the revision is applied."""

from __future__ import annotations

from collections.abc import Iterator

from postgast import pg_query_pb2 as pb

from handrail.effects import Broken, Relation
from handrail.findings import Severity
from handrail.predict.syntax import Node, names, type_name
from handrail.quoting import identifier
from handrail.rules.rule import Hit, Step, about, in_sql, rule


@rule(Severity.WARNING)
def renames_column(step: Step) -> Iterator[Hit]:
    for broken in step.effect.breaks:
        if broken.broken is Broken.RENAMED and broken.column and step.kind == "rename_stmt":
            known = step.part.before.table(broken.table).column(broken.column)
            type_ = known.type if known else "<its type>"
            new = step.part.node.newname
            names = about(broken.table, broken.column, new=new, sql_new=identifier(new), type=type_)
            yield Hit(f"{broken.table}.{broken.column}", names)


@rule(Severity.WARNING)
def renames_table(step: Step) -> Iterator[Hit]:
    """A new name or schema, unless a view takes the old place in the same transaction."""
    for broken in step.effect.breaks:
        moved = broken.broken is Broken.RENAMED and not broken.column
        if not moved or (broken.table not in step.part.before.tables and not _is_table(step.part.node)):
            continue
        if any(broken.table in later.effect.created for later in step.later):
            continue
        schema = getattr(step.part.node, "newschema", "")
        name = getattr(step.part.node, "newname", "")
        new = Relation(schema or broken.table.schema, name or broken.table.name)
        action = f"SET SCHEMA {identifier(schema)}" if schema else f"RENAME TO {identifier(name)}"
        yield Hit(str(broken.table), about(broken.table, new=str(new), sql_new=in_sql(new), action=action))


def _is_table(node: Node) -> bool:
    kind = node.rename_type if isinstance(node, pb.RenameStmt) else node.object_type
    return kind in TABLES


TABLES = {pb.OBJECT_TABLE, pb.OBJECT_VIEW, pb.OBJECT_MATVIEW, pb.OBJECT_FOREIGN_TABLE}


@rule(Severity.WARNING)
def renames_object(step: Step) -> Iterator[Hit]:
    """A schema, function, type or value of an enum, unless a new type takes the old name in the same revision."""
    if step.kind not in ("rename_stmt", "alter_enum_stmt"):
        return
    for broken in step.effect.breaks:
        value = step.kind == "alter_enum_stmt"
        other = step.kind == "rename_stmt" and step.part.node.rename_type not in {*TABLES, pb.OBJECT_COLUMN}
        again = any(
            later.kind == "create_enum_stmt" and names(later.node.type_name)[-1] == broken.table.name
            for later in step.later
        )
        if broken.broken is Broken.RENAMED and (value or other) and not again:
            name = f"{broken.table}.{broken.column}" if broken.column else str(broken.table)
            yield Hit(name, {"name": name})


@rule(Severity.WARNING)
def drops_default(step: Step) -> Iterator[Hit]:
    if step.kind != "AT_ColumnDefault":
        return
    # What is given again in the same transaction was never away, as around a change of type.
    again = {
        p.node.name for p in step.later if p.kind == step.kind and p.table == step.table and p.node.HasField("def")
    }
    for broken in step.effect.breaks:
        if broken.broken is Broken.REQUIRED and broken.column not in again:
            yield Hit(f"{broken.table}.{broken.column}", about(broken.table, broken.column))


@rule(Severity.WARNING)
def hides_rows(step: Step) -> Iterator[Hit]:
    """Row security without a policy: nobody but the owner sees anything."""
    if any(broken.broken is Broken.HIDDEN for broken in step.effect.breaks):
        if any(later.kind == "create_policy_stmt" and later.table == step.table for later in step.later):
            return
        yield Hit(str(step.table), about(step.table))


@rule(Severity.WARNING)
def json_column(step: Step) -> Iterator[Hit]:
    """Json has no equality: SELECT DISTINCT and GROUP BY over the whole row fail from then on."""
    if step.kind != "AT_AddColumn" or step.part.before.is_new(step.table):
        return
    definition = getattr(step.part.node, "def").column_def
    if type_name(definition.type_name, step.part.before) == "json":
        yield Hit(f"{step.table}.{definition.colname}", about(step.table, definition.colname))


@rule(Severity.NOTE)
def retypes_column(step: Step) -> Iterator[Hit]:
    for broken in step.effect.breaks:
        if broken.broken is Broken.RETYPED:
            yield Hit(f"{broken.table}.{broken.column}", about(broken.table, broken.column))


@rule(Severity.NOTE)
def drops_function(step: Step) -> Iterator[Hit]:
    if step.kind != "drop_stmt" or step.part.node.remove_type in (pb.OBJECT_TABLE, pb.OBJECT_FOREIGN_TABLE):
        return
    for broken in step.effect.breaks:
        again = any(_creates(later.table, broken.table) for later in step.later if later.kind.endswith("_stmt"))
        if broken.broken is Broken.GONE and not again:
            yield Hit(str(broken.table), {"name": str(broken.table)})


def _creates(created: Relation | None, gone: Relation) -> bool:
    return created is not None and created.name == gone.name
