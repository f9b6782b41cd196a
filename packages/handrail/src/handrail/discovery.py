"""Finds the models: imports every module of the project's package, so that none can be forgotten.

A module that cannot be imported is an error that names file and cause. It is never skipped: a smaller metadata would
make autogenerate propose to drop the tables that are missing from it.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import os
import re
import sys
import traceback
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from handrail.errors import ConfigurationError, DiscoveryError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from sqlalchemy import MetaData

    from handrail.config import Project

NOT_MODELS = {"conftest", "scripts", "setup", "test", "tests", "__main__", "__pycache__"}
CAUSE_LENGTH = 500  # characters of an import's failure that an error shows


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
    """Return the dotted names of the modules to import: the entrypoint, then the others in alphabetical order."""
    spec = importlib.util.find_spec(project.package)
    locations = list(spec.submodule_search_locations or ()) if spec else []
    names: list[str] = []
    for location in locations:
        names += _walk(Path(location), project.package, project)
    # Modules that import each other work from where the application begins, and perhaps from nowhere else.
    entrypoint = project.entrypoint.partition(":")[0]
    return sorted(names, key=lambda name: name != entrypoint)


def _walk(folder: Path, package: str, project: Project) -> Iterator[str]:
    # pkgutil does not see folders without __init__.py, and a model in one of them is easily forgotten.
    for entry in sorted(folder.iterdir()):
        name = entry.stem if entry.suffix == ".py" else entry.name
        dotted = package if name == "__init__" else f"{package}.{name}"
        if name in NOT_MODELS or not name.isidentifier() or dotted in project.exclude:
            continue
        if entry.is_dir():
            if not (entry / "script.py.mako").exists() and not _is_loop(entry):
                yield from _walk(entry, dotted, project)
        elif entry.suffix == ".py" and not _is_test(name) and not _is_script(entry):
            yield dotted


def why_left_out(path: Path, project: Project) -> str | None:
    """Return why a file is not among the modules that are imported; None when it is."""
    spec = importlib.util.find_spec(project.package)
    homes = [Path(place).resolve() for place in (spec.submodule_search_locations or ())] if spec else []
    home = next((home for home in homes if path.resolve().is_relative_to(home)), None)
    if home is None:
        return f"the file is outside of the package {project.package}"
    dotted = project.package
    for part in path.resolve().relative_to(home).with_suffix("").parts:
        dotted = dotted if part == "__init__" else f"{dotted}.{part}"
        if dotted in project.exclude:
            return f'exclude = ["{dotted}"] in [tool.handrail] leaves it out'
        if part in NOT_MODELS:
            return f'nothing that is called "{part}" is searched for models'
        if not part.isidentifier():
            return f'"{part}" is no name that Python can import'
    if _is_test(path.stem):
        return "the file looks like a test"
    return "the file looks like a script, because it begins with #!" if _is_script(path) else None


def _is_loop(folder: Path) -> bool:
    """Whether it is a link to a folder that we came through."""
    return folder.is_symlink() and folder.resolve() in (parent.resolve() for parent in folder.parents)


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
        remedy = (
            "It ended the process on purpose: give it what it asks for."
            if isinstance(error, SystemExit)
            else "Repair the module, or, if it holds no models, "
            f'add exclude = ["{name}"] to [tool.handrail] in pyproject.toml.'
        )
        raise DiscoveryError(
            f"{place} could not be imported: {type(error).__name__}: {_cause(error, project)}. Nothing was compared: "
            f"tables whose models are missing would be proposed for dropping. {remedy}"
        ) from error


def _cause(error: BaseException, project: Project) -> str:
    """Return what an error says, in one line of bearable length, without the database's URL or password."""
    text = str(error)
    if type(error).__name__ == "ValidationError":
        # pydantic's text repeats the input, which for settings is the environment. Its version 1 does not, and knows
        # no `include_input`; errors of that name in other libraries have no `errors()`.
        with suppress(AttributeError, TypeError):
            problems: list[dict[str, Any]] = error.errors(include_input=False)  # type: ignore[attr-defined]
            text = "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems)
    for secret in _secrets(project.database_url or ""):
        text = text.replace(secret, "***")
    text = " ".join(text.split())
    return text if len(text) <= CAUSE_LENGTH else text[:CAUSE_LENGTH] + " …"


def _secrets(url: str) -> list[str]:
    """Return what must not be shown of a URL, in the order to look for it: as a whole, and the password in it."""
    user, password = re.findall(r"://([^:/]*):(.*)@|$", url)[0]
    # A password that is the user's name protects nothing, and hiding that name everywhere would garble the message.
    passwords = [password, unquote(password)] if unquote(password) != unquote(user) else []
    return [secret for secret in (url, *passwords, *re.findall(r"[?&]password=([^&]+)", url)) if secret]


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
    _prefer_own_package(project)
    # Modules may read their settings when they are imported (`app = create_app(load_settings())`).
    added = not os.environ.get("DATABASE_URL")
    if added:
        os.environ["DATABASE_URL"] = project.database_url or "postgresql:///"
    try:
        yield
    finally:
        if added:
            os.environ.pop("DATABASE_URL", None)  # a module may have taken it out


def _prefer_own_package(project: Project) -> None:
    """Let the project's own package win over others of its name: in the working directory, or installed.

    Raises:
        ConfigurationError: The other one is imported already.
    """
    folders: list[Path] = []
    # A folder without __init__.py may have that name by chance, so it counts only where there is nothing better.
    for kind in ("{}/__init__.py", "{}.py", "{}"):
        path = kind.format(project.package)
        folders = folders or [folder for folder in (project.root, project.root / "src") if (folder / path).exists()]
    # Found nowhere here, it is wherever the project has installed it from.
    if not folders or _home(project.package) in folders:
        return
    if project.package not in sys.modules:
        sys.path.insert(0, str(folders[0]))
        importlib.invalidate_caches()
    home = _home(project.package)
    if home not in folders:
        raise ConfigurationError(
            f"the package {project.package} of this project is in {folders[0]}, but Python has imported another one of "
            f"that name from {home}. Rename one of them, or run the command without the other on PYTHONPATH."
        )


def _home(package: str) -> Path | None:
    """Return the folder from which Python imports a package or module; None when it finds none."""
    spec = importlib.util.find_spec(package)
    places = [*(spec.submodule_search_locations or ()), spec.origin] if spec else []
    return next((Path(place).resolve().parent for place in places if place), None)


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
