"""Expressions as the server writes them, made into what a person would write in a revision."""

from __future__ import annotations

import re

from sqlalchemy import TextClause

from handrail.operations.statement import sql_text

# A string without anything that Alembic or SQLAlchemy would have to escape, and the type that the server writes to it.
PLAIN_STRING = re.compile(r"'([\w .,/@+\[\]{}-]*)'::(.+)")
NEGATIVE = re.compile(r"'(-\d+)'::integer")


def default_value(expression: str, type_: str) -> str | TextClause:
    """Return the default of a column of this type as a person gives it to `server_default`."""
    found = PLAIN_STRING.fullmatch(expression)
    if found and (found[2] == type_ or type_.startswith(f"{found[2]}(")):
        return found[1]
    number = NEGATIVE.fullmatch(expression)
    return sql_text(number[1] if number else expression)


def without_parentheses(expression: str) -> str:
    """Take away a pair of parentheses around the whole expression."""
    if not (expression.startswith("(") and expression.endswith(")")):
        return expression
    depth, quote = 0, ""
    for position, character in enumerate(expression):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "()":
            depth += 1 if character == "(" else -1
            if depth == 0 and position < len(expression) - 1:
                return expression
    return expression[1:-1]
