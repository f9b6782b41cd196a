"""What PostgreSQL calls the things that the models declare, and which of these names the models chose themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import PrimaryKeyConstraint
from sqlalchemy.dialects.postgresql.base import PGDialect

from handrail.catalog.ddl.spelling import MAX_NAME_BYTES
from handrail.catalog.objects import Kind, Name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Constraint, Index, MetaData, Table

PREPARER = PGDialect().identifier_preparer  # type: ignore[no-untyped-call]


def stored(identifier: str) -> str:
    """Return an identifier as PostgreSQL keeps it: cut off at 63 bytes, in front of a character that would be split."""
    return identifier.encode()[:MAX_NAME_BYTES].decode(errors="ignore")


def table_name(table: Table, default_schema: str = "public") -> Name:
    """Return the name under which a table of the models is found in a catalog."""
    return Name(Kind.TABLE, stored(table.schema or default_schema), "", stored(table.name))


def stated_names(metadata: MetaData, default_schema: str = "public") -> set[Name]:
    """Return the constraints and indexes whose names the models state, themselves or by a naming convention.

    Any other name is PostgreSQL's invention (`orders_customer_id_fkey`) and means nothing.

    Args:
        metadata: The models.
        default_schema: Where tables without a schema are.
    """
    return {name for table in metadata.tables.values() for name in _stated_by(table, default_schema)}


def _stated_by(table: Table, default_schema: str) -> Iterator[Name]:
    schema, own_name = table.schema or default_schema, stored(table.name)
    for kind, items in ((Kind.CONSTRAINT, table.constraints), (Kind.INDEX, table.indexes)):
        for item in items:
            name = _rendered(item)
            if name is not None:
                yield Name(kind, stored(schema), own_name, stored(name))


def _rendered(item: Constraint | Index) -> str | None:
    """Return the name that is written into DDL: by the naming convention, and shortened as SQLAlchemy does it."""
    if item.name is None or (isinstance(item, PrimaryKeyConstraint) and not len(item)):
        return None
    # The same call with which Alembic asks for the names that it compares.
    name: str | None = PREPARER.format_constraint(item, _alembic_quote=False)
    return name
