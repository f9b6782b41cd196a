"""Finds the models: imports every module of the project's package, so that none can be forgotten.

A module that cannot be imported is an error that names file and cause. It is never skipped: a smaller metadata would
make autogenerate propose to drop the tables that are missing from it.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import os
import sys
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from handrail.errors import ConfigurationError, DiscoveryError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from sqlalchemy import MetaData

    from handrail.config import Project

NOT_MODELS = {"conftest", "scripts", "setup", "test", "tests", "__main__", "__pycache__"}


def load_metadata(project: Project) -> MetaData:
    """Import only the module that `[tool.handrail] metadata` names, and return the MetaData in it.

    Its tables are complete only after `import_models`; its schema and naming convention are there at once.

    Raises:
        ConfigurationError: There is no such attribute, or it is neither a MetaData nor a declarative base.
        DiscoveryError: The module cannot be imported.
    """
    from sqlalchemy import MetaData

    name, _, attribute = project.metadata.partition(":")
    with importable(project):
        found: object = import_module(name, project)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ConfigurationError(
                f"[tool.handrail] metadata = {project.metadata!r}: the module {name} has no {attribute!r}."
            )
        found = getattr(found, part)
    metadata = getattr(found, "metadata", found)
    if not isinstance(metadata, MetaData):
        raise ConfigurationError(
            f"[tool.handrail] metadata = {project.metadata!r} is a {type(found).__name__}; "
            "it must name a declarative base class or a MetaData."
        )
    return metadata


def import_models(project: Project) -> MetaData:
    """Import all modules of the project's package, and return its complete MetaData.

    Left out are tests (`tests/`, `test_*.py`, `*_test.py`, `conftest.py`), scripts (`scripts/`, `__main__.py`, files
    that begin with `#!`), Alembic's own folders, and what `[tool.handrail] exclude` names.

    Raises:
        DiscoveryError: A module failed to import; the message names its file, the line and the cause.
    """
    metadata = load_metadata(project)
    with importable(project), without_garbage_collection():
        for name in module_names(project):
            import_module(name, project)
    return metadata


def module_names(project: Project) -> list[str]:
    """Return the dotted names of the modules to import, in a stable order."""
    spec = importlib.util.find_spec(project.package)
    locations = list(spec.submodule_search_locations or ()) if spec else []
    names: list[str] = []
    for location in locations:
        names += _walk(Path(location), project.package, project)
    return names


def _walk(folder: Path, package: str, project: Project) -> Iterator[str]:
    # pkgutil does not see folders without __init__.py, and a model in one of them is easily forgotten.
    for entry in sorted(folder.iterdir()):
        name = entry.stem if entry.suffix == ".py" else entry.name
        dotted = package if name == "__init__" else f"{package}.{name}"
        if name in NOT_MODELS or not name.isidentifier() or dotted in project.exclude:
            continue
        if entry.is_dir():
            if not (entry / "script.py.mako").exists():
                yield from _walk(entry, dotted, project)
        elif entry.suffix == ".py" and not _is_test(name) and not _is_script(entry):
            yield dotted


def _is_test(name: str) -> bool:
    return name.startswith("test_") or name.endswith("_test")


def _is_script(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"#!"


def import_module(name: str, project: Project) -> ModuleType:
    """Import one module; its failure becomes a `DiscoveryError` that names the place in the project's own code."""
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        place = _place(error, name, project.root)
        cause = " ".join(str(error).split())
        raise DiscoveryError(
            f"{place} could not be imported: {type(error).__name__}: {cause}. Nothing was compared: tables whose "
            "models are missing would be proposed for dropping. Repair the module, or, if it holds no models, add "
            f'exclude = ["{name}"] to [tool.handrail] in pyproject.toml.'
        ) from error


def _place(error: BaseException, name: str, root: Path) -> str:
    """Return `file:line` of the innermost frame in the project, or where the module was looked for."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_relative(error.filename, root)}:{error.lineno}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(root) and "site-packages" not in path.parts and path != Path(__file__):
            return f"{_relative(frame.filename, root)}:{frame.lineno}"
    return f"the module {name}"


def _relative(filename: str, root: Path) -> str:
    path = Path(filename)
    return str(path.relative_to(root)) if path.is_relative_to(root) else filename


@contextmanager
def importable(project: Project) -> Iterator[None]:
    """Make sure that the project's package can be imported, from whatever directory the command was called."""
    root = str(project.root)
    if importlib.util.find_spec(project.package) is None:
        sys.path.insert(0, root)
        importlib.invalidate_caches()
    # Modules may read their settings when they are imported (`app = create_app(load_settings())`).
    added = "DATABASE_URL" not in os.environ
    if added:
        os.environ["DATABASE_URL"] = project.database_url or "postgresql:///"
    try:
        yield
    finally:
        if added:
            del os.environ["DATABASE_URL"]


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Keep the collector from walking over thousands of new classes again and again (a quarter of the time)."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
