"""Review a plain SQL file: without Alembic and SQLAlchemy, which it has nothing to do with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import postgast

from handrail.actions import actions
from handrail.judge import judge, unseen
from handrail.predict import State
from handrail.predict.placed import place
from handrail.review.reviewed import Reviewed
from handrail.sizes import Sizes
from handrail.statements import Statement, read_sql


def review_sql(path: Path, text: str, sizes: Sizes | None = None) -> Reviewed:
    """Judge a SQL file by itself.

    Args:
        path: Its name.
        text: What is in it.
        sizes: Of the tables.
    """
    try:
        statements: Sequence[Statement] = read_sql(text)
    except postgast.PgQueryError as error:
        line = text.encode()[: max(error.cursorpos - 1, 0)].decode(errors="ignore").count("\n") + 1
        reason = f"this is no SQL of PostgreSQL's: {error.message}"
        return Reviewed(str(path), findings=[unseen(path.name, str(path), line, reason)])
    state, sizes = State(), sizes or Sizes()
    placed = place(statements, state)
    findings = judge(placed, state, sizes, str(path))
    done = list(actions(placed, sizes))
    return Reviewed(str(path), title=path.name, findings=findings, statements=len(statements), actions=done)
