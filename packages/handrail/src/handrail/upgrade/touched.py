"""Before an upgrade: manual edits of what the pending revisions touch stop it, others are mentioned."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from handrail.catalog.difference import Difference
from handrail.catalog.objects import Kind
from handrail.catalog.words import in_words
from handrail.errors import DriftError
from handrail.upgrade.drift import ADOPTS, Drift

# They are named by everything, or by nothing.
EVERYWHERE = (Kind.SCHEMA, Kind.EXTENSION, Kind.DEFAULT_PRIVILEGES)
ADOPTED = re.compile(rf"^\s*#\s*{ADOPTS}\s+(.+?)\s*$", re.MULTILINE)


def adopted(sources: Iterable[str]) -> set[str]:
    """Return the objects whose edits pending revisions make their own, as they are reported."""
    return {name for source in sources for name in ADOPTED.findall(source)}


def refuse_touched(found: Drift, sources: Sequence[str], *, keep: bool) -> set[str]:
    """Refuse to run revisions on tables that are not as they expect them; mention edits elsewhere.

    Args:
        found: What was changed by hand.
        sources: The texts of the pending revisions. What they mention is taken to be touched.
        keep: Whether somebody has said that the edits may stay.

    Returns:
        The objects whose edits the revisions make their own.

    Raises:
        DriftError: They mention what was changed.
    """
    settled = adopted(sources)
    left = [difference for difference in found.differences if str(difference.name) not in settled]
    hit = [difference for difference in left if touches(sources, difference)]
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


def touches(sources: Sequence[str], difference: Difference) -> bool:
    """Whether one of the texts mentions a table or other object by its name."""
    name = difference.name
    if name.kind in EVERYWHERE or is_remainder(difference):
        return False
    own = name.table or name.name.partition("(")[0]
    pattern = re.compile(rf"(?<![\w$]){re.escape(own)}(?![\w$])")
    return any(pattern.search(source) for source in sources)


def is_remainder(difference: Difference) -> bool:
    """Whether it is what a failed build has left behind, which the upgrade itself takes away or builds again."""
    after = difference.after or {}
    came_or_broke = difference.before is None or difference.changes.keys() == {"valid"}
    return difference.name.kind is Kind.INDEX and came_or_broke and after.get("valid") is False


def sources_of(paths: Iterable[Path]) -> list[str]:
    """Return the texts of revision files."""
    return [path.read_text(encoding="utf-8", errors="replace") for path in paths]
