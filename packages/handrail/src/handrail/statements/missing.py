"""Stand-ins for what a revision imports and is not installed here: reading it must not need the whole application."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Iterator, MutableSequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from handrail.statements.absent import absent, answering

Told = Callable[[str], None]


# What such modules contain, by their files: most revisions of a project import the same.
LOADED: dict[Path, dict[str, Any]] = {}


class AbsentModule(ModuleType):
    """A module that is not here."""

    __path__: MutableSequence[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        full = f"{self.__name__}.{name}"
        # `from shop.migrations import helpers` asks for an attribute first.
        loader: Any = self.__spec__.loader if self.__spec__ else None
        if isinstance(loader, Finder) and loader.about_migrations(full) is not None:
            return importlib.import_module(full)
        return absent(full)


class Finder:
    """Finds stand-ins for what a revision file itself imports.

    Modules of the project's that are about migrations are no stand-ins, but what they are: revisions leave to them what
    they do. The packages around them are not imported for that, which would be the whole application.
    """

    def __init__(self, folders: Iterable[Path], replaced: Iterable[str] = ()) -> None:
        self.folders = [str(folder) for folder in folders]
        self.roots = list(dict.fromkeys(parent for folder in map(Path, self.folders) for parent in folder.parents))
        self.project = str(Path.cwd()) + os.sep
        self.replaced = set(replaced)
        self.made: list[str] = []
        self.about: dict[str, Path | None] = {}

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> importlib.machinery.ModuleSpec | None:
        """Find what is missing: this comes after all other finders."""
        return self.stand_in(name) if self._wanted_by_revision() or self._below(name) else None

    def stand_in(self, name: str) -> importlib.machinery.ModuleSpec | None:
        self.made.append(name)
        return importlib.util.spec_from_loader(name, self, is_package=True)  # type: ignore[arg-type]

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return AbsentModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Run the file where it is about migrations; of any other nothing is known."""
        file = self.about_migrations(module.__name__)
        if file is None:
            return
        if file in LOADED:
            module.__dict__.update(LOADED[file])
            return
        self.folders.append(str(file))
        module.__file__ = str(file)
        try:
            code = compile(file.read_text(encoding="utf-8"), str(file), "exec", dont_inherit=True)
            exec(code, module.__dict__)  # noqa: S102 - as importing it would
            LOADED[file] = module.__dict__
        except Exception:  # noqa: BLE001 - then it is one that cannot be imported here
            return

    def about_migrations(self, name: str) -> Path | None:
        """Return the file of a module of the project's that is about migrations."""
        if name not in self.about:
            *packages, last = name.split(".")
            ends = (Path(*packages, f"{last}.py"), Path(*packages, last, "__init__.py"))
            found = next((file for root in self.roots for end in ends if (file := root / end).is_file()), None)
            about = found and ("migrat" in name or b"alembic" in found.read_bytes())
            self.about[name] = found if about else None
        return self.about[name]

    def _below(self, name: str) -> bool:
        return isinstance(sys.modules.get(name.rpartition(".")[0]), AbsentModule)

    def _wanted_by_revision(self) -> bool:
        """Whether it is a revision or the project that imports: what else is missing is an optional dependency."""
        frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - who imports is not told in any other way
        while frame is not None and ("importlib" in frame.f_code.co_filename or frame.f_code.co_filename == __file__):
            frame = frame.f_back
        name = frame.f_code.co_filename if frame is not None else ""
        return name.startswith(tuple(self.folders)) or (name.startswith(self.project) and "-packages" not in name)


class Replacing:
    """Finds stand-ins for packages that are here and cannot be imported: it comes before all other finders."""

    def __init__(self, finder: Finder) -> None:
        self.finder = finder

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> importlib.machinery.ModuleSpec | None:
        return self.finder.stand_in(name) if name.partition(".")[0] in self.finder.replaced else None


@contextmanager
def stand_ins(
    folders: Iterable[Path], replaced: Iterable[str] = (), *, truth: bool = False, called: Told | None = None
) -> Iterator[None]:
    """Let revisions in these folders import what is not installed.

    Args:
        folders: Of the revision files.
        replaced: Packages that are stood in for although they are here, because they cannot be imported.
        truth: Whether a value that is not known counts as true.
        called: Is told the names of functions that are called and not known.
    """
    replaced = set(replaced)
    finder = Finder(folders, replaced)
    here = list(sys.modules) if replaced else []
    hidden = {name: sys.modules.pop(name) for name in here if name.partition(".")[0] in replaced}
    replacing = Replacing(finder)
    sys.meta_path.insert(0, replacing)
    sys.meta_path.append(finder)
    try:
        with answering(truth=truth, called=called):
            yield
    finally:
        sys.meta_path.remove(replacing)
        sys.meta_path.remove(finder)
        for name in finder.made:
            sys.modules.pop(name, None)
        sys.modules.update(hidden)
