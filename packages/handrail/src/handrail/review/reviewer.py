"""Review revisions: one after the other, each on what those before it have made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import postgast

from handrail.actions import actions, is_reversible
from handrail.findings import Finding, Severity
from handrail.hint import hint
from handrail.judge import judge, unseen
from handrail.notes import AllowNote, bare, lines, problems
from handrail.predict import Answers, State, predict
from handrail.predict.placed import place, relations
from handrail.review.reviewed import Reviewed
from handrail.sizes import Sizes
from handrail.statements.revision import BROKEN, Rendered, Trouble, render

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    from handrail.predict.placed import Placed
    from handrail.review.kept import Kept
    from handrail.scripts import Script

WITHOUT_VALUE = re.compile(r"A value is required for bind parameter '(\w+)'")


class Reviewer:
    """Reviews one revision after the other, and knows what the earlier ones have made.

    Args:
        config: Alembic's configuration.
        directory: The revisions.
        root: The folder to which file names are relative.
        sizes: Of the tables.
        state: What is known of the database before the first revision.
        kept: What is kept of reviews without a database.

    Attributes:
        ended: Whether all revisions came to their end; one that was stopped might not be another time.
    """

    def __init__(
        self,
        config: Config,
        directory: ScriptDirectory,
        root: Path,
        sizes: Sizes | None = None,
        state: State | None = None,
        kept: Kept | None = None,
    ) -> None:
        self.config = config
        self.directory = directory
        self.root = root
        self.sizes = sizes or Sizes()
        self.state = state or State()
        self.kept = kept
        self.ended = True

    def reviews(self, scripts: Sequence[Script], chosen: Sequence[Script], *, together: bool = False) -> list[Reviewed]:
        """Judge some revisions.

        Args:
            scripts: All that there are, parents first.
            chosen: Those to be judged.
            together: Whether they are applied in one go, so that a table which one of them creates is new to the next.
        """
        wanted = {script.path for script in chosen}
        at = [number for number, script in enumerate(scripts) if script.path in wanted]
        if not at:
            return []
        self.arrive_at(scripts[: at[0]])
        found: list[Reviewed] = []
        for script in scripts[at[0] : at[-1] + 1]:
            if script.path not in wanted:
                self.pass_over(script)
                continue
            if not (together and found):
                self.state.begin_batch()
            found.append(self.review(script))
        return found

    def arrive_at(self, scripts: Sequence[Script]) -> None:
        """Take note of what the first revisions make; at once, while they are what they were."""
        key = self.kept.key("state", scripts) if self.kept and scripts else None
        known = self.kept.state(key) if self.kept else None
        if known is not None:
            self.state, broken = known
            BROKEN.update({Path(folder): set(packages) for folder, packages in broken.items()})
            return
        for script in scripts:
            self.pass_over(script)
        if self.kept and self.ended and key == self.kept.key("state", scripts):
            broken = {str(folder): sorted(packages) for folder, packages in BROKEN.items()}
            self.kept.keep_state(key, self.state, broken)

    def pass_over(self, script: Script) -> list[Placed]:
        """Take note of what a revision makes, without judging it."""
        return place(self._render(script, thoroughly=False).statements, self.state)

    def review(self, script: Script, *, thoroughly: bool = True) -> Reviewed:
        """Judge a revision; not thoroughly, only what it does on a database that answers all questions with no row."""
        rendered = self._render(script, thoroughly=thoroughly)
        source = script.path.read_text(encoding="utf-8", errors="replace")
        file = self._named(script.path)
        placed = place(rendered.statements, self.state)
        findings = judge(placed, self.state, self.sizes, file)
        findings += [_trouble(trouble, file) for trouble in rendered.troubles]
        # A note may speak of what only matters on a larger database than this one.
        possible = judge(placed, self.state, Sizes(), file) if self.sizes.known else findings
        findings = _allowed(findings, source) + note_problems(source, [*findings, *possible], file)
        findings.sort(key=lambda finding: finding.line)
        done = list(actions(placed, self.sizes))
        reversible = is_reversible(script.path)
        uses = sorted(map(str, relations(placed)))
        return Reviewed(file, script.revision, script.title, findings, len(rendered.statements), done, reversible, uses)

    def _render(self, script: Script, *, thoroughly: bool = True) -> Rendered:
        def known() -> Answers:
            return Answers(self.state.copy(), _apply)

        rendered = render(script.path, self.config, self.directory, known, thoroughly=thoroughly)
        self.ended = self.ended and not any(trouble.endless for trouble in rendered.troubles)
        return rendered

    def _named(self, path: Path) -> str:
        return str(path.relative_to(self.root) if path.is_relative_to(self.root) else path)


def _apply(sql: str, state: State) -> None:
    try:
        predict(sql, state)
    except postgast.PgQueryError:
        return  # whoever judges the statement says so


def _trouble(trouble: Trouble, file: str) -> Finding:
    missing = WITHOUT_VALUE.search(trouble.what)
    if missing is None:
        return unseen("revision", file, trouble.line, trouble.what)
    page, names = hint("bind-parameter"), {"name": missing[1]}
    what = page.fill(page.what, names)
    return Finding(
        "bind-parameter", Severity.DANGER, missing[1], file, trouble.line, what, page.why, page.instructions(names)
    )


def _allowed(findings: list[Finding], source: str) -> list[Finding]:
    """Return the findings with the reasons that the revision gives."""
    reasons = {(note.rule, bare(note.object)): note.reason for note in lines(source) if isinstance(note, AllowNote)}
    return [replace(f, allowed=reasons.get((f.rule, bare(f.object)))) for f in findings]


def note_problems(source: str, findings: Iterable[Finding], file: str) -> list[Finding]:
    """Return the notes that are none, and those that allow what the revision does not do."""
    known = {(finding.rule, bare(finding.object)) for finding in findings}
    page = hint("note")
    return [
        Finding("note", Severity.DANGER, "note", file, problem.line, problem.what, page.why)
        for problem in problems(source, known)
    ]
