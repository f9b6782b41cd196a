"""What was found before, and what revisions had made until then: kept until something that decides it has changed.

What decides is looked at as `handrail check` does it, see `handrail.unchanged`: the project's files, its environment
and what is installed. Of the revisions themselves only those count that lead there.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handrail.actions import Action
from handrail.cache import Cache
from handrail.findings import Finding, Severity
from handrail.review.reviewed import Reviewed
from handrail.unchanged import Facts

if TYPE_CHECKING:
    from handrail.predict import State
    from handrail.scripts import Script

Broken = dict[str, list[str]]  # packages that revisions could not import, by the folders of the revisions


@dataclass(frozen=True)
class Kept:
    """What is kept of a project's revisions.

    Attributes:
        cache: Where.
        facts: What decides it; None where there is no telling, and nothing is kept.
        scripts: All revisions.
    """

    cache: Cache
    facts: Facts | None
    scripts: Sequence[Script]

    @classmethod
    def of(cls, root: Path | None, scripts: Sequence[Script]) -> Kept:
        """Look at the project in this folder; None for revisions of which nobody knows where their project begins."""
        # Code in the working directory counts, too.
        if root is None or not Path.cwd().is_relative_to(root):
            return cls(Cache(None), None, scripts)
        return cls(Cache.of(root), Facts.of(root, os.environ, sys.path), scripts)

    def key(self, name: str, until: Sequence[Script], *more: object) -> str | None:
        """Return the key of something that these revisions decide, and not those after them; None to keep nothing."""
        if self.facts is None:
            return None
        leading = [str(script.path) for script in until]
        try:
            texts = [script.path.read_bytes() for script in until]  # wherever they are
        except OSError:
            return None
        later = {str(script.path) for script in self.scripts}.difference(leading)
        return f"{name}-{self.facts.digest(str(Path.cwd()), leading, texts, more, without=later)}"

    def reviews(self, key: str | None) -> list[Reviewed] | None:
        """Return what was found."""
        text = self.cache.read(key) if key else None
        return None if text is None else [_reviewed(values) for values in json.loads(text)]

    def keep_reviews(self, key: str | None, reviews: Sequence[Reviewed]) -> None:
        """Keep what was found."""
        if key:
            self.cache.write(key, json.dumps([asdict(review) for review in reviews]))

    def state(self, key: str | None) -> tuple[State, Broken] | None:
        """Return what the database looks like after revisions, and what they could not import."""
        text = self.cache.read(key) if key else None
        if text is None:
            return None
        from handrail.review.pickled import unpickled

        found: tuple[State, Broken] | None = unpickled(text)
        return found

    def keep_state(self, key: str | None, state: State, broken: Broken) -> None:
        """Keep what the database looks like."""
        if key:
            from handrail.review.pickled import pickled

            self.cache.write(key, pickled((state, broken)))


def _reviewed(values: dict[str, Any]) -> Reviewed:
    findings = [Finding(**finding | {"severity": Severity(finding["severity"])}) for finding in values["findings"]]
    return Reviewed(**values | {"findings": findings, "actions": [Action(**action) for action in values["actions"]]})
