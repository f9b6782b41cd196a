"""For GitHub: a workflow command for each finding, which becomes an annotation of the changed line.

Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from collections.abc import Sequence

from handrail.findings import Severity
from handrail.report.text import summary
from handrail.review import Reviewed

LEVELS = {Severity.DANGER: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def as_github(reviews: Sequence[Reviewed]) -> str:
    """Return the workflow commands, and the sum of them as an ordinary line."""
    commands = []
    for finding in (finding for review in reviews for finding in review.findings if finding.allowed is None):
        place = f"file={_property(finding.file)},line={finding.line},title={_property(f'handrail: {finding.rule}')}"
        said = "\n".join(part for part in (f"{finding.what} {finding.why}", finding.instead) if part)
        commands.append(f"::{LEVELS[finding.severity]} {place}::{_data(said)}")
    return "\n".join([*commands, summary(reviews)])


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
