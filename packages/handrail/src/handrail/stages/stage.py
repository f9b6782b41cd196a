"""One revision to be: which state of the schema it starts from, and which it ends in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from handrail.catalog.difference import NOT_MODELLED, Difference, differences
from handrail.catalog.objects import Attributes, Catalog, Name
from handrail.renames import Rename


@dataclass(frozen=True)
class Swap:
    """A unique index that becomes a constraint.

    Attributes:
        constraint: The constraint, which has the name that the index will have then.
        index: The index that was built for it.
        replaced: Whether an older constraint of that name has to go in the same moment.
    """

    constraint: Name
    index: str
    replaced: bool = False


@dataclass(frozen=True)
class Stage:
    """One revision file.

    Attributes:
        title: What it does, in a few words; empty where there is nothing else.
        explanation: What it does and what may happen between it and the next one, for its docstring.
        before: The schema that it finds.
        after: The schema that it leaves.
        concurrent: Whether its one index is built or dropped while others write, which no transaction can.
        swaps: Indexes that it turns into constraints.
        backfill: Columns that get their default value in the rows that are there, with that default.
        renames: What only gets another name.
        lost: What it destroys: tables and columns, and columns whose values may not fit any more.
    """

    title: str
    explanation: str
    before: Catalog
    after: Catalog
    concurrent: bool = False
    swaps: tuple[Swap, ...] = ()
    backfill: Mapping[Name, str] = field(default_factory=dict)
    renames: tuple[Rename, ...] = ()
    lost: tuple[Name, ...] = ()

    @property
    def differences(self) -> list[Difference]:
        """What it changes."""
        return differences(self.before, self.after, ignored=NOT_MODELLED)


Changes = dict[Name, Attributes | None]


class Road:
    """The stages so far, and the state that the last one leaves."""

    def __init__(self, start: Catalog) -> None:
        self.state = start
        self.stages: list[Stage] = []

    def add(self, title: str, explanation: str, changes: Changes, **details: object) -> None:
        """Add a stage that makes these changes, unless there are none."""
        if not changes and not details.get("backfill"):
            return
        objects = {**self.state.objects, **changes}
        after = Catalog(
            self.state.version, {name: value for name, value in sorted(objects.items()) if value is not None}
        )
        self.stages.append(Stage(title, explanation, self.state, after, **details))  # type: ignore[arg-type]
        self.state = after
