"""What `handrail drift` says: text for people, JSON for machines."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from handrail.catalog.difference import Difference
from handrail.catalog.words import in_words
from handrail.upgrade.drift import Drift

WAYS_OUT = """\
Two ways out:
    handrail drift --adopt -m "…"    write a revision that says the same, for all other databases
    handrail drift --revert          show the SQL that undoes it here; it is run only with --apply"""


def text(found: Drift) -> str:
    """Return the report for people."""
    if not found.differences:
        lines = [f"No drift since {since(found)}."]
    else:
        number = len(in_words(found.differences))
        lines = [f"Changed by hand since {since(found)}: {number} {'thing' if number == 1 else 'things'}.", ""]
        lines += described(found.differences)
        lines += earlier(found)
    if found.tolerated:
        lines += ["", "Ignored, as [tool.handrail.drift] says:"]
        for each in found.tolerated:
            lines += [f"  {line}  ({each.reason})" for line in in_words([each.difference])]
    return "\n".join([*lines, "", WAYS_OUT] if found.differences else lines)


def since(found: Drift) -> str:
    """Say after which revision, and since when."""
    revisions = " and ".join(found.revisions) or "the beginning"
    word = "revisions" if len(found.revisions) > 1 else "revision"
    named = f"{word} {revisions}" if found.revisions else revisions
    return f"{named} ({found.since:%Y-%m-%d %H:%M:%S %Z})" if found.since else named


def earlier(found: Drift) -> Iterator[str]:
    """Yield what was there before the last migration, which passed it by."""
    for name, (revisions, began) in sorted(found.earlier.items()):
        yield f"  ({name}: before that already, since revision {' '.join(revisions)} ({began:%Y-%m-%d %H:%M:%S %Z}))"


def described(differences: Sequence[Difference]) -> Iterator[str]:
    """Yield lines: each object with each attribute, texts of several lines as a diff."""
    yield from in_words(differences)
    for difference in differences:
        for key, (before, after) in difference.changes.items():
            if isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
                yield ""
                yield f"{difference.name}: {key.replace('_', ' ')}"
                diff = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1)
                yield from (f"    {line}" for line in list(diff)[2:])


def as_json(found: Drift, compared_with: str) -> str:
    """Return the report for machines."""
    return json.dumps(
        {
            "drift": bool(found.differences),
            "compared_with": compared_with,
            "revisions": list(found.revisions),
            "since": found.since.isoformat() if found.since else None,
            "differences": [as_dict(difference) | began(found, difference) for difference in found.differences],
            "ignored": [as_dict(each.difference) | {"reason": each.reason} for each in found.tolerated],
        },
        indent=2,
        ensure_ascii=False,
    )


def began(found: Drift, difference: Difference) -> dict[str, Any]:
    """Return after which revisions and since when an object must have been changed."""
    revisions, since_ = found.earlier.get(str(difference.name), (found.revisions, found.since))
    return {"revisions": list(revisions), "since": since_.isoformat() if since_ else None}


def as_dict(difference: Difference) -> dict[str, Any]:
    """Return one difference: its object, whether it came, went or changed, and each attribute before and after."""
    name = difference.name
    change = "added" if difference.before is None else "removed" if difference.after is None else "changed"
    before, after = difference.before or {}, difference.after or {}
    attributes = difference.changes or {key: (before.get(key), after.get(key)) for key in sorted({*before, *after})}
    return {
        "object": str(name),
        "kind": name.kind.value,
        "schema": name.schema,
        "table": name.table or None,
        "name": name.name,
        "change": change,
        "attributes": {key: {"before": pair[0], "after": pair[1]} for key, pair in attributes.items()},
    }
