"""Import Alembic without what a review has no use for."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder

# Drivers, and a review connects to nothing; each is loaded when it is used after all.
LATER = {f"sqlalchemy.dialects.postgresql.{name}" for name in ("asyncpg", "pg8000", "psycopg2", "psycopg2cffi")}
# With it Mako would make its pages about errors in colour; it can do without.
WITHOUT = {"mako.ext.pygmentplugin"}


class Finder:
    """Finds modules, but does not load them yet."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
        if name in WITHOUT:
            raise ModuleNotFoundError(name)
        spec = PathFinder.find_spec(name, path) if name in LATER else None
        if spec is not None and spec.loader is not None:
            spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec


@contextmanager
def imported_lightly() -> Iterator[None]:
    """Let what is imported in the block be imported without what it can do without."""
    sys.meta_path.insert(0, Finder)
    try:
        yield
    finally:
        sys.meta_path.remove(Finder)
