"""Names, strings and options as SQL spells them: quoted where they must be, and only there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from handrail.catalog.objects import Kind, Name
from handrail.quoting import identifier as identifier  # noqa: PLC0414 - many take it from here
from handrail.quoting import literal

MAX_NAME_BYTES = 63  # of an identifier, unless PostgreSQL was compiled otherwise

# The word after CREATE, DROP and COMMENT ON, where it is not the kind's own.
WORDS = {Kind.ENUM: "TYPE", Kind.COMPOSITE: "TYPE", Kind.RANGE: "TYPE"}


def identifiers(names: Iterable[str]) -> str:
    """Return names with commas between them."""
    return ", ".join(map(identifier, names))


def qualified(schema: str, name: str) -> str:
    """Return a name with its schema."""
    return f"{identifier(schema)}.{identifier(name)}" if schema else identifier(name)


def place(name: Name) -> str:
    """Return an object's own name, qualified; a function's with the types of its arguments."""
    if name.kind is Kind.FUNCTION:
        function, _, arguments = name.name.partition("(")
        return f"{qualified(name.schema, function)}({arguments}"
    return qualified(name.schema, name.name)


def table_of(name: Name) -> str:
    """Return the table that an object belongs to, qualified."""
    return qualified(name.schema, name.table)


def options(values: Mapping[str, Any] | None, prefix: str = "") -> list[str]:
    """Return storage parameters as `name='value'`, sorted."""
    return [f"{prefix}{identifier(key)}={literal(str(value))}" for key, value in sorted((values or {}).items())]


def foreign_options(values: Mapping[str, str]) -> str:
    """Return the OPTIONS of a foreign table or its column, which take no equals sign."""
    return f"OPTIONS ({', '.join(f'{identifier(key)} {literal(text)}' for key, text in sorted(values.items()))})"


def comment(what: str, text: str | None) -> list[str]:
    """Return the statement that comments something, if there is a comment."""
    return [f"COMMENT ON {what} IS {literal(text)}"] if text is not None else []
