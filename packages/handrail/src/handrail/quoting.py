"""Names and strings as SQL has them."""

from __future__ import annotations

import re

# What PostgreSQL takes for no name ("reserved" and "can be function or type" in `pg_get_keywords`), and four words
# more that SQLAlchemy quotes as well: between, new, off, old.
WORDS = """
    all analyse analyze and any array as asc asymmetric authorization between binary both case cast check collate
    collation column concurrently constraint create cross current_catalog current_date current_role current_schema
    current_time current_timestamp current_user default deferrable desc distinct do else end except false fetch for
    foreign freeze from full grant group having ilike in initially inner intersect into is isnull join lateral leading
    left like limit localtime localtimestamp natural new not notnull null of off offset old on only or order outer over
    overlaps placing primary references returning right select session_user similar some symmetric system_user table
    tablesample then to trailing true union unique user using variadic verbose when where window with
"""
RESERVED = frozenset(WORDS.split())
PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


def quoted(name: str) -> str:
    """Quote an identifier."""
    return '"' + name.replace('"', '""') + '"'


def identifier(name: str) -> str:
    """Quote an identifier where it must be, and only there, as PostgreSQL itself would print it."""
    return name if PLAIN.fullmatch(name) and name not in RESERVED else quoted(name)


def literal(value: str) -> str:
    """Return a string constant, whatever `standard_conforming_strings` says."""
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'" if "\\" in value else f"'{escaped}'"
