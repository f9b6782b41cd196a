"""Changes of a column's type: which only touch the catalog, which rewrite the table, which lose something.

Measured on PostgreSQL 15 and 18, and documented with ALTER TABLE: "changing the type normally causes the entire table
and its indexes to be rewritten", except where the old type is binary coercible to the new one or a domain over it.
(https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES)
"""

from __future__ import annotations

import re

TYPE = re.compile(r"(?P<name>[^()\[\]]+?)(?:\((?P<modifiers>[\d, -]+)\))?(?P<rest> [a-z ]+)?(?P<array>(?:\[\])*)")
TEXTS = ("text", "character varying")
INTEGERS = ("smallint", "integer", "bigint")
TIMES = ("timestamp", "time")
MOST_DIGITS = 6
# Every value has exactly one that stands for it.
HARMLESS = {
    ("real", "double precision"),
    ("json", "jsonb"),
    ("jsonb", "json"),
    ("smallint", "double precision"),
    ("integer", "double precision"),
    ("cidr", "inet"),
    ("date", "timestamp without time zone"),
    ("date", "timestamp with time zone"),
    ("timestamp without time zone", "timestamp with time zone"),
    ("timestamp with time zone", "timestamp without time zone"),
}


def parsed(type_: str) -> tuple[str, list[int], str]:
    """Return a type's name, its modifiers, and whether it is an array."""
    found = TYPE.fullmatch(type_)
    if found is None:
        return type_, [], ""
    modifiers = [int(number) for number in (found["modifiers"] or "").split(",") if number.strip()]
    return found["name"] + (found["rest"] or ""), modifiers, found["array"]


def rewrites(before: str, after: str) -> bool:
    """Whether the change of a type rewrites the table, or at least reads all of it under an exclusive lock."""
    (old, old_modifiers, old_array), (new, new_modifiers, new_array) = parsed(before), parsed(after)
    if old_array or new_array:
        return before != after
    if old in TEXTS and new in TEXTS:
        return not _widened(old_modifiers, new_modifiers)
    if old != new:
        # Both store the same bytes; a cidr is a valid inet.
        return (old, new) != ("cidr", "inet")
    if old == "numeric":
        # A larger precision with the same scale, or no limit at all.
        same_scale = old_modifiers[1:] == new_modifiers[1:] and bool(old_modifiers)
        return bool(new_modifiers) and not (same_scale and new_modifiers[0] >= old_modifiers[0])
    if old.startswith(TIMES):
        return not _kept(old_modifiers, new_modifiers)
    if old in ("character varying", "bit varying"):
        return not _widened(old_modifiers, new_modifiers)
    return before != after


def narrows(before: str, after: str) -> bool:
    """Whether values can be lost or refused when a column gets its new type."""
    (old, old_modifiers, old_array), (new, new_modifiers, new_array) = parsed(before), parsed(after)
    if old_array == new_array == "" and old in INTEGERS and new in INTEGERS:
        return INTEGERS.index(new) < INTEGERS.index(old)
    if new in TEXTS and not new_modifiers and not new_array:
        return False  # everything has a text
    if old in INTEGERS and new == "numeric":
        return bool(new_modifiers)
    if (old, new) in HARMLESS:
        return False
    if old == new == "numeric" and new_modifiers and old_modifiers:
        (old_digits, old_scale), (new_digits, new_scale) = ((*m, 0)[:2] for m in (old_modifiers, new_modifiers))
        return new_scale < old_scale or new_digits - new_scale < old_digits - old_scale
    if old == new and old_array == new_array:
        return not (_kept if old.startswith(TIMES) else _widened)(old_modifiers, new_modifiers)
    if old_array and old_array == new_array:
        return narrows(before.removesuffix(old_array), after.removesuffix(new_array))
    return rewrites(before, after)


def _kept(old: list[int], new: list[int]) -> bool:
    """Whether times keep their digits: there are never more than six of a second."""
    return _widened(old, new) or new[0] >= MOST_DIGITS


def _widened(old: list[int], new: list[int]) -> bool:
    return not new or (bool(old) and new[0] >= old[0])
