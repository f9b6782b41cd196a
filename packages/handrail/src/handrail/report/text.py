"""For the person at the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import click

from handrail.findings import Finding, Severity
from handrail.review import Reviewed

COLOURS = {Severity.DANGER: "red", Severity.WARNING: "yellow", Severity.NOTE: "blue"}
WIDTH = 100


def as_text(reviews: Sequence[Reviewed]) -> str:
    """Return all findings, with what to write instead, and one line that sums them up."""
    paragraphs = [described(finding) for review in reviews for finding in review.findings]
    return "\n\n".join([*paragraphs, summary(reviews)])


def described(finding: Finding) -> str:
    """Return one finding: where, what, why, instead."""
    severity = click.style(str(finding.severity), fg=COLOURS[finding.severity], bold=True)
    lines = [f"{click.style(f'{finding.file}:{finding.line}', bold=True)}  {severity}  {finding.rule}"]
    what = finding.what if finding.certain else f"Depending on what the revision finds in the database: {finding.what}"
    lines += wrapped(f"{what} {finding.why}")
    if finding.allowed is not None:
        lines += wrapped(f"Allowed: {finding.allowed}")
    elif finding.severity is not Severity.NOTE:
        lines += [f"    {line}".rstrip() for line in finding.instead.splitlines()]
    return "\n".join(lines)


def wrapped(text: str) -> list[str]:
    """Return a text in lines of a readable length, set in."""
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="  ", break_long_words=False)


def summary(reviews: Sequence[Reviewed]) -> str:
    """Return in one line how much was looked at, and what was found."""
    findings = [finding for review in reviews for finding in review.findings]
    looked = f"{_count(len(reviews), 'file')}, {_count(sum(review.statements for review in reviews), 'statement')}"
    parts = [
        _count(number, str(severity))
        for severity in Severity
        if (number := sum(f.severity is severity and f.allowed is None for f in findings))
    ]
    parts += [f"{number} allowed"] if (number := sum(f.allowed is not None for f in findings)) else []
    if not parts:
        return click.style(f"Nothing found in {looked}.", fg="green")
    return f"{', '.join(parts)} in {looked}."


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
