"""Columns that the source of a mapped class still has, but its table does not."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from handrail.forgotten.reasons import Reason
from handrail.forgotten.source import assigned
from handrail.forgotten.tables import COLUMNS, statements

if TYPE_CHECKING:
    from handrail.forgotten.tables import Declared


def forgotten_column(column: str, declared: Declared) -> Iterator[tuple[Path, int, Reason]]:
    """Yield where a class that is mapped still declares a column that its table has not.

    In a branch that did not run, or in a base that it has in the source but not when it runs.
    """
    own = True
    for path, node in declared.classes:
        for statement in statements(node):
            if _sets_aside(statement, column):
                return
            if _declares(statement, column):
                where = f"in the class {node.name}"
                if own and statement not in node.body:
                    why = Reason(f"{where}, in a branch that did not run", "Move the attribute out of it, or delete it")
                elif own:
                    continue  # the class replaces it, or SQLAlchemy would have made a column of it
                else:
                    why = Reason(
                        f"{where}, from which {declared.name} inherits it there but not when it is imported",
                        f"Let {declared.name} have that base in every case, or in none",
                    )
                yield path, statement.lineno, why
                return
        own = False


def _sets_aside(statement: ast.stmt, column: str) -> bool:
    """Whether a class takes a column of its bases out: `note = None`."""
    return any(
        name == column and isinstance(value, ast.Constant) and value.value is None
        for name, value in assigned(statement)
    )


def _declares(statement: ast.stmt, column: str) -> bool:
    if not isinstance(statement, ast.Assign | ast.AnnAssign):
        return False
    target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
    value, name = statement.value, target.id if isinstance(target, ast.Name) else ""
    if isinstance(value, ast.Call):
        function = value.func.id if isinstance(value.func, ast.Name) else getattr(value.func, "attr", "")
        first = value.args[0] if value.args else None
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            name = first.value
        return function in COLUMNS and name == column
    annotated = isinstance(statement, ast.AnnAssign) and value is None and _is_mapped(statement.annotation)
    return annotated and name == column


def _is_mapped(annotation: ast.expr) -> bool:
    text = ast.unparse(annotation).strip("'\"")
    return text.partition("[")[0].rpartition(".")[2] == "Mapped"
