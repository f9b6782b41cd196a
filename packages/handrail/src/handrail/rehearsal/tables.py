"""The tables that rows are made for, and the order in which their foreign keys can be kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handrail.catalog import Kind, Name
from handrail.connection import quoted

if TYPE_CHECKING:
    from handrail.catalog import Attributes, Catalog


@dataclass(frozen=True)
class ForeignKey:
    """Columns whose values must be there in another table, or in the same one.

    Attributes:
        columns: In the table itself.
        parent: The other table.
        parent_columns: What they refer to there.
        deferrable: Whether it may be checked at COMMIT.
    """

    columns: tuple[str, ...]
    parent: Name
    parent_columns: tuple[str, ...]
    deferrable: bool


@dataclass(frozen=True)
class Table:
    """A table that rows are inserted into.

    Attributes:
        name: Its name.
        columns: Its columns in their order, without generated ones.
        foreign_keys: What its rows refer to.
    """

    name: Name
    columns: dict[str, Attributes]
    foreign_keys: Sequence[ForeignKey]

    @property
    def sql(self) -> str:
        return in_sql(self.name)

    def optional(self, key: ForeignKey) -> bool:
        """Whether a foreign key may be left empty at first."""
        return any(not self.columns[column].get("not_null") for column in key.columns if column in self.columns)


def in_sql(name: Name) -> str:
    """Return a table's name in SQL."""
    return f"{quoted(name.schema)}.{quoted(name.name)}"


def tables_of(catalog: Catalog, leave_out: Iterable[Name]) -> tuple[list[Table], dict[Name, str]]:
    """Return the tables to fill, and those that cannot be filled with the reason.

    The rows of a partitioned table are put into its partitions, where their bounds are known; into itself where the
    server deals them out by a hash.
    """
    skipped, found, refused = set(leave_out), [], {}
    everything = dict(catalog.of_kind(Kind.TABLE))
    for name, attributes in everything.items():
        bound = attributes.get("bound", "")
        if name in skipped or "WITH (modulus" in bound or bound == "DEFAULT":
            continue
        if attributes["type"] == "foreign":
            refused[name] = "it is a foreign table, whose rows are on another server"
        elif attributes["type"] == "table" or _filled_by_itself(name, everything):
            found.append(_table(name, catalog))
    return found, refused


def _filled_by_itself(name: Name, tables: dict[Name, Attributes]) -> bool:
    """Whether a partitioned table has partitions, and none that is filled instead."""
    parts = [a["bound"] for a in tables.values() if a.get("partition_of") == [name.schema, name.name]]
    return bool(parts) and all(bound == "DEFAULT" or "WITH (modulus" in bound for bound in parts)


def _table(name: Name, catalog: Catalog) -> Table:
    columns = {n: a for n, a in catalog.parts(name, Kind.COLUMN).items() if "generated" not in a}
    keys = [
        ForeignKey(
            tuple(a["columns"]),
            Name(Kind.TABLE, a["references"]["schema"], "", a["references"]["table"]),
            tuple(a["references"]["columns"]),
            "deferrable" in a,
        )
        for a in catalog.parts(name, Kind.CONSTRAINT).values()
        if a["type"] == "foreign key"
    ]
    return Table(name, columns, keys)


def in_order(tables: Sequence[Table]) -> Iterator[tuple[Table, list[ForeignKey]]]:
    """Yield the tables, each after those that it refers to, with the foreign keys for which that was not possible."""
    waiting = {table.name: table for table in tables}
    while waiting:
        free = [table for table in waiting.values() if not _blockers(table, waiting)]
        if free:
            for table in free:
                del waiting[table.name]
                yield table, [key for key in table.foreign_keys if key.parent == table.name]
            continue
        # A circle: begin where the fewest rows must be there already.
        circle = [table for table in waiting.values() if table.name in _reached(table, waiting)]
        table = min(circle, key=lambda table: _hardship(table, waiting))
        late = [*_blockers(table, waiting), *(key for key in table.foreign_keys if key.parent == table.name)]
        del waiting[table.name]
        yield table, late


def _hardship(table: Table, waiting: dict[Name, Table]) -> tuple[int, int]:
    required = [key for key in _blockers(table, waiting) if not table.optional(key)]
    return sum(not key.deferrable for key in required), len(required)


def _reached(table: Table, waiting: dict[Name, Table]) -> set[Name]:
    """Return the tables at which one arrives by foreign keys, of those that are still waiting."""
    found: set[Name] = set()
    ahead = [key.parent for key in _blockers(table, waiting)]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += [key.parent for key in _blockers(waiting[name], waiting)]
    return found


def _blockers(table: Table, waiting: dict[Name, Table]) -> list[ForeignKey]:
    return [key for key in table.foreign_keys if key.parent in waiting and key.parent != table.name]
