"""Tables and columns that would be dropped although the source still maps them: never proposed, always explained."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from handrail.catalog.objects import Kind, Name
from handrail.discovery import load_metadata
from handrail.errors import DiscoveryError
from handrail.forgotten.columns import forgotten_column
from handrail.forgotten.reasons import Reason, why_no_model
from handrail.forgotten.source import source_files
from handrail.forgotten.tables import Declared, declarations

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import MetaData

    from handrail.config import Project

__all__ = ["refuse_forgotten_models", "source_files"]

SHOWN = 5  # forgotten places in one message


def refuse_forgotten_models(project: Project, dropped: Collection[Name]) -> None:
    """Refuse to drop tables, or columns of tables that stay, which a source file still maps.

    Raises:
        DiscoveryError: There is such a file; the message names it with its line, and why its class is no model.
    """
    names = [name for name in dropped if name.kind in (Kind.TABLE, Kind.COLUMN)]
    if not names:
        return
    metadata = load_metadata(project)
    found = declarations(project)
    tables = {name for name in names if name.kind is Kind.TABLE}
    messages = [message for name in sorted(tables) for message in _of_table(name, found, project, metadata)]
    messages += [
        message
        for name in sorted(set(names) - tables)
        if name.owner not in tables
        for message in _of_column(name, found, project, metadata)
    ]
    if messages:
        more = f" (and {len(messages) - SHOWN} more)" if len(messages) > SHOWN else ""
        raise DiscoveryError(f"nothing was written: {'; '.join(messages[:SHOWN])}{more}.")


def _of_table(name: Name, found: Collection[Declared], project: Project, metadata: MetaData) -> Iterator[str]:
    for declared in found:
        reason = why_no_model(declared, project, metadata) if declared.maps(name) else None
        if reason:
            yield _message(f'the table "{name.name}"', _place(declared.path, declared.line, project), reason)


def _of_column(name: Name, found: Collection[Declared], project: Project, metadata: MetaData) -> Iterator[str]:
    for declared in found:
        if declared.maps(name.owner) and why_no_model(declared, project, metadata) is None:
            for path, line, reason in forgotten_column(name.name, declared):
                yield _message(f'the column "{name.name}" of "{name.table}"', _place(path, line, project), reason)


def _message(what: str, place: str, reason: Reason) -> str:
    return f"{what} would be dropped, but {place} still maps it, {reason.why}. {reason.remedy}"


def _place(path: Path, line: int, project: Project) -> str:
    return f"{path.relative_to(project.root) if path.is_relative_to(project.root) else path}:{line}"
