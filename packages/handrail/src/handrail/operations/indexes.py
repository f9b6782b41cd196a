"""Indexes that back no constraint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alembic.operations.ops import CreateIndexOp, DropIndexOp
from sqlalchemy import literal_column
from sqlalchemy.sql.elements import conv

from handrail.operations.comments import comment, new_comment
from handrail.operations.constraints import settings
from handrail.operations.expressions import without_parentheses
from handrail.operations.statement import Statement, sql_text

if TYPE_CHECKING:
    from alembic.operations.ops import MigrateOperation

    from handrail.catalog.difference import Difference
    from handrail.catalog.objects import Attributes, Name
    from handrail.operations.sides import Sides


def create_index(sides: Sides, name: Name, attributes: Attributes) -> list[MigrateOperation]:
    """Create an index, with all that an index can have."""
    if any(key.get("opclass_options") or key.get("statistics") for key in attributes["keys"]):
        created: MigrateOperation = Statement(attributes["definition"].replace(" ON ONLY ", " ON ", 1))
    else:
        created = CreateIndexOp(
            conv(name.name),
            name.table,
            [key_text(key) for key in attributes["keys"]],
            schema=sides.schema(name.schema),
            unique=bool(attributes.get("unique")),
            **options(attributes),
        )
    cluster = settings(name, {}, {"clustered": attributes.get("clustered")})
    return [created, *cluster, *new_comment(name, attributes)]


def key_text(key: Attributes) -> Any:
    """Return one key: the name of a column, or what PostgreSQL is to read there."""
    ordered = key.get("descending") or key.get("nulls_first") is not None
    if key.get("column") and not ordered and not key.get("collation"):
        return key["column"]
    words = [wrapped_once(key["text"])]
    words += [f"COLLATE {key['collation']}"] if key.get("collation") else []
    words += [key["opclass"]] if key.get("opclass") else []
    words += ["DESC"] if key.get("descending") else []
    if key.get("nulls_first") is not None:
        words.append("NULLS FIRST" if key["nulls_first"] else "NULLS LAST")
    return literal_column(" ".join(words))


def wrapped_once(expression: str) -> str:
    """Take away the parentheses that the server writes around those that it needs."""
    inner = without_parentheses(expression)
    return wrapped_once(inner) if without_parentheses(inner) != inner else expression


def options(attributes: Attributes) -> dict[str, Any]:
    """Return what only PostgreSQL's indexes have."""
    found: dict[str, Any] = {}
    if attributes.get("method", "btree") != "btree":
        found["postgresql_using"] = attributes["method"]
    classes = {key["column"]: key["opclass"] for key in attributes["keys"] if in_ops(key)}
    found |= {"postgresql_ops": classes} if classes else {}
    if attributes.get("include"):
        found["postgresql_include"] = attributes["include"]
    if attributes.get("where"):
        found["postgresql_where"] = sql_text(without_parentheses(attributes["where"]))
    if attributes.get("nulls_not_distinct"):
        found["postgresql_nulls_not_distinct"] = True
    if attributes.get("options"):
        found["postgresql_with"] = attributes["options"]
    if attributes.get("tablespace"):
        found["postgresql_tablespace"] = attributes["tablespace"]
    return found


def in_ops(key: Attributes) -> bool:
    """Whether the operator class of a key is not part of its text."""
    return bool(key.get("opclass")) and isinstance(key_text(key), str)


def drop_index(sides: Sides, name: Name) -> list[MigrateOperation]:
    return [DropIndexOp(conv(name.name), name.table, schema=sides.schema(name.schema))]


def alters_in_place(difference: Difference) -> bool:
    """Whether an index can stay, although it is not the same; its definition tells of the options, too."""
    changes = set(difference.changes)
    return bool(changes - {"definition"}) and changes <= {
        "comment", "options", "tablespace", "clustered", "inherited", "definition",
    }  # fmt: skip


def alter_index(difference: Difference) -> list[MigrateOperation]:
    """Change what can be changed without building the index anew."""
    name, before, after = difference.name, difference.before or {}, difference.after or {}
    return settings(name, before, after) + (comment(name, after) if "comment" in difference.changes else [])
