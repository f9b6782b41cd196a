"""Rules about what goes wrong without anybody being told, and about what cannot be seen."""

from __future__ import annotations

from collections.abc import Iterator

from handrail.findings import Severity
from handrail.predict.parts import LONGEST
from handrail.predict.syntax import options, texts
from handrail.rules.rule import Hit, Step, about, in_sql, rule


@rule(Severity.WARNING)
def unseen(step: Step) -> Iterator[Hit]:
    """Something that the syntax does not tell."""
    for reason in step.effect.unknown:
        if step.kind not in ("AT_AlterColumnType", "alter_domain_stmt"):
            yield Hit(str(step.part.table or "statement"), {"reason": reason})


@rule(Severity.DANGER)
def disables_triggers(step: Step) -> Iterator[Hit]:
    """Foreign keys are triggers too: with all of them off, nothing is checked."""
    if step.kind == "variable_set_stmt" and step.part.node.name.lower() == "session_replication_role":
        if "replica" in texts(step.part.node):
            yield Hit("session_replication_role", {"full": "all tables", "sql_table": "…"})
        return
    if step.kind not in ("AT_DisableTrigAll", "AT_DisableTrigUser", "AT_DisableTrig"):
        return
    again = {"AT_EnableTrigAll", "AT_EnableTrigUser", "AT_EnableTrig", "AT_EnableAlwaysTrig"}
    if step.kind != "AT_DisableTrigAll" and any(p.kind in again and p.table == step.table for p in step.later):
        return
    severity = Severity.DANGER if step.kind == "AT_DisableTrigAll" else Severity.WARNING
    yield Hit(str(step.table), about(step.table), severity)


@rule(Severity.WARNING)
def autovacuum_off(step: Step) -> Iterator[Hit]:
    if step.kind == "AT_SetRelOptions":
        set_ = options(getattr(step.part.node, "def").list.items)
        if set_.get("autovacuum_enabled") in ("false", "off", "0", "no"):
            yield Hit(str(step.table), about(step.table))


@rule(Severity.WARNING)
def definer_search_path(step: Step) -> Iterator[Hit]:
    """A SECURITY DEFINER function finds whatever its caller has put into the search path."""
    if step.kind != "create_function_stmt":
        return
    given = {element.def_elem.defname: element.def_elem for element in step.part.node.options}
    definer = "security" in given and given["security"].arg.boolean.boolval
    sets_path = any(
        element.def_elem.defname == "set" and element.def_elem.arg.variable_set_stmt.name == "search_path"
        for element in step.part.node.options
    )
    if definer and not sets_path:
        yield Hit(str(step.table), {"name": str(step.table), "sql_name": in_sql(step.table)})


@rule(Severity.WARNING)
def identifier_too_long(step: Step) -> Iterator[Hit]:
    """PostgreSQL cuts long names off, and nobody hears of it."""
    for name in step.part.too_long:
        yield Hit(name, {"name": name, "cut": name.encode()[:LONGEST].decode(errors="ignore")})


@rule(Severity.NOTE)
def foreign_key_without_index(step: Step) -> Iterator[Hit]:
    """Each DELETE in the other table reads all of this one."""
    if step.kind not in ("create_stmt", "AT_AddConstraint", "AT_AddColumn") or step.part.table is None:
        return
    known = step.part.before.table(step.table).constraints
    for name, constraint in step.after.table(step.table).constraints.items():
        if constraint.kind != "foreign key" or name in known:
            continue
        # What a later statement of the revision adds counts as well.
        indexes = [index.columns for _, index in step.after.indexes_of(step.table)]
        indexes += [
            tuple(element.index_elem.name for element in later.node.index_params)
            for later in step.later
            if later.kind == "index_stmt" and later.table == step.table
        ]
        if not any(columns[: len(constraint.columns)] == constraint.columns for columns in indexes):
            column = ", ".join(constraint.columns)
            listed = ", ".join(f'"{one}"' for one in constraint.columns)
            more = {"columns": listed, "name": "_".join((step.table.name, *constraint.columns))}
            yield Hit(f"{step.table}.{column}", about(step.table, column, **more))
