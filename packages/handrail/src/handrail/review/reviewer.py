"""Review revisions: one after the other, each on what those before it have made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import postgast
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from handrail.actions import actions, is_reversible
from handrail.config import find_pyproject
from handrail.configuration import script_folders
from handrail.errors import ConfigurationError
from handrail.findings import Finding, Severity
from handrail.hint import hint
from handrail.judge import judge, unseen
from handrail.notes import AllowNote, bare, lines, problems
from handrail.predict import Answers, State, predict
from handrail.predict.placed import place
from handrail.review.reviewed import Reviewed
from handrail.scripts import Script, read_scripts
from handrail.sizes import Sizes
from handrail.statements.revision import Rendered, Trouble, render

WITHOUT_VALUE = re.compile(r"A value is required for bind parameter '(\w+)'")


class Reviewer:
    """Reviews one revision after the other, and knows what the earlier ones have made.

    Args:
        config: Alembic's configuration.
        directory: Its revisions.
        root: The folder to which file names are relative.
        sizes: Of the tables.
        state: What is known of the database before the first revision.
    """

    def __init__(
        self,
        config: Config,
        directory: ScriptDirectory,
        root: Path,
        sizes: Sizes | None = None,
        state: State | None = None,
    ) -> None:
        self.config = config
        self.directory = directory
        self.root = root
        self.sizes = sizes or Sizes()
        self.state = state or State()

    @classmethod
    def here(cls, sizes: Sizes) -> tuple[Reviewer, list[Script]]:
        """Return a reviewer of the project in the working directory, and its revisions.

        Raises:
            ConfigurationError: There is no Alembic here.
        """
        root = Path.cwd()
        try:
            root, _ = find_pyproject(root)
        except ConfigurationError:
            # Any project of Alembic's can be reviewed, before it has ever heard of us.
            if not (root / "alembic.ini").is_file():
                raise
        ini = root / "alembic.ini"
        config = Config(ini if ini.exists() else None, toml_file=root / "pyproject.toml")
        try:
            directory = ScriptDirectory.from_config(config)
        except CommandError as error:
            raise ConfigurationError(f"Alembic cannot use the revisions: {error}") from error
        return cls(config, directory, root, sizes), read_scripts(script_folders(directory))

    @classmethod
    def of(cls, folder: Path, sizes: Sizes) -> tuple[Reviewer, list[Script]]:
        """Return a reviewer of the revisions in one folder, whatever project they are of."""
        config = Config()
        config.set_main_option("script_location", str(folder.parent).replace("%", "%%"))
        return cls(config, ScriptDirectory(str(folder.parent)), Path.cwd(), sizes), read_scripts([folder])

    def reviews(self, scripts: Sequence[Script], chosen: Sequence[Script], *, together: bool = False) -> list[Reviewed]:
        """Judge some revisions.

        Args:
            scripts: All that there are, parents first.
            chosen: Those to be judged.
            together: Whether they are applied in one go, so that a table which one of them creates is new to the next.
        """
        wanted = {script.path for script in chosen}
        found: list[Reviewed] = []
        left = len(wanted)
        for script in scripts:
            if not left:
                break
            if script.path not in wanted:
                self.pass_over(script)
                continue
            if not (together and found):
                self.state.begin_batch()
            found.append(self.review(script))
            left -= 1
        return found

    def pass_over(self, script: Script) -> None:
        """Take note of what a revision makes, without judging it."""
        place(self._render(script, thoroughly=False).statements, self.state)

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
        return Reviewed(
            file, script.revision, script.title, findings, len(rendered.statements), done, reversible, placed
        )

    def _render(self, script: Script, *, thoroughly: bool = True) -> Rendered:
        def known() -> Answers:
            return Answers(self.state.copy(), _apply)

        return render(script.path, self.config, self.directory, known, thoroughly=thoroughly)

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
