"""Differences as SQL: what leads from one catalog to another, owners and privileges included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import MetaData
from sqlalchemy.dialects import postgresql

from handrail.catalog.difference import NOT_MODELLED, Difference, differences
from handrail.catalog.objects import Catalog
from handrail.drift.rights import rights
from handrail.operations import operations

if TYPE_CHECKING:
    from alembic.operations.ops import MigrateOperation


def statements(found: Sequence[Difference], before: Catalog, after: Catalog) -> list[str]:
    """Return the SQL that turns `before` into `after`, as far as these differences say.

    Raises:
        MigrationError: PostgreSQL has no statement for one of them.
    """
    between = partly(found, before, after)
    structure = differences(before, between, ignored=NOT_MODELLED)
    texts = as_sql(operations(structure, before, between)) if structure else []
    return texts + [statement for difference in found for statement in rights(difference)]


def partly(found: Sequence[Difference], before: Catalog, after: Catalog) -> Catalog:
    """Return `before` with these differences made, and nothing else."""
    objects = dict(before.objects)
    for difference in found:
        if difference.after is None:
            del objects[difference.name]
            continue
        kept = {key: value for key, value in (difference.before or {}).items() if key in difference.ignored}
        own = {key: value for key, value in difference.after.items() if key not in difference.ignored}
        objects[difference.name] = {**own, **kept} if difference.before is not None else difference.after
    return Catalog(after.version, dict(sorted(objects.items())))


def as_sql(found: Sequence[MigrateOperation]) -> list[str]:
    """Return what operations would send to the server."""
    texts: list[str] = []
    migration = MigrationContext.configure(
        dialect=postgresql.dialect(paramstyle="named"),  # type: ignore[no-untyped-call]
        opts={"as_sql": True, "literal_binds": True, "target_metadata": MetaData()},
    )
    migration.impl.static_output = lambda text: texts.append(text.strip().removesuffix(";"))  # type: ignore[method-assign]
    applied = Operations(migration)
    for operation in found:
        applied.invoke(operation)
    return [text for text in texts if text]


__all__ = ["partly", "statements"]
