"""The parts of a target as they are kept in the cache: many in one file, each found by its digest."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from handrail.catalog import Attributes, Kind, Name

if TYPE_CHECKING:
    from handrail.cache import Cache

Objects: TypeAlias = "dict[Name, Attributes]"
Rows: TypeAlias = "list[list[Any]]"  # kind, schema, table, name, attributes


@dataclass
class Store:
    """Objects by the digest of what they were made from."""

    cache: Cache
    key: str
    rows: dict[str, Rows]
    kept: frozenset[str]

    @classmethod
    def open(cls, cache: Cache, key: str) -> Store:
        """Read what is there; nothing if that is damaged."""
        try:
            rows = dict(json.loads(cache.read(key) or "{}"))
        except ValueError:
            rows = {}
        return cls(cache, key, rows, frozenset(rows))

    def get(self, digest: str) -> Objects | None:
        """Return the objects that were put under this digest."""
        rows = self.rows.get(digest)
        if rows is None:
            return None
        return {Name(Kind(kind), schema, table, name): value for kind, schema, table, name, value in rows}

    def put(self, parts: dict[str, Objects]) -> None:
        """Add objects."""
        self.rows |= {digest: [[*name, value] for name, value in part.items()] for digest, part in parts.items()}

    def save(self, digests: Iterable[str]) -> None:
        """Write to the cache what has one of these digests, unless exactly that is there."""
        rows = {digest: self.rows[digest] for digest in digests if digest in self.rows}
        if rows and rows.keys() != self.kept:
            self.cache.write(self.key, json.dumps(rows, separators=(",", ":"), ensure_ascii=False))
