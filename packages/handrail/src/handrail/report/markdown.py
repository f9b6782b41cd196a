"""For a pull request: what the revisions do, in one comment."""

from __future__ import annotations

import re
from collections.abc import Sequence

from handrail.actions import deploy_order
from handrail.findings import Finding, Severity
from handrail.report.text import summary
from handrail.review import Reviewed

BACKTICKS = re.compile(r"`+")
SIGNS = {Severity.DANGER: "🔴", Severity.WARNING: "🟡", Severity.NOTE: "🔵"}


def as_markdown(reviews: Sequence[Reviewed]) -> str:
    """Return one section for each file, with the code to write instead folded away."""
    parts = ["## Migrations", "", summary(reviews)]
    for review in reviews:
        parts += ["", f"### `{review.file}`" + (f" — {_text(review.title)}" if review.title else "")]
        parts += ["", *_actions(review)] if review.actions else []
        parts += ["", "Nothing to say against it."] if not review.findings else []
        for finding in review.findings:
            parts += ["", *_finding(finding)]
    return "\n".join(parts)


def _actions(review: Reviewed) -> list[str]:
    """Return a table of what is done, and the order of deployment that is safe."""
    rows = ["| Line | Statement | Who waits | Read | Written anew |", "|--:|--|--|--|--|"]
    for action in review.actions:
        cells = [action.waits or "nobody", ", ".join(action.reads), ", ".join(action.writes)]
        shown = f"<code>{_text(action.sql)}</code>"
        rows.append(f"| {action.line} | {shown} | {' | '.join(_text(cell) for cell in cells)} |")
    back = {True: "It can be taken back.", False: "It cannot be taken back: its downgrade does nothing.", None: ""}
    return [
        *rows,
        "",
        " ".join(part for part in (_text(deploy_order(review.actions)), back[review.reversible]) if part),
    ]


def _finding(finding: Finding) -> list[str]:
    sign = "⚪" if finding.allowed is not None else SIGNS[finding.severity]
    lines = [f"{sign} **{finding.rule}**, line {finding.line}: {_text(finding.what)} {_text(finding.why)}"]
    if finding.allowed is not None:
        return [*lines, "", f"Allowed: {_text(finding.allowed)}"]
    if finding.instead:
        fence = "`" * max(3, 1 + max((len(run) for run in BACKTICKS.findall(finding.instead)), default=0))
        lines += ["", "<details><summary>Instead</summary>", "", f"{fence}python"]
        lines += [finding.instead, fence, "", "</details>"]
    return lines


def _text(text: str) -> str:
    """Return a text in which nothing is taken for markup: names come from whoever wrote the revision."""
    for sign in ("\\", "<", "`", "*", "_", "[", "|", "@", "#"):
        text = text.replace(sign, f"\\{sign}" if sign != "<" else "&lt;")
    return text
