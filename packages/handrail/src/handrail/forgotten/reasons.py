"""Why a class that stands in the source is not among the models, and what to do about it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from handrail.discovery import why_left_out

if TYPE_CHECKING:
    from types import ModuleType

    from sqlalchemy import MetaData

    from handrail.config import Project
    from handrail.forgotten.tables import Declared

DELETE = "or delete it if the data is to go"


@dataclass(frozen=True)
class Reason:
    """Why something is not among the models.

    Attributes:
        why: Half a sentence.
        remedy: What to do about it, without a full stop.
    """

    why: str
    remedy: str


def why_no_model(declared: Declared, project: Project, metadata: MetaData) -> Reason | None:
    """Return why a class or table of the source is none of the models; None when it is one of them."""
    from sqlalchemy import Table

    modules = loaded_from(declared.path)
    found = [thing for module in modules if (thing := _attribute(module, declared.name)) is not None]
    mapped = (getattr(thing, "__table__", thing) for thing in found)
    tables = [table for table in mapped if isinstance(table, Table)]
    # What it maps is known exactly then, and is not what would be dropped.
    if any(table.metadata is metadata for table in tables):
        return None
    if tables:
        return _other_metadata(project)
    if found:
        return Reason("but none of its bases maps tables", f"Let it inherit from {project.metadata}, {DELETE}")
    if modules and declared.branch:
        return Reason(f"{declared.branch}, which did not run when its file was imported", f"Move it out, {DELETE}")
    left_out = why_left_out(declared.path, project)
    if left_out:
        return Reason(f"but {left_out}", f"Change that or import the file from a module of {project.package}, {DELETE}")
    return Reason(f"but it is not among the models of {project.metadata}", f"Make it one of them, {DELETE}")


def _other_metadata(project: Project) -> Reason:
    """Return why there are two MetaData: two bases, or one base whose file was imported under two names."""
    module = sys.modules[project.metadata.partition(":")[0]]
    names = sorted(other.__name__ for other in loaded_from(Path(module.__file__ or "")))
    if len(names) > 1:
        return Reason(
            f"but {Path(module.__file__ or '').name} is imported twice, as {' and as '.join(names)}, so that there are "
            "two MetaData",
            f"Import it as {module.__name__} everywhere",
        )
    return Reason(
        f"but with another MetaData than that of {project.metadata}", f"Let it inherit from that one, {DELETE}"
    )


def loaded_from(path: Path) -> list[ModuleType]:
    """Return the modules that were imported from a file; more than one when it has several names."""
    path = path.resolve()
    return [
        module
        for module in list(sys.modules.values())
        if (file := getattr(module, "__file__", None)) and file.endswith(path.name) and Path(file).resolve() == path
    ]


def _attribute(module: ModuleType, name: str) -> object | None:
    try:
        return attrgetter(name)(module) if name else None
    except AttributeError:
        return None
