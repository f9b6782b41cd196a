"""Views, functions, triggers, rules, policies and statistics: objects that are made of text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from handrail.catalog.objects import Attributes, Kind, Name
from handrail.operations.columns import settings
from handrail.operations.comments import column_comments, comment, target
from handrail.operations.identifiers import ident, relation, table_of
from handrail.operations.statement import Statement
from handrail.operations.tables import storage_actions

if TYPE_CHECKING:
    from alembic.operations.ops import MigrateOperation

    from handrail.catalog.difference import Difference

VIEWS = (Kind.VIEW, Kind.MATERIALIZED_VIEW)
ON_TABLES = (Kind.TRIGGER, Kind.RULE, Kind.POLICY)
CODE = (*VIEWS, *ON_TABLES, Kind.STATISTICS)

IN_PLACE = {
    Kind.VIEW: {"comment", "column_comments", "options"},
    Kind.MATERIALIZED_VIEW: {
        "comment",
        "column_comments",
        "options",
        "column_settings",
        "access_method",
        "tablespace",
    },
    Kind.TRIGGER: {"comment", "enabled"},
    Kind.RULE: {"comment", "enabled"},
    Kind.POLICY: {"comment"},
    Kind.STATISTICS: {"comment", "target"},
}
ENABLING = {None: "ENABLE", "disabled": "DISABLE", "replica": "ENABLE REPLICA", "always": "ENABLE ALWAYS"}


def alters_in_place(difference: Difference) -> bool:
    """Whether the object can stay, although it is not the same."""
    if difference.name.kind is Kind.FUNCTION:
        before, after = difference.before or {}, difference.after or {}
        return "definition" not in difference.changes or signature(before) == signature(after)
    return set(difference.changes) <= IN_PLACE[difference.name.kind]


def signature(function: Attributes) -> str:
    """Return what `CREATE OR REPLACE` cannot change: what a function takes and returns."""
    header = re.split(r"\n(?:AS |BEGIN ATOMIC|RETURN )", function.get("definition") or "", maxsplit=1)[0]
    return "\n".join(header.splitlines()[:2])


def text_of(attributes: Attributes) -> str:
    """Return all SQL of an object."""
    return "\n".join(
        str(attributes[key]) for key in ("definition", "using", "check", "aggregate") if attributes.get(key)
    )


def replace_function(difference: Difference) -> list[MigrateOperation]:
    after = difference.after or {}
    operations: list[MigrateOperation] = []
    if "definition" in difference.changes:
        operations.append(Statement(after["definition"].rstrip("\n")))
    return operations + (comment(difference.name, after) if "comment" in difference.changes else [])


def column_settings(view: Name, before: Attributes, after: Attributes) -> list[MigrateOperation]:
    """Change how a materialized view keeps its columns."""
    old, new = before.get("column_settings") or {}, after.get("column_settings") or {}
    types = dict(after.get("columns") or ())
    found: list[MigrateOperation] = []
    for column in sorted(old.keys() | new.keys()):
        name = Name(Kind.COLUMN, view.schema, view.name, column)
        found += settings(name, old.get(column, {}), {"type": types.get(column, "text"), **new.get(column, {})})
    return found


def alter_code(difference: Difference) -> list[MigrateOperation]:
    """Change what can be changed without creating the object anew."""
    name, before, after = difference.name, difference.before or {}, difference.after or {}
    changes = difference.changes
    operations: list[MigrateOperation] = []
    if "enabled" in changes:
        words = f"{ENABLING[after.get('enabled')]} {name.kind.upper()} {ident(name.name)}"
        operations.append(Statement(f"ALTER TABLE {table_of(name)} {words}"))
    if "target" in changes:
        number = after.get("target")
        operations.append(Statement(f"ALTER {target(name, after)} SET STATISTICS {-1 if number is None else number}"))
    actions = storage_actions(before, after)
    operations += [Statement(f"ALTER {name.kind.upper()} {relation(name)} {action}") for action in actions]
    operations += column_settings(name, before, after)
    operations += column_comments(name, before, after)
    return operations + (comment(name, after) if "comment" in changes else [])
