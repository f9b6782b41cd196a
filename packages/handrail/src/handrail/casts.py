"""What a change of a column's type asks of PostgreSQL: nothing, a cast to be written, and what must make way for it."""

from __future__ import annotations

FAMILIES = {
    "number": {"smallint", "integer", "bigint", "numeric", "real", "double precision"},
    "string": {"text", "character varying", "character", "bpchar", "name", "public.citext"},
    "moment": {"date", "timestamp without time zone", "timestamp with time zone"},
    "time": {"time without time zone", "time with time zone"},
    "json": {"json", "jsonb"},
    "address": {"inet", "cidr"},
    "bits": {"bit", "bit varying"},
}
# Between families, each of these pairs has a cast of its own in one direction and the other.
CASTABLE = ({"moment", "time"}, {"time", "interval"}, {"number", "money"})


def family(type_: str) -> str:
    """Return what a type is a kind of, without length and precision: within it PostgreSQL converts by itself."""
    if type_.endswith("[]"):
        return family(type_.removesuffix("[]")) + "[]"
    base = unmeasured(type_)
    if base.startswith("interval"):
        return "interval"
    return next((name for name, types in FAMILIES.items() if base in types), type_)


def unmeasured(type_: str) -> str:
    """Return a type without length and precision."""
    head, _, tail = type_.partition("(")
    return head.strip() + tail.partition(")")[2]


def is_conversion(before: str, after: str) -> bool:
    """Whether values become something of another nature, which no default, CHECK or index of the old one survives."""
    return family(before) != family(after)


def using(column: str, before: str, after: str) -> str | None:
    """Return the expression that converts a column, or None where PostgreSQL needs none."""
    if not is_conversion(before, after) or family(after) == "string":
        return None
    return cast(column, before, after)


def is_assignable(before: str, after: str) -> bool:
    """Whether two kinds of types have a cast that PostgreSQL uses by itself for some of them."""
    return {family(before), family(after)} in CASTABLE


def cast(column: str, before: str, after: str) -> str:
    """Return a cast that works between these types, through text where there is no other way."""
    if before.endswith("[]") != after.endswith("[]"):
        return f"{column}::text::{after}"
    families = {family(before).removesuffix("[]"), family(after).removesuffix("[]")}
    if "string" in families or families in CASTABLE:
        return f"{column}::{after}"
    if families == {"number", "boolean"}:
        return f"{column}::integer::{after}" if "integer" not in (before, after) else f"{column}::{after}"
    return f"{column}::text{'[]' if after.endswith('[]') else ''}::{after}"
