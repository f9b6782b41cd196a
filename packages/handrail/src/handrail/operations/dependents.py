"""What stands in the way of a change: objects that must be dropped before it and created again after it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from handrail.casts import is_conversion, unmeasured
from handrail.catalog.objects import Attributes, Kind, Name
from handrail.operations.code import CODE, ON_TABLES, VIEWS, text_of
from handrail.operations.identifiers import mentions, mentions_relation
from handrail.operations.ordering import referred_table
from handrail.operations.types import type_name

if TYPE_CHECKING:
    from handrail.catalog.difference import Difference
    from handrail.operations.sides import Sides

WITH_TEXT = (*CODE, Kind.FUNCTION)


@dataclass
class Upheaval:
    """What a set of differences shakes, as it grows by what depends on it.

    Attributes:
        gone: Columns, constraints, indexes, tables, views, functions that will not be there for a while.
        retyped: Columns whose type changes; nothing that is made of text may speak of them then.
        reread: Those of them with which an expression may come to mean something else: not if only a length changes.
        converted: Those of them whose values become something of another nature, to which no key can refer meanwhile.
        types: Types that give their name to a new one.
    """

    gone: set[Name] = field(default_factory=set)
    retyped: set[Name] = field(default_factory=set)
    reread: set[Name] = field(default_factory=set)
    converted: set[Name] = field(default_factory=set)
    types: set[Name] = field(default_factory=set)

    def columns_of(self, table: Name) -> Iterator[Name]:
        """Yield the columns of a table that are not what they were."""
        return (c for c in self.retyped | self.gone if c.kind is Kind.COLUMN and c.owner == table)


def spread(sides: Sides, upheaval: Upheaval) -> None:
    """Add to an upheaval everything in the catalog before that must make way, until nothing more is found."""
    rebuild_types_of_types(sides, upheaval)
    convert_columns(sides, upheaval)
    if not (upheaval.gone or upheaval.retyped or upheaval.types):
        return
    while found := set(dependents(sides, upheaval)):
        upheaval.gone |= found


def rebuild_types_of_types(sides: Sides, upheaval: Upheaval) -> None:
    """Rebuild the domains and composite types that contain a rebuilt type, too."""
    while upheaval.types:
        found = {
            name
            for name, attributes in sides.before.of_kind(Kind.DOMAIN, Kind.COMPOSITE)
            if name not in upheaval.types and name in sides.after.objects and contains(attributes, upheaval.types)
        }
        if not found:
            return
        upheaval.types |= found


def contains(attributes: Attributes, types: Iterable[Name]) -> bool:
    """Whether a domain or composite type is made of one of these types."""
    texts = [attributes.get("type") or "", *(part[1] for part in attributes.get("attributes") or [])]
    return any(uses_type(text, name) for text in texts for name in types)


def uses_type(text: str, name: Name) -> bool:
    """Whether a type's text is this type, or an array of it."""
    return type_name(text) == (name.schema, name.name)


def convert_columns(sides: Sides, upheaval: Upheaval) -> None:
    """Convert every column of a rebuilt type."""
    if not upheaval.types:
        return
    for name, attributes in sides.before.of_kind(Kind.COLUMN):
        stays = name in sides.after.objects and name not in upheaval.gone
        if stays and any(uses_type(attributes["type"], type_) for type_ in upheaval.types):
            for columns in (upheaval.retyped, upheaval.reread, upheaval.converted):
                columns.add(name)


def changed_columns(differences: Iterable[Difference], upheaval: Upheaval) -> None:
    """Note the columns that get another type, and those that cannot stay."""
    for difference in differences:
        before, after = difference.before, difference.after
        if difference.name.kind is not Kind.COLUMN or before is None or after is None:
            continue
        if must_be_replaced(before, after):
            upheaval.gone.add(difference.name)
        elif before["type"] != after["type"] or before.get("collation") != after.get("collation"):
            upheaval.retyped.add(difference.name)
            if unmeasured(before["type"]) != unmeasured(after["type"]):
                upheaval.reread.add(difference.name)
            if is_conversion(before["type"], after["type"]):
                upheaval.converted.add(difference.name)


def must_be_replaced(before: Attributes, after: Attributes) -> bool:
    """Whether a column becomes generated, or is generated in another way; PostgreSQL computes it anew in any case."""
    old, new = before.get("generated"), after.get("generated")
    if old and new is None:
        # DROP EXPRESSION keeps the values, as far as there are any.
        return not old["stored"]
    return bool(old != new)


def keys_between(sides: Sides, tables: Collection[Name]) -> set[Name]:
    """Return the foreign keys among tables that become logged or unlogged, which none may do alone."""
    return {
        name
        for table in tables
        for name, attributes in sides.parts(sides.before, table, Kind.CONSTRAINT).items()
        if referred_table(attributes) in tables and referred_table(attributes) != table
    }


def dependents(sides: Sides, upheaval: Upheaval) -> Iterator[Name]:
    """Yield what depends on the upheaval and is not yet part of it."""
    touched_tables = {name.owner for name in upheaval.gone | upheaval.retyped if name.table} | {
        name for name in upheaval.gone if name.kind is Kind.TABLE
    }
    for name, attributes in sides.before.objects.items():
        if name in upheaval.gone or name.owner in upheaval.gone:
            continue
        if name.table and any(name.owner._replace(kind=kind) in upheaval.gone for kind in VIEWS):
            yield name
        elif name.kind is Kind.COLUMN:
            if (
                attributes.get("generated")
                and name.owner in touched_tables
                and column_depends(name, attributes, upheaval)
            ):
                yield name
        elif name.kind is Kind.CONSTRAINT:
            if constraint_depends(name, attributes, upheaval, sides):
                yield name
        elif name.kind is Kind.INDEX:
            if name.owner in touched_tables and index_depends(name, attributes, upheaval):
                yield name
        elif name.kind in WITH_TEXT and text_depends(name, attributes, upheaval, touched_tables):
            yield name


def column_depends(name: Name, attributes: Attributes, upheaval: Upheaval) -> bool:
    expression = attributes["generated"]["expression"]
    return any(mentions(expression, column.name) for column in upheaval.columns_of(name.owner) if column != name)


def constraint_depends(name: Name, attributes: Attributes, upheaval: Upheaval, sides: Sides) -> bool:
    target = attributes.get("references")
    if target and key_is_gone(target, upheaval, sides):
        return True
    lost = {c.name for c in upheaval.gone if c.kind is Kind.COLUMN and c.owner == name.owner}
    if lost & set(attributes.get("columns") or []) or any(
        mentions(attributes["definition"], column) for column in lost
    ):
        return True
    if attributes["type"] in ("check", "exclude"):
        reread = (c.name for c in upheaval.reread if c.owner == name.owner)
        return any(mentions(attributes["definition"], column) for column in reread)
    cast = {c.name for c in upheaval.converted if c.owner == name.owner}
    return bool(target) and bool(cast & set(attributes["columns"]))


def key_is_gone(target: Attributes, upheaval: Upheaval, sides: Sides) -> bool:
    """Whether what a foreign key refers to is not there for a while, or not of the same type."""
    table = (target["schema"], target["table"])
    columns = {c.name for c in upheaval.gone | upheaval.converted if (c.schema, c.table) == table}
    if columns & set(target["columns"]):
        return True
    keys = (
        sides.before.objects[n] for n in upheaval.gone if n.kind is Kind.CONSTRAINT and (n.schema, n.table) == table
    )
    if any(k["type"] in ("primary key", "unique") and set(k["columns"]) == set(target["columns"]) for k in keys):
        return True
    indexes = (sides.before.objects[n] for n in upheaval.gone if n.kind is Kind.INDEX and (n.schema, n.table) == table)
    return any(i.get("unique") and {k.get("column") for k in i["keys"]} == set(target["columns"]) for i in indexes)


def index_depends(name: Name, attributes: Attributes, upheaval: Upheaval) -> bool:
    parts = [key["text"] for key in attributes["keys"]] + [attributes.get("where") or ""]
    included = attributes.get("include") or []
    computed = [key["text"] for key in attributes["keys"] if key.get("column") is None or key.get("opclass")]
    computed.append(attributes.get("where") or "")
    for column in upheaval.columns_of(name.owner):
        if column in upheaval.gone and (column.name in included or any(mentions(p, column.name) for p in parts)):
            return True
        if column in upheaval.reread and any(mentions(p, column.name) for p in computed):
            return True
    return False


def text_depends(name: Name, attributes: Attributes, upheaval: Upheaval, touched_tables: set[Name]) -> bool:
    """Whether a view, function, trigger, rule, policy or statistics object speaks of what is shaken."""
    text = text_of(attributes)
    if name.kind is Kind.FUNCTION:
        return function_depends(text, upheaval)
    for table in touched_tables:
        own = name.kind in ON_TABLES and name.owner == table
        if (own or mentions_relation(text, table)) and (
            table in upheaval.gone or any(mentions(text, column.name) for column in upheaval.columns_of(table))
        ):
            return True
    whole = (n for n in upheaval.gone if n.kind in (*VIEWS, Kind.FUNCTION))
    return any(mentions_relation(text, other) for other in (*whole, *upheaval.types) if other != name)


def function_depends(text: str, upheaval: Upheaval) -> bool:
    """Whether a function takes or returns a type that is rebuilt; into a body that is a string nobody looks."""
    header = text.partition("\nAS $")[0]
    whole = [n for n in upheaval.gone if n.kind in (*VIEWS, Kind.TABLE)]
    return any(mentions_relation(header, other) for other in (*upheaval.types, *whole))
