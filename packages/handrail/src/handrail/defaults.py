"""Defaults that mean the same constant in different words: `0`, `'0'::integer` and `(0)::bigint`.

Which of them PostgreSQL keeps depends on how the default came about (with the table, later, before a change of type).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from handrail.catalog.objects import Attributes, Catalog, Kind, Name
from handrail.catalog.read import AS_IT_IS

if TYPE_CHECKING:
    from sqlalchemy import Connection

TEXT = r"'(?:[^']|'')*'"
CAST = r"""::(?:"(?:[^"]|"")*"|[\w .])+(?:\([\d, ]*\))?(?:[\w ]*)(?:\[\])*"""
# Texts that a cast to a date or time at run time turns into the present.
PRESENT = re.compile(r"now|today|tomorrow|yesterday", re.IGNORECASE)
CONSTANT = re.compile(rf"[\s()]*(?:{TEXT}|[-+]?[\d.]+(?:e[-+]?\d+)?|true|false)(?:[\s()]|{CAST})*", re.IGNORECASE)


def with_equal_defaults(connection: Connection, before: Catalog, after: Catalog) -> Catalog:
    """Return `after`, with the words of `before` wherever both are the same constant.

    The server decides, by evaluating both as values of the column's type; nothing but constants is ever evaluated.
    """
    pairs = {
        name: (before.objects[name]["default"], attributes["default"], attributes["type"])
        for name, attributes in after.of_kind(Kind.COLUMN)
        if name in before.objects and _are_constants(before.objects[name].get("default"), attributes.get("default"))
    }
    if not pairs:
        return after
    changed: dict[Name, Attributes] = {}
    for name, (old, new, type_) in pairs.items():
        if old == new or not _equal(connection, old, new, type_):
            continue
        changed[name] = {**after.objects[name], "default": old}
    return Catalog(after.version, {**after.objects, **changed})


def _are_constants(*defaults: str | None) -> bool:
    texts = set(defaults)
    return len(texts) == 2 and all(text and CONSTANT.fullmatch(text) and not PRESENT.search(text) for text in texts)


def _equal(connection: Connection, old: str, new: str, type_: str) -> bool:
    from sqlalchemy.exc import DBAPIError

    try:
        with connection.begin_nested():
            # As texts, since json, xml and point have no `=`.
            query = f"SELECT (({old})::{type_})::text IS NOT DISTINCT FROM (({new})::{type_})::text"  # noqa: S608
            return bool(connection.exec_driver_sql(query, execution_options=AS_IT_IS).scalar())
    except DBAPIError:
        return False  # a type that is not there yet, or a value that is none of it
