"""A column: its definition, and what of it can only be said by statements of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from handrail.catalog.ddl.partitions import parent_column
from handrail.catalog.ddl.spelling import comment, foreign_options, identifier, options, table_of
from handrail.catalog.ddl.types import counting, owned_by
from handrail.catalog.objects import Attributes, Catalog, Kind, Name

NEXTVAL = re.compile(r"nextval\(E?'((?:[^']|'')+)'::regclass\)")
PART = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')


def definition(name: str, attributes: Attributes, *, with_default: bool = True) -> str:
    """Return a column as it stands in CREATE TABLE and after ADD COLUMN."""
    parts = [identifier(name), attributes["type"]]
    if attributes.get("foreign_options"):
        parts.append(foreign_options(attributes["foreign_options"]))
    if attributes.get("compression"):
        parts.append(f"COMPRESSION {attributes['compression']}")
    if attributes.get("collation"):
        parts.append(f"COLLATE {attributes['collation']}")
    return " ".join([*parts, *value(attributes, with_default=with_default)])


def value(attributes: Attributes, *, with_default: bool = True) -> Iterator[str]:
    """Yield where a column's value comes from when none is given, and whether there must be one."""
    if (default := attributes.get("default")) is not None and with_default:
        yield f"DEFAULT {default}"
    if generated := attributes.get("generated"):
        yield f"GENERATED ALWAYS AS ({generated['expression']}) {'STORED' if generated['stored'] else 'VIRTUAL'}"
    if identity := attributes.get("identity"):
        counted = " ".join(counting(identity, attributes["type"]))
        always = "ALWAYS" if identity["always"] else "BY DEFAULT"
        yield f"GENERATED {always} AS IDENTITY" + (f" ({counted})" if counted else "")
    if attributes.get("not_null"):
        yield "NOT NULL"


def settings(catalog: Catalog, name: Name, attributes: Attributes) -> Iterator[str]:
    """Yield the statements for what no definition says; of an inherited column also what is not as in its parent."""
    table = catalog.objects.get(name.owner, {})
    inherited = parent_column(catalog, table, name.name) if attributes.get("inherited") else {}
    alter = f"ALTER TABLE {table_of(name)} ALTER COLUMN {identifier(name.name)}"
    own = {
        key: attributes.get(key)
        for key in attributes.keys() | inherited.keys()
        if attributes.get(key) != inherited.get(key)
    }
    if inherited and "default" in own:
        yield f"{alter} DROP DEFAULT" if own["default"] is None else f"{alter} SET DEFAULT {own['default']}"
    if inherited and own.get("not_null"):
        yield f"{alter} SET NOT NULL"
    if inherited and own.get("compression"):
        yield f"{alter} SET COMPRESSION {own['compression']}"
    if own.get("storage"):
        yield f"{alter} SET STORAGE {own['storage']}"
    if own.get("statistics") is not None:
        yield f"{alter} SET STATISTICS {own['statistics']}"
    if own.get("options"):
        yield f"{alter} SET ({', '.join(options(own['options']))})"
    yield from _takes_over(catalog, name, attributes)
    yield from comment(f"COLUMN {table_of(name)}.{identifier(name.name)}", attributes.get("comment"))


def set_default(name: Name, attributes: Attributes) -> str:
    """Return the statement that gives a column its default afterwards."""
    return f"ALTER TABLE {table_of(name)} ALTER COLUMN {identifier(name.name)} SET DEFAULT {attributes['default']}"


def _takes_over(catalog: Catalog, name: Name, attributes: Attributes) -> Iterator[str]:
    """Yield the statement that makes the sequence that a column counts with its own, as `serial` does."""
    found = NEXTVAL.search(attributes.get("default") or "")
    if found is None:
        return
    parts = [(quoted or plain).replace('""', '"').replace("''", "'") for quoted, plain in PART.findall(found[1])]
    sequence = Name(Kind.SEQUENCE, parts[0], "", parts[-1])
    owner = catalog.objects.get(sequence, {}).get("owned_by")
    if owner == [name.schema, name.table, name.name]:
        yield owned_by(sequence, catalog.objects[sequence])
