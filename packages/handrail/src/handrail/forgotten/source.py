"""The project's own source files, parsed; nothing is imported or run."""

from __future__ import annotations

import ast
import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from handrail.config import Project

NOT_SOURCE = {"__pycache__", "build", "dist", "node_modules", "site-packages", "venv"}
# A file without any of these words maps no table, and is not parsed.
WORDS = (b"__tablename__", b"Table", b"Mapped", b"Column", b"mapped_column", b"SQLModel")


@dataclass
class Source:
    """One file.

    Attributes:
        path: Where it is.
        tree: Its syntax tree.
        constants: Module-level names of texts, and what they stand for.
        aliases: Imported names, by the names they have here: `Table` for `T` after `from sqlalchemy import Table as T`.
    """

    path: Path
    tree: ast.Module
    constants: dict[str, ast.expr] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)


def sources(project: Project, names: tuple[bytes, ...] = ()) -> Iterator[Source]:
    """Yield the files that may map a table, or hold one of these names."""
    for path in source_files(*_folders(project)):
        try:
            content = path.read_bytes()
            if not any(word in content for word in (*WORDS, *names)):
                continue
            tree = ast.parse(content)
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # what cannot be parsed can map nothing either
        if not _is_revision(tree):
            yield _read(path, tree)


def source_files(*folders: Path) -> Iterator[Path]:
    """Yield the Python files in these folders; Alembic's folder names the tables, too, but maps none."""
    for folder, inner, names in (step for start in folders for step in os.walk(start)):
        if "script.py.mako" in names or "pyvenv.cfg" in names:
            inner.clear()
            continue
        inner[:] = sorted(name for name in inner if name not in NOT_SOURCE and not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(".py"))


def _folders(project: Project) -> list[Path]:
    """Return the project's folder, and its package's where that is elsewhere."""
    spec = importlib.util.find_spec(project.package)
    places = [Path(place).resolve() for place in (spec.submodule_search_locations or ())] if spec else []
    return [project.root, *(place for place in places if not place.is_relative_to(project.root))]


def _is_revision(tree: ast.Module) -> bool:
    """Whether it is a revision of Alembic's, wherever it lies."""
    names = {name for statement in tree.body for name, _ in assigned(statement)}
    return {"revision", "down_revision"} <= names


def _read(path: Path, tree: ast.Module) -> Source:
    source = Source(path, tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom | ast.Import):
            source.aliases |= {alias.asname: alias.name for alias in node.names if alias.asname}
        for name, value in assigned(node):
            # Also those in classes and enums, `Tables.GUESTS`; the first one of a name wins.
            if isinstance(value, ast.Constant | ast.JoinedStr | ast.BinOp):
                source.constants.setdefault(name, value)
    return source


def assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names to which a statement gives a value."""
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign):
        targets = [node.target]
    for target in targets:
        if isinstance(target, ast.Name) and getattr(node, "value", None) is not None:
            yield target.id, node.value  # type: ignore[attr-defined]
