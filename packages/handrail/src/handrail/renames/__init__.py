"""Renames: data stays where a name changes. What only looks like one is never decided without the developer."""

from __future__ import annotations

from handrail.renames.answers import Answer, carried, explicit, refuse_unknown, resolve
from handrail.renames.candidates import (
    aligned,
    renamed_columns,
    renamed_definitions,
    renamed_tables,
    renamed_values,
)
from handrail.renames.rename import Rename, in_order, renamed_catalog

__all__ = [
    "Answer",
    "Rename",
    "aligned",
    "carried",
    "explicit",
    "in_order",
    "refuse_unknown",
    "renamed_catalog",
    "renamed_columns",
    "renamed_definitions",
    "renamed_tables",
    "renamed_values",
    "resolve",
]
