"""What is reviewed when nobody says what: what is not applied yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handrail.applied import applied
from handrail.scripts import Script, ancestors
from handrail.upstream import changed_since, shared_branches

if TYPE_CHECKING:
    from pathlib import Path

    from handrail.config import Project


@dataclass(frozen=True)
class Chosen:
    """The revisions, and a sentence for the person about how they were found."""

    scripts: list[Script]
    how: str


def not_applied(scripts: Sequence[Script], project: Project) -> Chosen:
    """Return what the configured database has not applied; when it does not tell, what is not in the main branch."""
    answer = applied(project)
    if answer.versions is None:
        return _not_shared(scripts, project.root, answer.why_not)
    unknown = answer.versions - {script.revision for script in scripts}
    if unknown:
        why = f"{answer.place} has {', '.join(sorted(unknown))}, which is not among the files here"
        return _not_shared(scripts, project.root, why)
    # An adopted project's past is exempt.
    ends = answer.versions | ({project.start_after} if project.start_after else set())
    done = {revision for end in ends for revision in ancestors(scripts, end)}
    left = [script for script in scripts if script.revision not in done]
    if not left:
        return Chosen([], f"All revisions are applied in {answer.place}.")
    return Chosen(left, f"Reviewing what is not applied yet in {answer.place}.")


def _not_shared(scripts: Sequence[Script], root: Path, why: str) -> Chosen:
    """Return what the main branch does not have; without one, or when it has all of them, the newest revision."""
    branch = next(iter(shared_branches(root)), None)
    changed = changed_since(root, branch) if branch is not None else set()
    fresh = [script for script in scripts if script.path in changed]
    if fresh:
        return Chosen(fresh, f"Reviewing what is not in {branch} yet; {why}.")
    also = f"{branch} has all of them" if branch is not None else "there is no main branch to compare with"
    return Chosen(list(scripts[-1:]), f"Reviewing the newest revision; {why}, and {also}.")
