"""Before an upgrade: manual edits of what the pending revisions touch stop it, others are mentioned."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from handrail.catalog.difference import Difference
from handrail.catalog.objects import Kind
from handrail.catalog.words import in_words
from handrail.errors import DriftError
from handrail.predict.state import DEFAULT_SCHEMA
from handrail.statements.revision import asks
from handrail.upgrade.drift import ADOPTS, Drift

if TYPE_CHECKING:
    from pathlib import Path

    from handrail.review import Reviewed

# They are named by everything, or by nothing.
EVERYWHERE = (Kind.SCHEMA, Kind.EXTENSION, Kind.DEFAULT_PRIVILEGES)
RELATIONS = (Kind.TABLE, Kind.VIEW, Kind.MATERIALIZED_VIEW, Kind.SEQUENCE)
# With such a finding not all that a revision does was seen.
UNSURE = ("unseen", "bind-parameter")
ADOPTED = re.compile(rf"^\s*#\s*{ADOPTS}\s+(.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Pending:
    """A revision that is about to run.

    Attributes:
        source: Its text.
        reviewed: What it was found to do on this database; None when nobody has looked.
    """

    source: str
    reviewed: Reviewed | None = None

    @classmethod
    def of(cls, path: Path, reviewed: Reviewed | None) -> Pending:
        """Read a revision's file."""
        return cls(path.read_text(encoding="utf-8", errors="replace"), reviewed)

    @property
    def adopts(self) -> list[str]:
        """The objects whose edits it makes its own, as they are reported."""
        return ADOPTED.findall(self.source)

    @property
    def known(self) -> bool:
        """Whether all that it runs is known, and does not depend on what is in the database."""
        return bool(
            self.reviewed and not asks(self.source) and all(f.rule not in UNSURE for f in self.reviewed.findings)
        )

    @property
    def relations(self) -> Sequence[str]:
        """What its statements have to do with, wherever in the code their names are."""
        return self.reviewed.uses if self.reviewed else ()

    @property
    def statements(self) -> list[str]:
        """What it runs; the end of a long statement may be missing."""
        return [action.sql for action in self.reviewed.actions] if self.reviewed else []

    @cached_property
    def texts(self) -> list[str]:
        """The texts in its code, comments and docstrings left out."""
        try:
            nodes = list(ast.walk(ast.parse(self.source)))
        except SyntaxError:
            return [self.source]
        said = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}  # docstrings
        constants = (node for node in nodes if isinstance(node, ast.Constant) and id(node) not in said)
        return [node.value for node in constants if isinstance(node.value, str)]


def refuse_touched(found: Drift, pending: Sequence[Pending], *, keep: bool) -> set[str]:
    """Refuse to run revisions on tables that are not as they expect them; mention edits elsewhere.

    Args:
        found: What was changed by hand.
        pending: The revisions.
        keep: Whether somebody has said that the edits may stay.

    Returns:
        The objects whose edits the revisions make their own.

    Raises:
        DriftError: They use what was changed.
    """
    settled = {name for revision in pending for name in revision.adopts}
    left = [difference for difference in found.differences if str(difference.name) not in settled]
    hit = [difference for difference in left if any(touches(revision, difference) for revision in pending)]
    if hit and not keep:
        raise DriftError(
            f"nothing was changed: what the pending revisions touch was changed by hand since {since(found)}, so "
            "they may fail half-way or mean something else than when they were written:\n"
            + "".join(f"    {line}\n" for line in in_words(hit))
            + "  Decide which is right, then run the same command again:\n"
            '    handrail drift --adopt -m "…"     keep the edit, in a revision for all databases\n'
            "    handrail drift --revert           see what undoes it; run that with --apply\n"
            "  (In an emergency, leaving the question for later:  alembic -x drift=keep upgrade head)"
        )
    if left:
        print(
            f"{len(in_words(left))} manual edits since {since(found)}, none of which stops this: `handrail drift` "
            "shows them.",
            file=sys.stderr,
        )
    return settled


def since(found: Drift) -> str:
    """Say after which revision the edits were made, and since when."""
    revisions = " and ".join(found.revisions) or "the beginning"
    return f"{revisions} ({found.since:%Y-%m-%d %H:%M %Z})" if found.since else revisions


def touches(pending: Pending, difference: Difference) -> bool:
    """Whether a revision uses the table or other object that differs."""
    name = difference.name
    if name.kind in EVERYWHERE or is_remainder(difference):
        return False
    own = name.table or name.name.partition("(")[0]
    word = re.compile(rf"(?<![\w$]){re.escape(own)}(?![\w$])")
    relation = bool(name.table) or name.kind in RELATIONS
    if relation and not {f"{name.schema}.{own}", f"{DEFAULT_SCHEMA}.{own}"}.isdisjoint(pending.relations):
        return True
    if relation and pending.known:
        return False
    return any(word.search(text) for text in (*pending.statements, *pending.texts))


def is_remainder(difference: Difference) -> bool:
    """Whether it is what a failed build has left behind, which the upgrade itself takes away or builds again."""
    after = difference.after or {}
    came_or_broke = difference.before is None or difference.changes.keys() == {"valid"}
    return difference.name.kind is Kind.INDEX and came_or_broke and after.get("valid") is False
