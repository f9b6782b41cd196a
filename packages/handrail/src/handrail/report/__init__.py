"""Reports: the same findings, written for people, machines, GitHub and code scanning."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from handrail.review import Reviewed

# Each is imported only when it is wanted.
FORMATS = {
    "text": "text.as_text",
    "json": "structured.as_json",
    "github": "github.as_github",
    "sarif": "sarif.as_sarif",
    "markdown": "markdown.as_markdown",
}


def written(reviews: Sequence[Reviewed], shape: str) -> str:
    """Return what was found, in one of the formats."""
    module, _, function = FORMATS[shape].partition(".")
    return str(getattr(importlib.import_module(f"handrail.report.{module}"), function)(reviews))
