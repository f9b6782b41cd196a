"""Values for columns, as SQL that depends on the number of the row: a different one in each row where possible."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from handrail.catalog import Kind
from handrail.connection import literal

if TYPE_CHECKING:
    from handrail.catalog import Attributes, Catalog

I = "handrail_i"  # noqa: E741 - the number of the row, from 1
SHORT = 16  # characters; a text for less holds the number alone

# By name of the type. What is as good as any other is small, positive and in the recent past.
SCALARS = {
    "smallint": f"(({I} - 1) % 32767 + 1)::smallint",
    "integer": f"{I}",
    "bigint": f"{I}::bigint",
    "oid": f"{I}::oid",
    "real": f"({I} + 0.5)::real",
    "double precision": f"{I} + 0.5::double precision",
    "money": f"{I}::money",
    "boolean": f"{I} % 2 = 0",
    "date": f"date '2024-01-01' + {I}",
    "timestamp without time zone": f"timestamp '2024-01-01' + {I} * interval '1 minute'",
    "timestamp with time zone": f"timestamptz '2024-01-01 00:00+00' + {I} * interval '1 minute'",
    "time without time zone": f"time '00:00' + {I} * interval '1 second'",
    "time with time zone": f"timetz '00:00+00' + {I} * interval '1 second'",
    "interval": f"{I} * interval '1 minute'",
    "uuid": f"md5({I}::text)::uuid",
    "json": f"json_build_object('n', {I})",
    "jsonb": f"jsonb_build_object('n', {I})",
    "jsonpath": "'$.n'::jsonpath",
    "bytea": f"int8send({I})",
    "inet": f"inet '10.0.0.0' + {I}",
    "cidr": f"(inet '10.0.0.0' + {I})::cidr",
    "macaddr": f"lpad(to_hex({I}), 12, '0')::macaddr",
    "macaddr8": f"lpad(to_hex({I}), 16, '0')::macaddr8",
    "xml": f"('<n>' || {I} || '</n>')::xml",
    "tsvector": f"to_tsvector('simple', 'word' || {I})",
    "tsquery": f"to_tsquery('simple', 'word' || {I})",
    "int4range": f"int4range({I}, {I} + 1)",
    "int8range": f"int8range({I}, {I} + 1)",
    "numrange": f"numrange({I}, {I} + 1)",
    "daterange": f"daterange(date '2024-01-01' + {I}, date '2024-01-02' + {I})",
    "tsrange": f"tsrange(timestamp '2024-01-01' + {I} * interval '1 hour', timestamp '2024-01-01 01:00' + {I} * "
    "interval '1 hour')",
    "tstzrange": f"tstzrange(timestamptz '2024-01-01 00:00+00' + {I} * interval '1 hour', "
    f"timestamptz '2024-01-01 01:00+00' + {I} * interval '1 hour')",
    "point": f"point({I}, {I})",
    "line": f"line(point(0, {I}), point(1, {I}))",
    "lseg": f"lseg(point(0, {I}), point(1, {I}))",
    "box": f"box(point({I}, {I}), point({I} + 1, {I} + 1))",
    "path": f"path(polygon(box(point({I}, {I}), point({I} + 1, {I} + 1))))",
    "polygon": f"polygon(box(point({I}, {I}), point({I} + 1, {I} + 1)))",
    "circle": f"circle(point({I}, {I}), 1)",
    "pg_lsn": f"('0/' || to_hex({I}))::pg_lsn",
    "hstore": f"('n=>' || {I})::text",
    "ltree": f"('n' || {I})",
}
# Of each range there is one with several parts, of the same name: int4multirange.
SCALARS |= {
    name.replace("range", "multirange"): f"{name.replace('range', 'multirange')}({value})"
    for name, value in SCALARS.items()
    if name.endswith("range")
}
TEXTS = ("text", "character varying", "character", "citext", "name", '"char"')


def value_of(type_: str, column: str, catalog: Catalog) -> str | None:
    """Return SQL for a value of a type as `format_type` writes it; None where we know none.

    Args:
        type_: The type, with its schema unless that is pg_catalog.
        column: The column's name, for texts that tell where they are from.
        catalog: Tells of enums, domains and composite types.
    """
    if type_.endswith("[]"):
        element = value_of(type_.removesuffix("[]"), column, catalog)
        return element and f"CAST(ARRAY[{element}] AS {type_})"
    base, parameters, rest = _parts(type_)
    name = f"{base} {rest}".strip()
    own = name.rpartition(".")[2]
    if own in TEXTS:
        return _text(own, parameters, column, type_)
    if name in ("numeric", "bit", "bit varying"):
        return _number(name, parameters, type_)
    if scalar := SCALARS.get(own):
        return f"CAST({scalar} AS {type_})"
    if own == "vector":
        return f"CAST(array_fill({I}::real, ARRAY[{parameters or '3'}]) AS {type_})"
    return _of_users(type_, column, catalog)


def _parts(type_: str) -> tuple[str, str, str]:
    """Split `timestamp(3) with time zone` into its name, the parameters, and the rest of the name."""
    found = re.fullmatch(r"([^(]+)(?:\(([^)]*)\))?(.*)", type_)
    return (found[1], found[2] or "", (found[3] or "").strip()) if found else (type_, "", "")


def _text(own: str, parameters: str, column: str, type_: str) -> str:
    length = int(parameters or 1 if own in ("character", '"char"') else parameters or 1000)
    value = f"{literal(column + ' ')} || {I}" if length >= SHORT + len(column) else f"right({I}::text, {length})"
    return f"CAST({value} AS {type_})"


def _number(name: str, parameters: str, type_: str) -> str:
    if name == "numeric":
        precision, _, scale = parameters.partition(",")
        digits = int(precision) - int(scale or 0) if precision else 18
        return f"CAST({I} % {10 ** min(max(digits, 0), 18)}::bigint AS {type_})"
    return f"CAST({I}::bit({parameters or '1'}) AS {type_})" if name == "bit" else f"CAST({I}::bit(32) AS {type_})"


def _of_users(type_: str, column: str, catalog: Catalog) -> str | None:
    kind, attributes = user_type(type_, catalog)
    if kind is Kind.ENUM:
        values = ", ".join(map(literal, attributes["values"]))
        return f"CAST((ARRAY[{values}])[{I} % {len(attributes['values'])} + 1] AS {type_})"
    if kind is Kind.DOMAIN:
        value = value_of(attributes["type"], column, catalog)
        return value and f"CAST({value} AS {type_})"
    if kind is Kind.COMPOSITE:
        parts = [value_of(part[1], column, catalog) or "NULL" for part in attributes["attributes"]]
        return f"CAST(ROW({', '.join(parts)}) AS {type_})"
    if kind is Kind.RANGE:
        bound = value_of(attributes["subtype"], column, catalog)
        return bound and f"{type_}({bound}, {bound}, '[]')"
    return None


def user_type(type_: str, catalog: Catalog) -> tuple[Kind | None, Attributes]:
    """Return of which kind a type is that somebody has created, and its attributes."""
    plain = type_.replace('"', "")
    for name, attributes in catalog.of_kind(Kind.ENUM, Kind.DOMAIN, Kind.COMPOSITE, Kind.RANGE):
        if plain in (f"{name.schema}.{name.name}", name.name):
            return name.kind, attributes
    return None, {}


def base_type(type_: str, catalog: Catalog) -> str:
    """Return what a domain is based on; any other type is its own base."""
    kind, attributes = user_type(type_, catalog)
    return base_type(attributes["type"], catalog) if kind is Kind.DOMAIN else type_


def alternatives(type_: str, expressions: list[str], default: str | None, nullable: bool) -> Iterator[str]:
    """Yield other values for a column that checks are about: first those that the checks name themselves.

    Args:
        type_: The column's type, of a domain its base.
        expressions: The checks.
        default: The column's default, which most often passes them.
        nullable: Whether it may be NULL, on which hardly a check insists.
    """
    texts = list(dict.fromkeys(text for sql in expressions for text in re.findall(r"'((?:[^']|'')*)'::", sql)))
    if texts:
        every = ", ".join(f"'{text}'" for text in texts)
        yield f"CAST((ARRAY[{every}])[{I} % {len(texts)} + 1] AS {type_})"
        yield from (f"CAST('{text}' AS {type_})" for text in texts)
    if default is not None and "nextval(" not in default:
        yield f"CAST({default} AS {type_})"
    numbers = list(dict.fromkeys(number for sql in expressions for number in re.findall(r"(?<![\w.'])-?\d+", sql)))
    for shape in _shapes(type_, numbers):
        yield f"CAST({shape} AS {type_})"
    if nullable:
        yield "NULL"


def _shapes(type_: str, numbers: list[str]) -> Iterator[str]:
    base = _parts(type_)[0]
    if base in ("smallint", "integer", "bigint", "numeric", "real", "double precision"):
        yield from ("1", "0", *numbers)
        yield from (f"{number} + 1" for number in numbers)
        yield from (f"{number} - 1" for number in numbers)
        yield from (f"{I} % {abs(int(number)) + 1}" for number in numbers)
        yield from (f"-{I}", f"{I} * 1000", f"0.5 + {I} % 2 * 0.25")
    elif base in ("date", "timestamp", "timestamp without time zone", "timestamp with time zone"):
        yield from (
            f"{start} + {I} * interval '1 minute'" for start in ("timestamp '2034-01-01'", "timestamp '2000-01-01'")
        )
        yield "now() + interval '1 day'"
        yield "now() - interval '1 day'"
    elif base == "boolean":
        yield from ("true", "false")
    elif base in TEXTS:
        yield from (
            f"'user' || {I} || '@example.com'", f"'https://example.com/' || {I}", f"'name-' || {I}", f"'name' || {I}",
            f"'NAME' || {I}", f"lpad({I}::text, 5, '0')", f"'+4930' || lpad({I}::text, 8, '0')",
        )  # fmt: skip
        yield from (f"lpad({I}::text, {number}, '0')" for number in numbers if 0 < int(number) <= 1000)
        yield from ("'A'", "'EUR'", "'de'")
    elif base in ("json", "jsonb"):
        yield from ("'{}'", "'[]'")
