"""A catalog as the journal keeps it: a line for each table, so that only those are decoded that somebody looks at."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from handrail.catalog.objects import FORMAT, KINDS, TABLE_KINDS, Attributes, Catalog, Fingerprints, Kind, Name, Place

NOWHERE: Place = ("", "")  # of what is in no table


def written(catalog: Catalog) -> str:
    """Return the text from which `Stored` reads the catalog, with its fingerprints."""
    lines: dict[Place, list[Any]] = {NOWHERE: []}
    for name, attributes in sorted(catalog.objects.items()):
        lines.setdefault(place_of(name), []).append([*name, attributes])
    taken = catalog.fingerprints
    header = {
        "format": FORMAT,
        "major": catalog.version // 10000,
        "places": list(lines),
        "surroundings": taken and taken.surroundings,
        "relations": taken and [[*place, mark] for place, mark in sorted(taken.relations.items())],
    }
    return "\n".join(json.dumps(part, separators=(",", ":"), ensure_ascii=False) for part in (header, *lines.values()))


def place_of(name: Name) -> Place:
    """Return the table whose fingerprint an object goes with."""
    if name.kind not in TABLE_KINDS:
        return NOWHERE
    return (name.schema, name.table or name.name)


@dataclass(frozen=True)
class Stored:
    """What `written` returned, or an older handrail wrote.

    Attributes:
        version: Of the server, the major one only.
        lines: JSON of the objects, by the table that they belong to.
        fingerprints: What the server's rows were like; None where that was not recorded.
    """

    version: int
    lines: Mapping[Place, str]
    fingerprints: Fingerprints | None

    @classmethod
    def read(cls, text: str) -> Stored:
        """Read a text.

        Raises:
            ValueError: Another handrail wrote it, which gave objects other attributes.
        """
        first, *lines = text.split("\n")
        header = json.loads(first)
        if isinstance(header, list):  # as it was before there were lines
            return cls.of(Catalog.from_json(text))
        if header["format"] != FORMAT:
            raise ValueError(f"a catalog of format {FORMAT} is needed")
        places = [(schema, name) for schema, name in header["places"]]
        fingerprints = None
        if header["surroundings"] is not None:
            relations = {(schema, name): mark for schema, name, mark in header["relations"]}
            fingerprints = Fingerprints(header["surroundings"], relations)
        return cls(header["major"] * 10000, dict(zip(places, lines, strict=True)), fingerprints)

    @classmethod
    def of(cls, catalog: Catalog) -> Stored:
        """Return a catalog as if it had been read from the journal."""
        return cls.read(written(catalog))

    @cached_property
    def whole(self) -> Catalog:
        """All of it."""
        return self._decoded(list(self.lines.values()))

    def part(self, places: Collection[Place]) -> Catalog:
        """Return some tables, and all that is in no table."""
        return self._decoded([line for place, line in self.lines.items() if place == NOWHERE or place in places])

    def _decoded(self, lines: Sequence[str]) -> Catalog:
        objects: dict[Name, Attributes] = {}
        for rows in json.loads(f"[{','.join(lines)}]"):
            objects.update((Name(KINDS[kind], *rest), value) for kind, *rest, value in rows)
        return Catalog(self.version, dict(sorted(objects.items())), self.fingerprints)

    @cached_property
    def schemas(self) -> set[str]:
        """The schemas that it tells about."""
        return {name.name for name, _ in self.part(()).of_kind(Kind.SCHEMA)}

    @property
    def unmarked(self) -> set[Place]:
        """The tables of which no fingerprint was recorded, because they were not there."""
        known = self.fingerprints.relations if self.fingerprints else {}
        return self.lines.keys() - known.keys() - {NOWHERE}
