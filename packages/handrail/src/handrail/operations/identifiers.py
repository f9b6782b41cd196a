"""Identifiers: how they are written in SQL, and whether a text of the server's mentions one."""

from __future__ import annotations

import re
from functools import lru_cache

from handrail.catalog.ddl.spelling import identifier as ident
from handrail.catalog.ddl.spelling import identifiers as idents
from handrail.catalog.ddl.spelling import place as relation
from handrail.catalog.ddl.spelling import qualified, table_of
from handrail.catalog.objects import Kind, Name

__all__ = ["ident", "idents", "mentions", "mentions_relation", "qualified", "relation", "table_of"]


@lru_cache(maxsize=4096)
def _pattern(name: str) -> re.Pattern[str]:
    """Match an identifier as the server writes it, whole and quoted or not."""
    bare = rf'(?<![\w"$]){re.escape(name)}(?![\w"$])'
    return re.compile(rf'"{re.escape(name.replace(chr(34), chr(34) * 2))}"|{bare}')


def mentions(text: str, name: str) -> bool:
    """Whether a text of the server's may speak of something with this name. Errs on the side of yes."""
    return name in text.replace('""', '"') and _pattern(name).search(text) is not None


def mentions_relation(text: str, name: Name) -> bool:
    """Whether a text of the server's, in which every name is qualified, speaks of a table, type, view or function."""
    own = name.name.partition("(")[0] if name.kind is Kind.FUNCTION else name.name
    return mentions(text, own) and _qualified_pattern(name.schema, own).search(text) is not None


@lru_cache(maxsize=4096)
def _qualified_pattern(schema: str, name: str) -> re.Pattern[str]:
    return re.compile(rf"(?:{_pattern(schema).pattern})\.(?:{_after_dot(name)})")


def _after_dot(name: str) -> str:
    return rf'"{re.escape(name.replace(chr(34), chr(34) * 2))}"|{re.escape(name)}(?![\w"$])'
