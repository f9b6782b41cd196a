"""Alembic's operations for the differences of two catalogs, in an order that runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from handrail.operations.plan import make_plan
from handrail.operations.sides import Sides
from handrail.operations.steps import STEPS

if TYPE_CHECKING:
    from alembic.operations.ops import MigrateOperation
    from sqlalchemy import MetaData

    from handrail.catalog.difference import Difference
    from handrail.catalog.objects import Catalog

__all__ = ["operations"]


def operations(
    differences: Sequence[Difference],
    before: Catalog,
    after: Catalog,
    models: MetaData | None = None,
    default_schema: str | None = None,
) -> list[MigrateOperation]:
    """Return the operations that turn `before` into `after`, as far as these differences say.

    A downgrade is the same with everything reversed: nothing is known here of up and down.

    Args:
        differences: What is to be changed.
        before: The catalog that the operations will find, with everything that may depend on what they change.
        after: The catalog that they are to leave behind.
        models: Whose types are used for columns, where they mean the same to PostgreSQL.
        default_schema: The schema that models without one use.
    """
    plan = make_plan(Sides(before, after, models, default_schema), differences)
    return [operation for step in STEPS for operation in step(plan)]
