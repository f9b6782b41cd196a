"""Tables that would be dropped although the source still has a class for them: never proposed, always explained."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic.operations.ops import DropTableOp, MigrationScript

from handrail.errors import DiscoveryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from handrail.config import Project

MAPS_A_TABLE = re.compile(r"""(?:__tablename__[^=\n]*=|\bTable\()\s*(["'])(?P<table>[^"'\n]+)\1""")
NOT_SOURCE = {"__pycache__", "build", "dist", "node_modules", "site-packages", "venv"}


def refuse_forgotten_models(
    project: Project, _context: Any, _revision: Any, directives: Sequence[MigrationScript]
) -> None:
    """Alembic's hook `process_revision_directives`: refuse to drop a table that a source file still maps.

    Its class was not imported: the file looks like a test or a script, is excluded, or uses another base class.

    Raises:
        DiscoveryError: There is such a file; the message names it with its line.
    """
    dropped = {
        operation.table_name
        for script in directives
        for upgrade in script.upgrade_ops_list
        for operation in upgrade.ops
        if isinstance(operation, DropTableOp)
    }
    if not dropped:
        return
    for path in source_files(project.root):
        text = path.read_text(encoding="utf-8", errors="replace")
        for found in MAPS_A_TABLE.finditer(text):
            if found["table"] in dropped:
                line = text.count("\n", 0, found.start()) + 1
                place = f"{path.relative_to(project.root)}:{line}"
                raise DiscoveryError(
                    f'the table "{found["table"]}" would be dropped, but {place} still maps it, in a class that is not '
                    f"among the models of {project.metadata}: the file looks like a test or a script, is excluded in "
                    "[tool.handrail], or the class has another base. Nothing was written. Move or rename the file, or "
                    "delete the class if the table is to go."
                )


def source_files(root: Path) -> Iterator[Path]:
    """Yield the project's own Python files; Alembic's folder names the tables, too, but maps none."""
    for folder, folders, names in os.walk(root):
        if "script.py.mako" in names:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if name not in NOT_SOURCE and not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(".py"))
