"""Plain SQL files: split into statements, with the transactions that they open and close themselves."""

from __future__ import annotations

import re

import postgast

from handrail.statements.statement import Statement

# psql's own commands are no SQL.
META_COMMAND = re.compile(r"^\\.*$", re.MULTILINE)
OPENS = re.compile(r"(begin|start\s+transaction)\b", re.IGNORECASE)
CLOSES = re.compile(r"(commit|end|rollback|abort)\b", re.IGNORECASE)
LEADING = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)


def read_sql(text: str, first_line: int = 1, *, one_transaction: bool = False) -> list[Statement]:
    """Return the statements of a text.

    Args:
        text: SQL, as psql takes it.
        first_line: The number of its first line.
        one_transaction: Whether whoever runs it puts all of it into one transaction, but for what it commits itself.

    Raises:
        postgast.PgQueryError: It is no SQL of PostgreSQL's.
    """
    text = META_COMMAND.sub(lambda line: " " * len(line[0]), text)
    statements: list[Statement] = []
    transaction: int | None = 0 if one_transaction else None
    count, position = 0, 0
    for piece in postgast.split(text):
        start = text.index(piece, position)
        position = start + len(piece)
        start += len(LEADING.match(piece)[0])  # type: ignore[index]  # matches everywhere
        sql = text[start:position].strip()
        if not sql:
            continue
        within = transaction
        if OPENS.match(sql):
            count += 1
            transaction = count
        elif CLOSES.match(sql):
            # What closes a transaction that the file has opened is in none itself, as what opens it.
            within = None if count else transaction
            transaction = None
        statements.append(Statement(sql, first_line + text.count("\n", 0, start), within))
    return statements
