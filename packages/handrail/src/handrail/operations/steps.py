"""All steps of a plan, in an order in which PostgreSQL takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from handrail.operations import creating, dropping

if TYPE_CHECKING:
    from alembic.operations.ops import MigrateOperation

    from handrail.operations.plan import Plan

Step = Callable[["Plan"], Iterator["MigrateOperation"]]

STEPS: tuple[Step, ...] = (
    creating.add_enum_values,
    dropping.drop_code,
    dropping.drop_constraints,
    dropping.drop_indexes,
    dropping.loosen_columns,
    dropping.drop_tables,
    dropping.drop_rebuilt_functions,
    dropping.drop_sequences,
    creating.create_types,
    creating.create_sequences,
    creating.create_tables,
    creating.change_columns,
    dropping.drop_proofs,
    creating.own_sequences,
    creating.alter_tables,
    creating.add_constraints,
    creating.create_code,
    creating.finish_tables,
    dropping.drop_types,
)
