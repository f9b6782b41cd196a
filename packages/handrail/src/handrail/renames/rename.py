"""One rename: of a table, a column, an index, a constraint, a sequence, a type, or a value of an enum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from alembic.autogenerate.render import renderers
from alembic.operations import Operations
from alembic.operations.ops import AlterColumnOp, MigrateOperation, RenameTableOp
from alembic.runtime.migration import MigrationContext

from handrail.catalog.objects import Catalog, Kind, Name
from handrail.catalog.read import read_catalog
from handrail.connection import literal
from handrail.operations.identifiers import ident, qualified, table_of
from handrail.operations.statement import Statement

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext
    from sqlalchemy import Connection

ASIDE = 40  # characters of a name that make room for another one: PostgreSQL keeps 63 bytes


@dataclass(frozen=True, order=True)
class Rename:
    """What gets another name, and which.

    Attributes:
        name: The object by its old name; what it belongs to already has its new one.
        new: The new name, or the new value of an enum.
        value: The old value, where one of an enum is renamed.
    """

    name: Name
    new: str
    value: str | None = None

    @property
    def old(self) -> str:
        """What is replaced by `new`."""
        return self.name.name if self.value is None else self.value

    def reversed(self) -> Rename:
        """Return what undoes it."""
        if self.value is not None:
            return Rename(self.name, self.value, self.new)
        return Rename(self.name._replace(name=self.new), self.name.name)

    def operation(self, default_schema: str | None = None) -> MigrateOperation:
        """Return it in Alembic's words, or in SQL."""
        name, schema = self.name, None if self.name.schema == default_schema else self.name.schema
        full = qualified(name.schema, name.name)
        match name.kind:
            case Kind.TABLE:
                return RenameTable(name.name, self.new, schema=schema)
            case Kind.COLUMN:
                return AlterColumnOp(name.table, name.name, schema=schema, modify_name=self.new)
            case Kind.CONSTRAINT:
                return Statement(
                    f"ALTER TABLE {table_of(name)} RENAME CONSTRAINT {ident(name.name)} TO {ident(self.new)}"
                )
            case Kind.ENUM if self.value is not None:
                return Statement(f"ALTER TYPE {full} RENAME VALUE {literal(self.value)} TO {literal(self.new)}")
            case Kind.ENUM:
                return Statement(f"ALTER TYPE {full} RENAME TO {ident(self.new)}")
        return Statement(f"ALTER {name.kind.upper()} {full} RENAME TO {ident(self.new)}")


class RenameTable(RenameTableOp):
    """Alembic's operation, which has no way to write itself down yet."""


@renderers.dispatch_for(RenameTable)
def render_rename_table(context: AutogenContext, operation: RenameTable) -> str:
    schema = f", schema={operation.schema!r}" if operation.schema else ""
    prefix = context.opts["alembic_module_prefix"]
    return f"{prefix}rename_table({operation.table_name!r}, {operation.new_table_name!r}{schema})"


def in_order(renames: Sequence[Rename]) -> list[Rename]:
    """Return them so that each finds its new name free: tables first, the end of a chain first, swaps over a third."""
    tables = [rename for rename in renames if rename.name.kind is Kind.TABLE]
    return _freed(tables) + _freed([rename for rename in renames if rename.name.kind is not Kind.TABLE])


def _freed(renames: Sequence[Rename]) -> list[Rename]:
    waiting = sorted(renames)
    done: list[Rename] = []
    last: list[Rename] = []
    while waiting:
        taken = {_identity(rename) for rename in waiting}
        ready = next((one for one in waiting if _identity(one.reversed()) not in taken - {_identity(one)}), None)
        if ready is not None:
            done.append(ready)
            waiting.remove(ready)
            continue
        circle = waiting.pop(0)
        aside = replace(circle, new=f"{circle.new[:ASIDE]}_renamed")
        done.append(aside)
        last.append(replace(aside.reversed(), new=circle.new))
    return done + last


def _identity(rename: Rename) -> tuple[Name, str | None]:
    """Return what is renamed; its `reversed()` has what it becomes."""
    return rename.name, rename.value


def renamed_catalog(connection: Connection, renames: Sequence[Rename]) -> Catalog:
    """Return what the database would hold after the renames; nothing is changed.

    PostgreSQL itself writes the new names into every definition that has the old ones.
    """
    operations = Operations(MigrationContext.configure(connection))
    savepoint = connection.begin_nested() if connection.in_transaction() else connection.begin()
    try:
        for rename in in_order(renames):
            operations.invoke(rename.operation())
        return read_catalog(connection)
    finally:
        savepoint.rollback()
