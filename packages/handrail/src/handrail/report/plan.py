"""For whoever is about to migrate: what each revision will do, statement by statement."""

from __future__ import annotations

from collections.abc import Sequence

import click

from handrail.actions import Action, deploy_order
from handrail.report.text import described, summary
from handrail.review import Reviewed


def as_plan(reviews: Sequence[Reviewed]) -> str:
    """Return a plan for people."""
    if not reviews:
        return "Nothing is pending."
    parts = []
    for review in reviews:
        head = click.style(f"{review.revision}  {review.title}", bold=True)
        lines = [head, *(line for action in review.actions for line in _lines(action))]
        lines.append(f"  {deploy_order(review.actions)}")
        if not review.reversible:
            lines.append("  It cannot be taken back: its downgrade does nothing.")
        parts.append("\n".join(lines))
        parts += [described(finding) for finding in review.findings if finding.counts]
    return "\n\n".join([*parts, summary(reviews)])


def _lines(action: Action) -> list[str]:
    done = [f"{action.waits} wait" if action.waits else "nobody waits"]
    done += [f"reads {', '.join(action.reads)}"] if action.reads else []
    done += [f"writes {', '.join(action.writes)} anew"] if action.writes else []
    done += [f"about {action.seconds:g} s"] if action.seconds else []
    done += [action.unknown] if action.unknown else []
    return [f"  {action.sql}", click.style(f"      {'; '.join(done)}", dim=True)]
