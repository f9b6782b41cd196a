"""CREATE statements of schemas, extensions, collations, types and sequences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handrail.catalog.ddl.spelling import comment, identifier, place, qualified
from handrail.catalog.objects import Attributes, Catalog, Kind, Name
from handrail.connection import literal

PUBLIC_COMMENT = "standard public schema"
LIMITS = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}
PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin", "d": "default"}


def schema(_catalog: Catalog, name: Name, attributes: Attributes) -> list[str]:
    """Every database has `public` already."""
    commented = comment(f"SCHEMA {identifier(name.name)}", attributes.get("comment"))
    if name.name == "public":
        return [] if attributes.get("comment") == PUBLIC_COMMENT else commented
    return [f"CREATE SCHEMA {identifier(name.name)}", *commented]


def extension(_catalog: Catalog, name: Name, attributes: Attributes) -> list[str]:
    """Without the version: each server has one of its own."""
    return [f"CREATE EXTENSION {identifier(name.name)} WITH SCHEMA {identifier(attributes['schema'])}"]


def collation(_catalog: Catalog, name: Name, attributes: Attributes) -> list[str]:
    texts = {key: attributes.get(key) for key in ("locale", "lc_collate", "lc_ctype", "rules")}
    parts = [f"provider = {PROVIDERS[attributes['provider']]}"]
    parts += [f"{key} = {literal(text)}" for key, text in texts.items() if text is not None]
    if not attributes.get("deterministic", True):
        parts.append("deterministic = false")
    return [
        f"CREATE COLLATION {place(name)} ({', '.join(parts)})",
        *comment(f"COLLATION {place(name)}", attributes.get("comment")),
    ]


def enum(_catalog: Catalog, name: Name, attributes: Attributes) -> list[str]:
    values = ", ".join(map(literal, attributes.get("values") or ()))
    return [f"CREATE TYPE {place(name)} AS ENUM ({values})", *_type_comment(name, attributes)]


def domain(_catalog: Catalog, name: Name, attributes: Attributes) -> list[str]:
    parts = [f"CREATE DOMAIN {place(name)} AS {attributes['type']}"]
    if attributes.get("collation"):
        parts.append(f"COLLATE {attributes['collation']}")
    if attributes.get("default") is not None:
        parts.append(f"DEFAULT {attributes['default']}")
    if attributes.get("not_null"):
        parts.append("NOT NULL")
    checks = sorted((attributes.get("checks") or {}).items())
    # CREATE DOMAIN would take one that is not valid for a valid one.
    later = [(key, check) for key, check in checks if check.endswith(" NOT VALID")]
    parts += [f"CONSTRAINT {identifier(key)} {check}" for key, check in checks if (key, check) not in later]
    return [
        " ".join(parts),
        *(f"ALTER DOMAIN {place(name)} ADD CONSTRAINT {identifier(key)} {check}" for key, check in later),
        *comment(f"DOMAIN {place(name)}", attributes.get("comment")),
    ]


def composite(_catalog: Catalog, name: Name, attributes: Attributes) -> list[str]:
    parts = [
        f"{identifier(part)} {type_}" + (f" COLLATE {collation_}" if collation_ else "")
        for part, type_, collation_ in attributes.get("attributes") or ()
    ]
    return [f"CREATE TYPE {place(name)} AS ({', '.join(parts)})", *_type_comment(name, attributes)]


def range_(_catalog: Catalog, name: Name, attributes: Attributes) -> list[str]:
    keys = ("subtype", "subtype_opclass", "collation", "canonical", "subtype_diff")
    parts = [f"{key} = {attributes[key]}" for key in keys if attributes.get(key)]
    parts.append(f"multirange_type_name = {qualified(name.schema, attributes['multirange'])}")
    return [f"CREATE TYPE {place(name)} AS RANGE ({', '.join(parts)})", *_type_comment(name, attributes)]


def sequence(catalog: Catalog, name: Name, attributes: Attributes) -> list[str]:
    """A column that counts with it takes it over when it is created itself; any other column has to be there before."""
    unlogged = "UNLOGGED " if attributes.get("unlogged") else ""
    parts = [f"CREATE {unlogged}SEQUENCE {place(name)}", *_unless_bigint(attributes), *counting(attributes)]
    taken_over = attributes.get("owned_by") is None or counts_for_its_owner(catalog, name, attributes)
    return [
        " ".join(parts),
        *([] if taken_over else [owned_by(name, attributes)]),
        *comment(f"SEQUENCE {place(name)}", attributes.get("comment")),
    ]


def owned_by(name: Name, attributes: Attributes) -> str:
    """Return the statement that makes a sequence go with its column."""
    owner_schema, table, column = attributes["owned_by"]
    return f"ALTER SEQUENCE {place(name)} OWNED BY {qualified(owner_schema, table)}.{identifier(column)}"


def counts_for_its_owner(catalog: Catalog, name: Name, attributes: Attributes) -> bool:
    """Whether the default of the column that owns it is its next value, as with `serial`."""
    owner_schema, table, column = attributes["owned_by"]
    owner = catalog.objects.get(Name(Kind.COLUMN, owner_schema, table, column), {})
    return literal(place(name)) in (owner.get("default") or "")


def counting(attributes: Mapping[str, Any], type_: str | None = None) -> list[str]:
    """Return the options of a sequence or identity that are not the ordinary ones."""
    increment, limit = attributes.get("increment", 1), LIMITS[type_ or attributes.get("type", "bigint")]
    lowest, highest = (1, limit - 1) if increment > 0 else (-limit, -1)
    first = attributes.get("min", lowest) if increment > 0 else attributes.get("max", highest)
    ordinary = {"start": first, "increment": 1, "min": lowest, "max": highest, "cache": 1}
    words = {
        "start": "START WITH",
        "increment": "INCREMENT BY",
        "min": "MINVALUE",
        "max": "MAXVALUE",
        "cache": "CACHE",
    }
    found = [
        f"{word} {attributes[key]}"
        for key, word in words.items()
        if attributes.get(key, ordinary[key]) != ordinary[key]
    ]
    return [*found, "CYCLE"] if attributes.get("cycle") else found


def _unless_bigint(attributes: Attributes) -> list[str]:
    return [f"AS {attributes['type']}"] if attributes.get("type", "bigint") != "bigint" else []


def _type_comment(name: Name, attributes: Attributes) -> list[str]:
    return comment(f"TYPE {place(name)}", attributes.get("comment"))
