"""The gate before an upgrade: what destroys data is only run when the revision says why it may."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from handrail.errors import MigrationError
from handrail.notes import RULES, problems, unallowed


def refuse_unallowed(paths: Iterable[Path], root: Path) -> None:
    """Refuse to run these revisions when one destroys something without a note.

    Args:
        paths: Their files.
        root: The project's folder, to which the places in the message are relative.

    Raises:
        MigrationError: There is such a revision; all of them are named, each with the line to add.
    """
    missing: list[str] = []
    wrong: list[str] = []
    for path in paths:
        source = path.read_text(encoding="utf-8", errors="replace")
        place = path.relative_to(root) if path.is_relative_to(root) else path
        for mark in unallowed(source):
            what = RULES[mark.rule].format(object=mark.object)
            missing.append(f"  {place}:{mark.line} {what}. If that is meant, write below that line:\n      {mark.note}")
        wrong += [f"  {place}:{problem.line} {problem.what}" for problem in problems(source)]
    if missing or wrong:
        raise MigrationError(
            "nothing was run, because it cannot be undone and nobody has said that it may be done:\n"
            + "\n".join([*missing, *wrong])
        )
