"""What a table has from its parents, and how a partition becomes one: created as such, or attached."""

from __future__ import annotations

from handrail.catalog.ddl.spelling import MAX_NAME_BYTES, place, qualified
from handrail.catalog.objects import Attributes, Catalog, Kind, Name

SUFFIXES = {"primary key": "pkey", "unique": "key", "exclude": "excl"}


def parents(attributes: Attributes) -> list[Name]:
    """Return the tables that a table inherits from, or the one that it is a partition of."""
    found = list(attributes.get("inherits") or ())
    if attributes.get("partition_of"):
        found.append(attributes["partition_of"])
    return [Name(Kind.TABLE, schema, "", table) for schema, table in found]


def parent_column(catalog: Catalog, table: Attributes, column: str) -> Attributes:
    """Return what a column of this name is in the nearest parent that has one; nothing when none has."""
    for parent in parents(table):
        found = catalog.objects.get(Name(Kind.COLUMN, parent.schema, parent.name, column))
        if found is not None:
            return found
    return {}


def is_attached(catalog: Catalog, name: Name) -> bool:
    """Whether `CREATE TABLE … PARTITION OF` would give this partition other columns or names than it has."""
    attributes = catalog.objects[name]
    return bool(attributes.get("partition_of")) and not (_same_columns(catalog, name) and _chosen_names(catalog, name))


def attach(name: Name, attributes: Attributes) -> str:
    """Return the statement that makes a table a partition."""
    return f"ALTER TABLE {qualified(*attributes['partition_of'])} ATTACH PARTITION {place(name)} {attributes['bound']}"


def _same_columns(catalog: Catalog, name: Name) -> bool:
    (parent,) = parents(catalog.objects[name])
    own, theirs = (
        [
            (column, a["type"], a.get("collation"), a.get("generated"))
            for column, a in catalog.parts(t, Kind.COLUMN).items()
        ]
        for t in (name, parent)
    )
    return own == theirs


def _chosen_names(catalog: Catalog, name: Name) -> bool:
    """Whether the indexes that it has from its parent are called what PostgreSQL calls them by itself."""
    chosen = []
    for constraint, attributes in catalog.parts(name, Kind.CONSTRAINT).items():
        suffix = SUFFIXES.get(attributes["type"])
        if attributes.get("inherited") and suffix:
            columns = [] if suffix == "pkey" else [*(attributes.get("columns") or ()), *attributes.get("include", ())]
            chosen.append((constraint, [name.name, *columns, suffix]))
    for index, attributes in catalog.parts(name, Kind.INDEX).items():
        if attributes.get("inherited"):
            keys = [key.get("column", "expr") for key in attributes["keys"]]
            chosen.append((index, [name.name, *keys, *attributes.get("include", ()), "idx"]))
    return all(own == "_".join(parts) and len(own.encode()) <= MAX_NAME_BYTES for own, parts in chosen)
