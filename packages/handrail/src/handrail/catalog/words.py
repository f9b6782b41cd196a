"""Differences in words, one line each, for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from handrail.catalog.difference import Difference
from handrail.catalog.objects import Kind

VALUE_LENGTH = 100  # characters of a definition that a line shows


def in_words(differences: Sequence[Difference]) -> list[str]:
    """Return a line for each difference: `+` made, `-` gone, `~` changed. Parts of a table go with the table."""
    whole = {d.name for d in differences if d.name.kind is Kind.TABLE and (d.before is None or d.after is None)}
    return [line for d in differences if not (d.name.table and d.name.owner in whole) for line in _lines(d)]


def _lines(difference: Difference) -> Iterator[str]:
    if difference.before is None:
        yield f"+ {difference.name}"
    elif difference.after is None:
        yield f"- {difference.name}"
    else:
        changes = difference.changes
        # A definition says it all again, in one text.
        shown = {key: pair for key, pair in changes.items() if key != "definition"} or changes
        for key, (before, after) in shown.items():
            yield f"~ {difference.name}: {key.replace('_', ' ')} {_value(before)} -> {_value(after)}"


def _value(value: Any) -> str:
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= VALUE_LENGTH else text[:VALUE_LENGTH] + " …"
