"""What a database without rows answers: mostly nothing, but a count is zero."""

from __future__ import annotations

from typing import Any

import postgast
from postgast import pg_query_pb2 as pb

AGGREGATES = {"count", "sum", "min", "max", "avg", "bool_or", "bool_and", "array_agg", "string_agg", "json_agg"}


def of_nothing(sql: str, columns: int) -> list[tuple[Any, ...]]:
    """Return the row that a question has even if there is nothing: of a count, or of one that asks no table."""
    try:
        node = postgast.parse(sql).stmts[0].stmt if columns else None
    except (postgast.PgQueryError, IndexError):
        return []
    if node is None or node.WhichOneof("node") != "select_stmt":
        return []
    select = node.select_stmt
    targets = [target.res_target.val for target in select.target_list]
    called = [node for target in targets for _, node in postgast.walk(target) if isinstance(node, pb.FuncCall)]
    counted = any(c.funcname[-1].string.sval in AGGREGATES and not c.HasField("over") for c in called)
    if len(targets) != columns or select.group_clause or (select.from_clause and not counted):
        return []
    return [tuple(_of_none(target) for target in targets)]


def _of_none(target: Any) -> Any:
    kind = target.WhichOneof("node")
    if kind == "func_call" and target.func_call.funcname[-1].string.sval == "count":
        return 0
    exists = kind == "sub_link" and target.sub_link.sub_link_type == pb.EXISTS_SUBLINK
    return False if exists or kind in ("a_expr", "bool_expr") else None
