"""A rehearsal for people and for machines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from handrail.actions import seconds_for
from handrail.effects import LockMode, Loss, Relation
from handrail.measure import Measured
from handrail.rehearsal.outcome import Rehearsal, Run
from handrail.sizes import Sizes

STATEMENT_LENGTH = 100  # characters of a statement that a line shows


def as_text(rehearsals: Sequence[Rehearsal], root: Path, sizes: Sizes | None = None) -> str:
    """Return a report for people: what was measured, statement by statement, and what it amounts to.

    Args:
        rehearsals: One after the other.
        root: The folder to which files are named relatively.
        sizes: Of the tables where the revisions will be run, which tell how long that takes there.
    """
    if not rehearsals:
        return "There is no revision to rehearse."
    return "\n\n".join("\n".join(_lines(rehearsal, root, sizes or Sizes())) for rehearsal in rehearsals)


def _lines(rehearsal: Rehearsal, root: Path, sizes: Sizes) -> Iterator[str]:
    title = click.style(f"{rehearsal.revision} {rehearsal.title}", bold=True)
    yield f"{title}  ({_shown(rehearsal.path, root)}; {rehearsal.rows} rows)"
    for run in rehearsal.runs:
        yield f"  {run.way:<9} {run.seconds:.3f} s" + (f"  {click.style('FAILED', fg='red')}" if run.failure else "")
        if run.failure:
            yield f"            {run.failure}"
        # What the second upgrade does is what the first one did.
        for measured in run.statements if run is not _second(rehearsal) else ():
            # What only looks around, as inspect() does, is no news.
            if not measured.statement.lstrip().upper().startswith("SELECT") or any(_facts(measured, sizes)):
                yield from _of_statement(measured, sizes)
    yield from _summary("Lost going up", [_loss(loss) for loss in rehearsal.lost])
    yield from _summary("Not brought back by the downgrade", rehearsal.not_restored)
    yield from _summary("Different after the second upgrade", rehearsal.differs)
    for stall in rehearsal.stalls:
        yield f"  Under load: {stall.what} of {stall.table} waited {stall.seconds:.3f} s at most"
    for problem in rehearsal.problems:
        yield click.style(f"  Rows: {problem}", fg="yellow")
    if rehearsal.clean:
        yield click.style("  Nothing is lost, and the downgrade brings everything back.", fg="green")


def _second(rehearsal: Rehearsal) -> Run | None:
    return rehearsal.runs[2] if len(rehearsal.runs) > 2 else None


def _of_statement(measured: Measured, sizes: Sizes) -> Iterator[str]:
    line = f"line {measured.place.line}" if measured.place else ""
    statement = " ".join(measured.statement.split())
    if len(statement) > STATEMENT_LENGTH:
        statement = statement[:STATEMENT_LENGTH] + " …"
    yield f"    {line:<9} {measured.seconds:.3f} s  {statement}"
    yield from (f"        {fact}" for fact in _facts(measured, sizes))


def _facts(measured: Measured, sizes: Sizes) -> Iterator[str]:
    effect = measured.effect
    for words, modes in _waiting(effect.locks).items():
        yield f"{words} of {', '.join(modes)} wait" + (" until COMMIT" if not measured.commits else " meanwhile")
    scans = sorted(effect.scans - effect.rewrites)
    if scans:
        yield f"reads every row of {', '.join(map(str, scans))}" + _under(scans, measured)
    if effect.rewrites:
        yield f"writes anew {', '.join(map(str, sorted(effect.rewrites)))}"
    if expected := seconds_for(effect, sizes):
        yield f"with the rows of the statistics about {expected:g} s"
    if effect.losses:
        yield click.style(f"loses {', '.join(map(_loss, effect.losses))}", fg="red")
    yield from (f"unknown: {reason}" for reason in effect.unknown)


def _waiting(locks: dict[Relation, LockMode]) -> dict[str, list[str]]:
    """Return who waits for which relations."""
    found: dict[str, list[str]] = {}
    for name, mode in sorted(locks.items()):
        if mode.blocks_writes:
            found.setdefault(mode.who_waits, []).append(str(name))
    return found


def _under(scans: Sequence[Relation], measured: Measured) -> str:
    modes = [measured.held[name] for name in scans if name in measured.held and measured.held[name].blocks_writes]
    return f", while {max(modes).who_waits} wait" if modes else ""


def _loss(loss: Loss) -> str:
    return f"{loss.what} {loss}"


def _summary(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield click.style(f"  {title}:", fg="red")
        yield from (f"    {line}" for line in lines)


def _shown(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path


def as_json(rehearsals: Sequence[Rehearsal], root: Path, sizes: Sizes | None = None) -> str:
    """Return the same for machines."""
    return json.dumps(
        [_entry(rehearsal, root, sizes or Sizes()) for rehearsal in rehearsals], indent=2, ensure_ascii=False
    )


def _entry(rehearsal: Rehearsal, root: Path, sizes: Sizes) -> dict[str, Any]:
    return {
        "revision": rehearsal.revision,
        "title": rehearsal.title,
        "file": str(_shown(rehearsal.path, root)),
        "rows": rehearsal.rows,
        "clean": rehearsal.clean,
        "lost": [_loss(loss) for loss in rehearsal.lost],
        "not_restored": rehearsal.not_restored,
        "differs": rehearsal.differs,
        "problems": rehearsal.problems,
        "stalls": [{"table": str(s.table), "what": s.what, "seconds": round(s.seconds, 6)} for s in rehearsal.stalls],
        "runs": [
            {
                "way": run.way,
                "seconds": round(run.seconds, 6),
                "failure": run.failure,
                "statements": [_statement(measured, sizes) for measured in run.statements],
            }
            for run in rehearsal.runs
        ],
    }


def _statement(measured: Measured, sizes: Sizes) -> dict[str, Any]:
    effect = measured.effect
    return {
        "line": measured.place.line if measured.place else None,
        "statement": measured.statement,
        "seconds": round(measured.seconds, 6),
        "expected_seconds": seconds_for(effect, sizes),
        "locks": {str(name): str(mode) for name, mode in effect.locks.items()},
        "held": {str(name): str(mode) for name, mode in measured.held.items()},
        "scans": sorted(map(str, effect.scans)),
        "rewrites": sorted(map(str, effect.rewrites)),
        "losses": [_loss(loss) for loss in effect.losses],
        "breaks": [{"what": b.broken, "table": str(b.table), "column": b.column} for b in effect.breaks],
        "created": sorted(map(str, effect.created)),
        "unknown": effect.unknown,
    }
