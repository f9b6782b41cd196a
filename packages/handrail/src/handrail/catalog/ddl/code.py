"""CREATE statements of what holds code: views, functions, triggers, rules, policies, and extended statistics."""

from __future__ import annotations

from collections.abc import Iterator

from handrail.catalog.ddl.columns import settings as column_settings
from handrail.catalog.ddl.spelling import comment, identifier, options, place, table_of
from handrail.catalog.objects import Attributes, Catalog, Kind, Name
from handrail.connection import literal

PARALLEL = {"s": "safe", "r": "restricted"}
ENABLED = {"disabled": "DISABLE", "replica": "ENABLE REPLICA", "always": "ENABLE ALWAYS"}


def view(catalog: Catalog, name: Name, attributes: Attributes) -> list[str]:
    """Return a view or materialized view, with the settings, defaults and comments of its columns."""
    kind = name.kind.upper()
    stored = f" WITH ({', '.join(options(attributes['options']))})" if attributes.get("options") else ""
    # WITH NO DATA as it is: a view that nobody has filled cannot be read.
    empty = "" if attributes.get("populated", True) else "\nWITH NO DATA"
    text = attributes["definition"].rstrip().removesuffix(";")
    using = f" USING {identifier(attributes['access_method'])}" if attributes.get("access_method") else ""
    where = f" TABLESPACE {identifier(attributes['tablespace'])}" if attributes.get("tablespace") else ""
    statements = [f"CREATE {kind} {place(name)}{using}{stored}{where} AS\n{text}{empty}"]
    for column, settings in sorted((attributes.get("column_settings") or {}).items()):
        statements += column_settings(catalog, Name(Kind.COLUMN, name.schema, name.name, column), settings)
    for column, default in sorted((attributes.get("defaults") or {}).items()):
        statements.append(f"ALTER {kind} {place(name)} ALTER COLUMN {identifier(column)} SET DEFAULT {default}")
    statements += comment(f"{kind} {place(name)}", attributes.get("comment"))
    for column, text in sorted((attributes.get("column_comments") or {}).items()):
        statements += comment(f"COLUMN {place(name)}.{identifier(column)}", text)
    return statements


def function(_catalog: Catalog, name: Name, attributes: Attributes) -> list[str]:
    """Return a function, procedure or aggregate."""
    commented = comment(f"{routine(attributes)} {signature(name, attributes)}", attributes.get("comment"))
    if attributes["type"] == "aggregate":
        parts = ", ".join(_aggregate(attributes["aggregate"]))
        return [f"CREATE AGGREGATE {signature(name, attributes)} ({parts})", *commented]
    return [attributes["definition"].strip().replace("CREATE OR REPLACE ", "CREATE ", 1), *commented]


def routine(attributes: Attributes) -> str:
    """Return the word for it after DROP and COMMENT ON."""
    return "FUNCTION" if attributes["type"] == "window" else str(attributes["type"]).upper()


def signature(name: Name, attributes: Attributes) -> str:
    """Return its name with the types of its arguments; an aggregate without arguments has a star."""
    text = place(name)
    return text.removesuffix("()") + "(*)" if attributes["type"] == "aggregate" and text.endswith("()") else text


def _aggregate(aggregate: Attributes) -> Iterator[str]:
    for key in ("sfunc", "stype", "finalfunc", "combinefunc"):
        if aggregate.get(key):
            yield f"{key} = {aggregate[key]}"
    if aggregate.get("initcond") is not None:
        yield f"initcond = {literal(aggregate['initcond'])}"
    if aggregate.get("parallel") in PARALLEL:
        yield f"parallel = {PARALLEL[aggregate['parallel']]}"


def trigger(_catalog: Catalog, name: Name, attributes: Attributes) -> list[str]:
    """Return a trigger; nothing for one that a partition has from its parent."""
    if attributes.get("inherited"):
        return []
    return [attributes["definition"], *_enabled("TRIGGER", name, attributes), *_comment_on_part(name, attributes)]


def rule(_catalog: Catalog, name: Name, attributes: Attributes) -> list[str]:
    text = attributes["definition"].rstrip().removesuffix(";")
    return [text, *_enabled("RULE", name, attributes), *_comment_on_part(name, attributes)]


def policy(_catalog: Catalog, name: Name, attributes: Attributes) -> list[str]:
    parts = [f"CREATE POLICY {identifier(name.name)} ON {table_of(name)}"]
    if not attributes["permissive"]:
        parts.append("AS RESTRICTIVE")
    roles = ", ".join("PUBLIC" if role == "public" else identifier(role) for role in attributes["roles"])
    parts.append(f"FOR {attributes['command']} TO {roles}")
    if attributes.get("using") is not None:
        parts.append(f"USING ({attributes['using']})")
    if attributes.get("check") is not None:
        parts.append(f"WITH CHECK ({attributes['check']})")
    return [" ".join(parts), *_comment_on_part(name, attributes)]


def statistics(_catalog: Catalog, name: Name, attributes: Attributes) -> list[str]:
    target = attributes.get("target")
    return [
        attributes["definition"],
        *([] if target is None else [f"ALTER STATISTICS {place(name)} SET STATISTICS {target}"]),
        *comment(f"STATISTICS {place(name)}", attributes.get("comment")),
    ]


def _enabled(word: str, name: Name, attributes: Attributes) -> list[str]:
    enabled = attributes.get("enabled")
    return [f"ALTER TABLE {table_of(name)} {ENABLED[enabled]} {word} {identifier(name.name)}"] if enabled else []


def _comment_on_part(name: Name, attributes: Attributes) -> list[str]:
    return comment(f"{name.kind.upper()} {identifier(name.name)} ON {table_of(name)}", attributes.get("comment"))
