"""What a review says about one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from handrail.actions import Action
from handrail.findings import Finding

if TYPE_CHECKING:
    from handrail.predict.placed import Placed


@dataclass(frozen=True)
class Reviewed:
    """What was found in one file.

    Attributes:
        file: Its name, relative to the project where it lies in it.
        revision: The revision's id; empty of a SQL file.
        title: What it says that it does.
        findings: In the order of their lines.
        statements: How many statements were looked at.
        actions: What they do, one by one.
        reversible: Whether there is a downgrade that does something; None for a SQL file.
        placed: The statements of a revision, with all that they do; empty where an earlier review is told again.
    """

    file: str
    revision: str = ""
    title: str = ""
    findings: list[Finding] = field(default_factory=list)
    statements: int = 0
    actions: list[Action] = field(default_factory=list)
    reversible: bool | None = None
    placed: Sequence[Placed] = field(default=(), repr=False)

    @property
    def judged(self) -> bool:
        """Whether all of it could be seen."""
        return not any(finding.rule == "unseen" for finding in self.findings)

    def values(self) -> dict[str, Any]:
        """Return what JSON can hold of it: all but the statements' syntax."""
        values = asdict(replace(self, placed=()))
        del values["placed"]
        return values
