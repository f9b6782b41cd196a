"""The statements that create one object of a catalog, and the one that drops it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from handrail.catalog.ddl import code, tables, types
from handrail.catalog.ddl.spelling import WORDS, identifier, place, table_of
from handrail.catalog.objects import Attributes, Catalog, Kind, Name

CREATORS: Mapping[Kind, Callable[[Catalog, Name, Attributes], list[str]]] = {
    Kind.SCHEMA: types.schema,
    Kind.EXTENSION: types.extension,
    Kind.COLLATION: types.collation,
    Kind.ENUM: types.enum,
    Kind.DOMAIN: types.domain,
    Kind.COMPOSITE: types.composite,
    Kind.RANGE: types.range_,
    Kind.SEQUENCE: types.sequence,
    Kind.FUNCTION: code.function,
    Kind.TABLE: tables.table,
    Kind.COLUMN: tables.column,
    Kind.CONSTRAINT: tables.constraint,
    Kind.INDEX: tables.index,
    Kind.VIEW: code.view,
    Kind.MATERIALIZED_VIEW: code.view,
    Kind.STATISTICS: code.statistics,
    Kind.TRIGGER: code.trigger,
    Kind.RULE: code.rule,
    Kind.POLICY: code.policy,
}


def create_statements(catalog: Catalog, name: Name) -> list[str]:
    """Return the statements that create an object as it is in this catalog, without semicolons.

    A table's bring along what `comes_with_its_table`; foreign keys, indexes and the rest have statements of their own.
    What comes from a parent or belongs to the server (default privileges) needs none.
    """
    creator = CREATORS.get(name.kind)
    return creator(catalog, name, catalog.objects[name]) if creator else []


def drop_statement(catalog: Catalog, name: Name) -> str:
    """Return the statement that drops an object, without a semicolon; it fails while others depend on it."""
    attributes = catalog.objects[name]
    match name.kind:
        case Kind.COLUMN | Kind.CONSTRAINT:
            return f"ALTER TABLE {table_of(name)} DROP {name.kind.upper()} {identifier(name.name)}"
        case Kind.TRIGGER | Kind.RULE | Kind.POLICY:
            return f"DROP {name.kind.upper()} {identifier(name.name)} ON {table_of(name)}"
        case Kind.FUNCTION:
            return f"DROP {code.routine(attributes)} {code.signature(name, attributes)}"
        case Kind.TABLE if attributes["type"] == "foreign":
            return f"DROP FOREIGN TABLE {place(name)}"
        case Kind.DEFAULT_PRIVILEGES:
            raise ValueError(f"{name} is no object that could be dropped")
    return f"DROP {WORDS.get(name.kind, name.kind.upper())} {place(name)}"
