"""What one statement does to a database: the vocabulary of whoever predicts it, measures it or judges it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import NamedTuple


class LockMode(IntEnum):
    """PostgreSQL's table locks, the weakest first.

    Source: https://www.postgresql.org/docs/18/explicit-locking.html#LOCKING-TABLES
    """

    ACCESS_SHARE = 1
    ROW_SHARE = 2
    ROW_EXCLUSIVE = 3
    SHARE_UPDATE_EXCLUSIVE = 4
    SHARE = 5
    SHARE_ROW_EXCLUSIVE = 6
    EXCLUSIVE = 7
    ACCESS_EXCLUSIVE = 8

    @property
    def blocks_writes(self) -> bool:
        """Whether INSERT, UPDATE and DELETE wait until it is given up."""
        return self >= LockMode.SHARE

    @property
    def blocks_reads(self) -> bool:
        """Whether SELECT waits until it is given up."""
        return self is LockMode.ACCESS_EXCLUSIVE

    @property
    def who_waits(self) -> str:
        """Who waits, in words: `reads and writes`, `writes` or `nobody`."""
        return "reads and writes" if self.blocks_reads else "writes" if self.blocks_writes else "nobody"

    def __str__(self) -> str:
        """Return its name in PostgreSQL's words: `ACCESS EXCLUSIVE`."""
        return self.name.replace("_", " ")


class Relation(NamedTuple):
    """A table, index, view or sequence.

    Attributes:
        schema: Empty where the statement names none and it is not known either.
        name: Its own name.
    """

    schema: str
    name: str

    def __str__(self) -> str:
        """Return it as notes spell it: `shop.orders`."""
        return f"{self.schema}.{self.name}" if self.schema else self.name


class Lost(StrEnum):
    """What can be lost."""

    TABLE = "table"
    COLUMN = "column"
    ROWS = "rows"
    VALUES = "values"
    SCHEMA = "schema"


class Loss(NamedTuple):
    """Something that nobody can get back from the database afterwards.

    Attributes:
        what: What is lost.
        table: Of which table; of a schema, the schema's name stands in both.
        column: Which column, where it is one; empty for whole rows and tables.
    """

    what: Lost
    table: Relation
    column: str = ""

    def __str__(self) -> str:
        """Return what is lost as notes spell it: `shop.orders.note`."""
        return f"{self.table}.{self.column}" if self.column else str(self.table)


class Wanted(StrEnum):
    """What the rows that are there must be like, or the statement fails."""

    NOT_NULL = "no NULL"
    UNIQUE = "no duplicate"
    REFERENCED = "every reference leads somewhere"
    CHECKED = "every row passes the check"
    CASTABLE = "every value fits the new type"
    EMPTY = "no row at all"


class Demand(NamedTuple):
    """A condition on the rows that are there.

    Attributes:
        wanted: The condition.
        table: Of which table.
        columns: Of which columns; empty where it concerns whole rows.
    """

    wanted: Wanted
    table: Relation
    columns: tuple[str, ...] = ()


class Broken(StrEnum):
    """What code that is still running will meet."""

    GONE = "it is gone"
    RENAMED = "it has another name"
    REQUIRED = "an INSERT that leaves it out fails"
    RETYPED = "cached statements of open connections fail once"
    HIDDEN = "rows are hidden from it"


class Break(NamedTuple):
    """Something that running code relies on, and that is not as it was.

    Attributes:
        broken: In which way.
        table: Of which table, or the object itself.
        column: Of which column; empty where it is the whole.
    """

    broken: Broken
    table: Relation
    column: str = ""


@dataclass
class Effect:
    """What one statement does. Relations that were created since the last COMMIT have no locks, scans and rewrites.

    Attributes:
        locks: The strongest lock on each relation, held to the end of the transaction.
        scans: Tables that are read from beginning to end under that lock.
        rewrites: Tables and indexes that are written anew.
        losses: What is lost.
        demands: What the rows that are there must be like.
        breaks: What code that is still running will meet.
        created: Relations that are new.
        unknown: Why not everything can be told; empty when everything can.
    """

    locks: dict[Relation, LockMode] = field(default_factory=dict)
    scans: set[Relation] = field(default_factory=set)
    rewrites: set[Relation] = field(default_factory=set)
    losses: list[Loss] = field(default_factory=list)
    demands: list[Demand] = field(default_factory=list)
    breaks: list[Break] = field(default_factory=list)
    created: set[Relation] = field(default_factory=set)
    unknown: list[str] = field(default_factory=list)

    def lock(self, relation: Relation, mode: LockMode) -> None:
        """Note a lock, if it is stronger than what is noted."""
        self.locks[relation] = max(mode, self.locks.get(relation, mode))

    def blocking(self) -> Iterator[tuple[Relation, LockMode]]:
        """Yield the locks for which somebody waits."""
        return ((relation, mode) for relation, mode in self.locks.items() if mode.blocks_writes)


def together(effects: Iterable[Effect]) -> Effect:
    """Return what several effects come to."""
    whole = Effect()
    for effect in effects:
        for relation, mode in effect.locks.items():
            whole.lock(relation, mode)
        whole.scans |= effect.scans
        whole.rewrites |= effect.rewrites
        whole.losses += effect.losses
        whole.demands += effect.demands
        whole.breaks += effect.breaks
        whole.created |= effect.created
        whole.unknown += effect.unknown
    return whole
