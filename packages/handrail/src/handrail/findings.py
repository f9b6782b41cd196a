"""A finding: an effect that was judged, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters."""

    DANGER = "danger"  # data is lost, requests stand still, or it fails for sure
    WARNING = "warning"  # it can go wrong
    NOTE = "note"  # to be known; no reason to stop


@dataclass(frozen=True)
class Finding:
    """Something that a revision does and its author should know.

    Attributes:
        rule: The rule that found it.
        severity: How much it matters.
        object: On what, as notes spell it: `shop.orders.note`.
        file: The revision's or SQL file, relative to the project where it lies in it.
        line: From 1.
        what: What happens, in one sentence, with the names and sizes of this database.
        why: Why it matters.
        instead: The finished code to write instead; may be empty.
        certain: Whether it happens on every database; false where it depends on what the revision finds there.
        allowed: The reason that the revision gives for it; None when it gives none.
    """

    rule: str
    severity: Severity
    object: str
    file: str
    line: int
    what: str
    why: str = ""
    instead: str = ""
    certain: bool = True
    allowed: str | None = None

    @property
    def counts(self) -> bool:
        """Whether somebody has to do something about it."""
        return self.severity is not Severity.NOTE and self.allowed is None

    @property
    def note(self) -> str:
        """The line that lets it pass, but for the reason."""
        return f"# handrail: allow {self.rule} {self.object} — <reason>"
