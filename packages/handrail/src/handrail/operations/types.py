"""The types of columns: the model's own where it means the same, otherwise SQLAlchemy's for the server's text."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.exc import CompileError
from sqlalchemy.types import SchemaType, TypeDecorator, TypeEngine

from handrail.catalog.objects import Catalog, Kind, Name
from handrail.operations.statement import sql_text

if TYPE_CHECKING:
    from sqlalchemy import Dialect

    from handrail.catalog.objects import Attributes

Type = TypeEngine[Any]

# With this style of parameters a % is not doubled.
DIALECT: Dialect = PGDialect(paramstyle="named")  # type: ignore[no-untyped-call]

# Types without parameters, by the name that `format_type` gives them.
PLAIN: Mapping[str, Callable[[], Type]] = {
    "bigint": sa.BigInteger,
    "integer": sa.Integer,
    "smallint": sa.SmallInteger,
    "real": sa.REAL,
    "double precision": sa.Double,
    "numeric": sa.Numeric,
    "boolean": sa.Boolean,
    "text": sa.Text,
    "character varying": sa.String,
    "bytea": sa.LargeBinary,
    "date": sa.Date,
    "timestamp without time zone": sa.DateTime,
    "timestamp with time zone": lambda: sa.DateTime(timezone=True),
    "time without time zone": sa.Time,
    "time with time zone": lambda: sa.Time(timezone=True),
    "interval": sa.Interval,
    "uuid": sa.Uuid,
    "json": sa.JSON,
    "jsonb": lambda: postgresql.JSONB(astext_type=sa.Text()),
    "inet": postgresql.INET,
    "cidr": postgresql.CIDR,
    "macaddr": postgresql.MACADDR,
    "macaddr8": postgresql.MACADDR8,
    "money": postgresql.MONEY,
    "bit varying": lambda: postgresql.BIT(varying=True),
    "tsvector": postgresql.TSVECTOR,
    "tsquery": postgresql.TSQUERY,
    "oid": postgresql.OID,
    "regclass": postgresql.REGCLASS,
    "regconfig": postgresql.REGCONFIG,
    "public.citext": postgresql.CITEXT,
    "public.hstore": lambda: postgresql.HSTORE(text_type=sa.Text()),
    **{name.lower(): getattr(postgresql, name) for name in (
        "INT4RANGE", "INT8RANGE", "NUMRANGE", "DATERANGE", "TSRANGE", "TSTZRANGE",
        "INT4MULTIRANGE", "INT8MULTIRANGE", "NUMMULTIRANGE", "DATEMULTIRANGE", "TSMULTIRANGE", "TSTZMULTIRANGE",
    )},
}  # fmt: skip

# Types with parameters, as patterns.
WITH_PARAMETERS: Mapping[str, Callable[..., Type]] = {
    r"numeric\((\d+),(-?\d+)\)": lambda precision, scale: sa.Numeric(precision=int(precision), scale=int(scale)),
    r"character varying\((\d+)\)": lambda length: sa.String(length=int(length)),
    r"character\((\d+)\)": lambda length: sa.CHAR(length=int(length)),
    r"bit\((\d+)\)": lambda length: postgresql.BIT(length=int(length)),
    r"bit varying\((\d+)\)": lambda length: postgresql.BIT(length=int(length), varying=True),
    r"timestamp\((\d)\) with(out)? time zone": lambda precision, without: postgresql.TIMESTAMP(
        timezone=not without, precision=int(precision)
    ),
    r"time\((\d)\) with(out)? time zone": lambda precision, without: postgresql.TIME(
        timezone=not without, precision=int(precision)
    ),
    r"interval\((\d)\)": lambda precision: postgresql.INTERVAL(precision=int(precision)),
    r"interval ([a-z ]+)(?:\((\d)\))?": lambda fields, precision: postgresql.INTERVAL(
        fields=fields.upper(), precision=int(precision) if precision else None
    ),
}

# Other spellings of one type, as SQLAlchemy's compiler or a user's type writes them.
SPELLINGS = {
    r"^varchar\b": "character varying",
    r"^char\b": "character",
    r"^(decimal)\b": "numeric",
    r"^numeric\((\d+)\)": r"numeric(\1,0)",
    r"^float\((?:[1-9]|1\d|2[0-4])\)$": "real",
    r"^float(\(\d+\))?$": "double precision",
    r"^(timestamp|time)(\(\d\))?$": r"\1\2 without time zone",
    r"^int$": "integer",
    r"^timestamptz$": "timestamp with time zone",
}


def column_type(
    attributes: Attributes, catalog: Catalog, model: Type | None, default_schema: str | None = None
) -> Type | None:
    """Return the type of a column, or None where SQLAlchemy has no words for it.

    Args:
        attributes: The column's, of which `type` and `collation` count.
        catalog: Where its enum or domain is described.
        model: The type that the model's column has, if there is one.
        default_schema: Left out in the names of enums and domains.
    """
    text, collation = attributes["type"], attributes.get("collation")
    if model is not None and writes_itself(model) and means(model, text, collation):
        return model
    parsed = parse(text, catalog, default_schema)
    if collation is None or parsed is None:
        return parsed
    item: Any = parsed.item_type if isinstance(parsed, postgresql.ARRAY) else parsed
    if not isinstance(item, sa.String) or "." in collation:
        return None
    item.collation = collation.strip('"')
    return parsed


def writes_itself(model: Type) -> bool:
    """Whether a revision can hold this type: its text is Python, and it creates no type or CHECK on its own."""
    if isinstance(model, TypeDecorator):
        return writes_itself(model.impl_instance) and is_python(repr(model))
    if isinstance(model, sa.ARRAY):
        return writes_itself(model.item_type)
    if isinstance(model, sa.Boolean):
        return not model.create_constraint
    if isinstance(model, SchemaType):
        return False
    variants = getattr(model, "_variant_mapping", {})
    return all(map(writes_itself, variants.values())) and is_python(repr(model))


def is_python(text: str) -> bool:
    try:
        ast.parse(text, mode="eval")
    except SyntaxError:
        return False
    return True


def means(model: Type, text: str, collation: str | None) -> bool:
    """Whether a model's type is, on PostgreSQL, the one that the server calls so."""
    try:
        compiled = model.compile(dialect=DIALECT)
    except CompileError:
        return False
    written, _, collated = compiled.partition(" COLLATE ")
    return canonical(written) == canonical(text) and collated.strip('"') == (collation or "").strip('"')


@lru_cache
def canonical(text: str) -> str:
    """Return one spelling for a type's name: in small letters, without schema and dimensions."""
    name, brackets, _ = re.sub(r'"', "", text.lower()).partition("[")
    name = re.sub(r"\s*([(),])\s*", r"\1", name.strip())
    name = re.sub(r"^[^(]*\.", "", name)
    for pattern, spelling in SPELLINGS.items():
        name = re.sub(pattern, spelling, name)
    return name + ("[]" if brackets else "")


def parse(text: str, catalog: Catalog, default_schema: str | None = None) -> Type | None:
    """Return SQLAlchemy's type for a name as `format_type` writes it, or None where there is none."""
    if text.endswith("[]"):
        item = parse(text[:-2], catalog, default_schema)
        return None if item is None else postgresql.ARRAY(item)
    if text in PLAIN:
        return PLAIN[text]()
    for pattern, make in WITH_PARAMETERS.items():
        if found := re.fullmatch(pattern, text):
            return make(*found.groups())
    name = type_name(text)
    return named_type(*name, catalog, default_schema) if name else None


def type_name(text: str) -> tuple[str, str] | None:
    """Return schema and name of a type that is not PostgreSQL's own, without the brackets of an array."""
    part = r'("(?:[^"]|"")+"|\w[\w$]*)'
    found = re.fullmatch(rf"{part}\.{part}(?:\[\])*", text)
    if found is None:
        return None
    schema, name = (p[1:-1].replace('""', '"') if p.startswith('"') else p for p in found.groups())
    return schema, name


def named_type(schema: str, name: str, catalog: Catalog, default_schema: str | None) -> Type | None:
    """Return the enum or domain of this name; neither is created or dropped with a table that uses it."""
    shown = None if schema == default_schema else schema
    if enum := catalog.objects.get(Name(Kind.ENUM, schema, "", name)):
        return postgresql.ENUM(*enum["values"], name=name, schema=shown, create_type=False)
    if domain := catalog.objects.get(Name(Kind.DOMAIN, schema, "", name)):
        return domain_type(shown, name, domain, catalog)
    return None


def domain_type(schema: str | None, name: str, domain: Attributes, catalog: Catalog) -> Type | None:
    base = parse(domain["type"], catalog)
    checks = domain.get("checks") or {}
    if base is None or len(checks) > 1 or domain.get("collation"):
        return None
    options: dict[str, Any] = {"not_null": domain.get("not_null") or None}
    for constraint, definition in checks.items():
        options |= {"constraint_name": constraint, "check": sql_text(definition.removeprefix("CHECK ").strip()[1:-1])}
    if domain.get("default") is not None:
        options["default"] = sql_text(domain["default"])
    return postgresql.DOMAIN(name, base, schema=schema, create_type=False, **options)
