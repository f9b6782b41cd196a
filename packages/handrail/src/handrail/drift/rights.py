"""Owners and privileges as SQL: no revision and no model speaks of them, but people change them."""

from __future__ import annotations

from collections.abc import Iterator

from handrail.catalog.ddl.spelling import identifier, place, table_of
from handrail.catalog.difference import Difference
from handrail.catalog.objects import Attributes, Kind, Name
from handrail.operations.comments import target

# The word after ON in GRANT and REVOKE, where there is one.
WORDS = {
    Kind.SCHEMA: "SCHEMA ",
    Kind.SEQUENCE: "SEQUENCE ",
    Kind.ENUM: "TYPE ",
    Kind.DOMAIN: "TYPE ",
    Kind.COMPOSITE: "TYPE ",
    Kind.RANGE: "TYPE ",
}
OBJECTS = {"r": "TABLES", "S": "SEQUENCES", "f": "FUNCTIONS", "T": "TYPES", "n": "SCHEMAS"}


def rights(difference: Difference) -> list[str]:
    """Return the statements that give an object the owner and the privileges that it has on the second side."""
    name, before, after = difference.name, difference.before or {}, difference.after
    if after is None and name.kind is not Kind.DEFAULT_PRIVILEGES:
        return []
    found = []
    wanted = after or {}
    if difference.before is not None and "owner" in difference.changes:
        found.append(f"ALTER {target(name, wanted)} OWNER TO {identifier(wanted['owner'])}")
    if difference.changes or difference.before is None or after is None:
        ignored = difference.ignored
        found += (
            [] if "privileges" in ignored else granted(name, before.get("privileges"), wanted.get("privileges"), wanted)
        )
        found += [] if "revoked" in ignored else withheld(name, before.get("revoked"), wanted.get("revoked"), wanted)
        if "column_privileges" not in ignored:
            found += of_columns(name, before.get("column_privileges") or {}, wanted.get("column_privileges") or {})
    return found


def granted(name: Name, before: list[str] | None, after: list[str] | None, attributes: Attributes) -> Iterator[str]:
    """Yield the statements that grant what is new, and take away what is not there any more."""
    old, new = set(before or ()), set(after or ())
    for grant in sorted(old - new):
        privilege, _, role = grant.partition(" TO ")
        role = role.removesuffix(" WITH GRANT OPTION")
        yield f"{prefix(name)}REVOKE {privilege}{on(name, attributes)} FROM {role}"
    for grant in sorted(new - old):
        privilege, _, role = grant.partition(" TO ")
        yield f"{prefix(name)}GRANT {privilege}{on(name, attributes)} TO {role}"


def withheld(name: Name, before: list[str] | None, after: list[str] | None, attributes: Attributes) -> Iterator[str]:
    """Yield the statements that take away what everybody has by default, or give it back."""
    old, new = set(before or ()), set(after or ())
    for revoked in sorted(new - old):
        privilege, _, role = revoked.partition(" FROM ")
        yield f"{prefix(name)}REVOKE {privilege}{on(name, attributes)} FROM {role}"
    for revoked in sorted(old - new):
        privilege, _, role = revoked.partition(" FROM ")
        yield f"{prefix(name)}GRANT {privilege}{on(name, attributes)} TO {role}"


def of_columns(view: Name, before: Attributes, after: Attributes) -> Iterator[str]:
    """Yield the statements for the columns of a view."""
    for column in sorted({*before, *after}):
        name = Name(Kind.COLUMN, view.schema, view.name, column)
        yield from granted(name, before.get(column), after.get(column), {})


def prefix(name: Name) -> str:
    """Return what comes before GRANT and REVOKE of default privileges."""
    if name.kind is not Kind.DEFAULT_PRIVILEGES:
        return ""
    role = name.name[:-2]
    schema = f"IN SCHEMA {identifier(name.schema)} " if name.schema else ""
    return f"ALTER DEFAULT PRIVILEGES FOR ROLE {identifier(role)} {schema}"


def on(name: Name, attributes: Attributes) -> str:
    """Return what a privilege is for, with the word before it."""
    if name.kind is Kind.DEFAULT_PRIVILEGES:
        return f" ON {OBJECTS[name.name[-1]]}"
    if name.kind is Kind.COLUMN:
        return f" ({identifier(name.name)}) ON {table_of(name)}"
    if name.kind is Kind.FUNCTION:
        return f" ON {target(name, attributes)}"
    return f" ON {WORDS.get(name.kind, '')}{place(name)}"
