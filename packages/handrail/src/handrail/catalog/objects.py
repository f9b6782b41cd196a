"""What a catalog is made of: objects with a name each, and the attributes that the server keeps of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

FORMAT = 2  # to be raised when the same object gets other attributes than before

Place = tuple[str, str]  # schema and name of a table, view or sequence
Attributes = Mapping[str, Any]  # values as JSON has them: texts, numbers, booleans, None, lists and dicts of these


class Kind(StrEnum):
    """The kinds of objects, in an order in which they can be created."""

    SCHEMA = "schema"
    EXTENSION = "extension"
    COLLATION = "collation"
    ENUM = "enum"
    DOMAIN = "domain"
    COMPOSITE = "composite"
    RANGE = "range"
    SEQUENCE = "sequence"
    FUNCTION = "function"
    TABLE = "table"
    COLUMN = "column"
    CONSTRAINT = "constraint"
    INDEX = "index"
    VIEW = "view"
    MATERIALIZED_VIEW = "materialized view"
    STATISTICS = "statistics"
    TRIGGER = "trigger"
    RULE = "rule"
    POLICY = "policy"
    DEFAULT_PRIVILEGES = "default privileges"


KINDS = {kind.value: kind for kind in Kind}  # many times as fast as Kind(…)
TABLE_KINDS = frozenset({Kind.TABLE, Kind.COLUMN, Kind.CONSTRAINT, Kind.INDEX})


class Name(NamedTuple):
    """What identifies an object in its database.

    Attributes:
        kind: What it is.
        schema: The schema it is in; empty for what is in none. A schema's own name is `name`.
        table: The table (or view) that it belongs to: of columns, constraints, indexes, triggers, rules, policies.
        name: Its own name; of a function with the types of its arguments, `area(integer, integer)`.
    """

    kind: Kind
    schema: str
    table: str
    name: str

    @property
    def owner(self) -> Name:
        """The table that this object belongs to."""
        return Name(Kind.TABLE, self.schema, "", self.table)

    def __str__(self) -> str:
        """Return it as a person writes it: `column shop.orders.total`."""
        return f"{self.kind} " + ".".join(part for part in (self.schema, self.table, self.name) if part)


@dataclass(frozen=True)
class Fingerprints:
    """What the row versions of a database were at some moment.

    Attributes:
        surroundings: Of all that definitions may name and that is in no table: types, functions, schemas, other tables.
        relations: Of each table, view and sequence in some schemas; 0 where it is not to be relied on.
    """

    surroundings: int
    relations: Mapping[Place, int]

    def changed(self, now: Fingerprints) -> set[Place] | None:
        """Return what may have changed, come or gone since; None means anything."""
        if self.surroundings != now.surroundings:
            return None
        old, new = self.relations, now.relations
        return {place for place in old.keys() | new.keys() if not old.get(place) or old[place] != new.get(place)}

    def distrusting(self, places: Collection[Place]) -> Fingerprints:
        """Return these without what is known of some relations: a snapshot tells of them what was not read."""
        return Fingerprints(
            self.surroundings, {place: 0 if place in places else mark for place, mark in self.relations.items()}
        )


@dataclass(frozen=True)
class Catalog:
    """All objects of a database, or of a part of it.

    Attributes:
        version: `server_version_num` of the server that wrote the texts: 180006.
        objects: Attributes by name, sorted.
        fingerprints: What the server's own rows were like when all of it was read; None where nobody looked.
    """

    version: int
    objects: Mapping[Name, Attributes]
    fingerprints: Fingerprints | None = field(default=None, compare=False, repr=False)

    @cached_property
    def hash(self) -> str:
        """SHA-256 over all objects; equal for equal catalogs of one major version."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Return a canonical text from which `from_json` makes an equal catalog."""
        rows = [[*name, attributes] for name, attributes in sorted(self.objects.items())]
        return json.dumps(
            [FORMAT, self.version // 10000, rows], sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )

    @classmethod
    def from_json(cls, text: str) -> Catalog:
        """Make a catalog from what `to_json` returned; of the server's version it has the major one only.

        Raises:
            ValueError: Another handrail wrote it, which gave objects other attributes.
        """
        number, *found = json.loads(text)
        if number != FORMAT or len(found) != 2:
            raise ValueError(f"a catalog of format {FORMAT} is needed")
        major, rows = found
        objects = {Name(KINDS[kind], schema, table, name): value for kind, schema, table, name, value in rows}
        return cls(major * 10000, objects)

    def of_kind(self, *kinds: Kind) -> Iterator[tuple[Name, Attributes]]:
        """Yield the objects of some kinds, sorted by name."""
        return ((name, attributes) for name, attributes in self.objects.items() if name.kind in kinds)

    def parts(self, table: Name, kind: Kind) -> dict[str, Attributes]:
        """Return the columns, constraints or indexes of a table by their names; columns in their order."""
        return dict(self._parts.get((kind, table.schema, table.name), {}))

    @cached_property
    def _parts(self) -> dict[tuple[Kind, str, str], dict[str, Attributes]]:
        """All parts of all tables: to search the whole catalog for each table would take seconds with a thousand."""
        found: dict[tuple[Kind, str, str], dict[str, Attributes]] = {}
        for name, attributes in self.objects.items():
            if name.table:
                found.setdefault((name.kind, name.schema, name.table), {})[name.name] = attributes
        for key, parts in found.items():
            if key[0] is Kind.COLUMN:
                found[key] = dict(sorted(parts.items(), key=lambda item: item[1]["position"]))
        return found

    def without(self, *names: Name) -> Catalog:
        """Return a catalog without some tables and all that belongs to them, or without other objects."""
        gone = set(names)
        kept = {n: a for n, a in self.objects.items() if n not in gone and (not n.table or n.owner not in gone)}
        return Catalog(self.version, kept, self.fingerprints)
