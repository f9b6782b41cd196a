"""What a revision does, statement by statement, in words: who waits, what is read or written anew, how long about."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from handrail.effects import Broken, Effect, Relation, together

if TYPE_CHECKING:
    from handrail.predict.placed import Placed
    from handrail.sizes import Sizes

# What an ordinary disk and one process reach; a rehearsal on the real thing knows better.
READ_BYTES_PER_SECOND = 200e6
WRITTEN_BYTES_PER_SECOND = 40e6
SHOWN = 100  # characters of a statement


@dataclass(frozen=True)
class Action:
    """One statement and what it does.

    Attributes:
        line: Of the file.
        sql: The statement in one line, shortened.
        waits: Who waits for it: `reads and writes of shop.orders, for a moment`; empty when nobody does.
        reads: Tables that are read from beginning to end.
        writes: Tables and indexes that are written anew.
        seconds: How long that takes about; None where sizes are not known.
        breaks: What code that is still running will meet.
        unknown: Why not everything can be told; empty when everything can.
    """

    line: int
    sql: str
    waits: str = ""
    reads: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    seconds: float | None = None
    breaks: list[str] = field(default_factory=list)
    unknown: str = ""


def actions(placed: Iterable[Placed], sizes: Sizes) -> Iterator[Action]:
    """Yield what statements do, in their order; what only reads is left out.

    Args:
        placed: The statements of one revision.
        sizes: Of the tables.
    """
    for at in placed:
        sql = " ".join(at.statement.sql.split())
        shown = sql if len(sql) <= SHOWN else f"{sql[:SHOWN]} …"
        if at.error:
            yield Action(at.statement.line, shown, unknown=f"it cannot be read: {at.error}")
        elif not sql.lower().startswith(("select", "show", "set ")):
            yield _action(at.statement.line, shown, together(part.effect for part in at.parts), sizes)


def _action(line: int, sql: str, effect: Effect, sizes: Sizes) -> Action:
    long = effect.scans | effect.rewrites
    waits = [
        f"{mode.who_waits} of {table}{'' if table in long else ', for a moment'}"
        for table, mode in sorted(effect.blocking())
    ]
    return Action(
        line,
        sql,
        "; ".join(waits),
        sorted(str(table) for table in effect.scans),
        sorted(str(table) for table in effect.rewrites),
        seconds_for(effect, sizes),
        [_broken(one.broken, one.table, one.column) for one in effect.breaks],
        "; ".join(effect.unknown),
    )


def seconds_for(effect: Effect, sizes: Sizes) -> float | None:
    """Return how long reading and writing takes about on tables of these sizes; None where sizes are not known."""
    if not sizes.known:
        return None
    read = sum(sizes.tables[table].bytes for table in effect.scans if table in sizes.tables)
    written = sum(sizes.tables[table].bytes for table in effect.rewrites if table in sizes.tables)
    return round(read / READ_BYTES_PER_SECOND + written / WRITTEN_BYTES_PER_SECOND, 1)


def _broken(broken: Broken, table: Relation, column: str) -> str:
    return f"{table}.{column}: {broken}" if column else f"{table}: {broken}"


def is_reversible(path: Path) -> bool:
    """Whether a revision has a downgrade that does something; what it brings back only a rehearsal tells."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8", errors="replace"))
    except (SyntaxError, ValueError):
        return False
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "downgrade":
            return not all(isinstance(inner, ast.Pass | ast.Raise) or _is_text(inner) for inner in node.body)
    return False


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def deploy_order(found: Iterable[Action]) -> str:
    """Return which has to come first, the new code or the revision."""
    broken = sorted({text for action in found for text in action.breaks if Broken.RETYPED not in text})
    if not broken:
        return "Before the new code: code that is running now does not notice it."
    return (
        "Not while code is running that relies on what changes: let code that does without it run everywhere first. "
        + "; ".join(broken)
        + "."
    )
