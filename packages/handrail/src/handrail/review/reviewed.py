"""What a review says about one file."""

from __future__ import annotations

from dataclasses import dataclass, field

from handrail.actions import Action
from handrail.findings import Finding


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
        uses: The tables, views, indexes and sequences that its statements have to do with; not told of a SQL file.
    """

    file: str
    revision: str = ""
    title: str = ""
    findings: list[Finding] = field(default_factory=list)
    statements: int = 0
    actions: list[Action] = field(default_factory=list)
    reversible: bool | None = None
    uses: list[str] = field(default_factory=list)

    @property
    def judged(self) -> bool:
        """Whether all of it could be seen."""
        return not any(finding.rule == "unseen" for finding in self.findings)
