"""What a rehearsal has shown of one revision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from handrail.effects import Loss, Relation
from handrail.measure import Measured
from handrail.rehearsal.load import Stall


class Way(StrEnum):
    """The runs of a rehearsal, in their order."""

    UP = "up"
    DOWN = "down"
    AGAIN = "up again"


@dataclass
class Run:
    """One run of a revision in one direction.

    Attributes:
        way: Which one.
        seconds: How long its statements took, without what is asked in between.
        statements: What its lines have sent to PostgreSQL.
        failure: Why it did not come to its end; empty when it did.
    """

    way: Way
    seconds: float = 0.0
    statements: Sequence[Measured] = ()
    failure: str = ""


@dataclass
class Rehearsal:
    """One revision, rehearsed.

    Attributes:
        revision: Its id.
        title: The first line of its docstring.
        path: Its file.
        rows: How many rows there were altogether.
        runs: Up, down, and up again, as far as it came.
        not_restored: What the downgrade does not bring back, in words.
        differs: What the second upgrade has made in another way than the first, in words.
        problems: Which tables had fewer rows than wanted or columns without values, with the reason.
        stalls: How long others waited during the second upgrade, if it was run under load.
    """

    revision: str
    title: str
    path: Path
    rows: int = 0
    runs: list[Run] = field(default_factory=list)
    not_restored: list[str] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    stalls: list[Stall] = field(default_factory=list)

    @property
    def lost(self) -> list[Loss]:
        """What is lost going up."""
        found = (loss for run in self.runs if run.way is Way.UP for m in run.statements for loss in m.effect.losses)
        return list(dict.fromkeys(found))

    @property
    def locked(self) -> list[Relation]:
        """The tables, and whatever else, on which the upgrade took a lock that somebody can meet."""
        up = next((run.statements for run in self.runs if run.way is Way.UP), ())
        return sorted({name for m in up for name, mode in m.effect.locks.items() if mode.blocks_writes})

    @property
    def failure(self) -> str:
        """Why it could not be rehearsed: the upgrade itself fails. Empty when it does not."""
        return next((run.failure for run in self.runs if run.way is Way.UP), "")

    @property
    def clean(self) -> bool:
        """Whether nothing is lost, and the downgrade brings back everything, so that it can be run again."""
        failed = any(run.failure for run in self.runs)
        return not (self.lost or self.not_restored or self.differs or failed)
