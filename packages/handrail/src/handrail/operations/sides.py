"""The two sides between which operations lead, and the models that give the columns their types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from handrail.catalog.objects import Attributes, Catalog, Kind, Name
from handrail.operations.types import Type, column_type

if TYPE_CHECKING:
    from sqlalchemy import Column, MetaData

Parts = Mapping[tuple[Kind, str, str], dict[Name, Attributes]]


@dataclass(frozen=True)
class Sides:
    """Where the operations start and where they lead.

    Attributes:
        before: The catalog as it is.
        after: The catalog as it is to be.
        models: Whose types columns get, where they are the same in the database.
        default_schema: The schema that models without one use; it is left out in Alembic's operations.
    """

    before: Catalog
    after: Catalog
    models: MetaData | None = None
    default_schema: str | None = None
    _types: dict[tuple[bool, Name], Type | None] = field(default_factory=dict, repr=False)

    def origin(self, name: Name) -> Catalog:
        """Return the catalog that says how something is to be created: what is not in the second one stays as it is."""
        return self.after if name in self.after.objects else self.before

    def schema(self, schema: str) -> str | None:
        """Return a schema as Alembic's operations take it."""
        return None if schema == self.default_schema else schema

    def type_of(self, column: Name, attributes: Attributes, catalog: Catalog) -> Type | None:
        """Return the type of a column of one of the catalogs, or None where SQLAlchemy has no words for it."""
        key = (catalog is self.after, column)
        if key not in self._types:
            model = self._model_columns.get((column.schema, column.table, column.name))
            model_type = model.type if model is not None else None
            self._types[key] = column_type(attributes, catalog, model_type, self.default_schema)
        return self._types[key]

    @cached_property
    def _model_columns(self) -> dict[tuple[str | None, str, str], Column[Any]]:
        tables = self.models.tables.values() if self.models is not None else ()
        return {(t.schema or self.default_schema, t.name, c.name): c for t in tables for c in t.columns}

    def parts(self, catalog: Catalog, table: Name, kind: Kind) -> dict[Name, Attributes]:
        """Return the columns (in their order), constraints or indexes of a table."""
        groups = self._parts_after if catalog is self.after else self._parts_before
        return groups.get((kind, table.schema, table.name), {})

    @cached_property
    def _parts_before(self) -> Parts:
        return grouped(self.before)

    @cached_property
    def _parts_after(self) -> Parts:
        return grouped(self.after)


def grouped(catalog: Catalog) -> Parts:
    """Return what belongs to tables, by kind and table; columns in their order."""
    groups: dict[tuple[Kind, str, str], dict[Name, Attributes]] = {}
    for name, attributes in catalog.objects.items():
        if name.table:
            groups.setdefault((name.kind, name.schema, name.table), {})[name] = attributes
    for key, parts in groups.items():
        if key[0] is Kind.COLUMN:
            groups[key] = dict(sorted(parts.items(), key=lambda part: part[1]["position"]))
    return groups
