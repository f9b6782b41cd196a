"""Find what looks like a rename: something that went and something that came, alike enough to be the same."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from handrail.catalog.objects import Attributes, Catalog, Kind, Name
from handrail.renames.rename import Rename
from handrail.type_changes import rewrites

SIMILAR_TABLES = 0.5  # share of equal columns from which two tables may be one
SIMILAR_NAMES = 0.6  # of columns whose types differ a little
# What follows from a name, or from where something stands.
NAMED = {"definition", "position", "owner", "privileges", "revoked", "comment"}


def renamed_tables(before: Catalog, after: Catalog) -> list[Rename]:
    """Return tables that may have been renamed: most of their columns are the same."""
    gone, came = _only(before, after, Kind.TABLE), _only(after, before, Kind.TABLE)
    shapes = {
        (side, name): _shape(catalog, name)
        for side, catalog, names in ((0, before, gone), (1, after, came))
        for name in names
    }

    def likeness(old: Name, new: Name) -> float:
        ours, theirs = shapes[0, old], shapes[1, new]
        share = len(ours & theirs) / max(len(ours), len(theirs), 1)
        return share + _alike(old.name, new.name) / 10 if old.schema == new.schema and share >= SIMILAR_TABLES else 0

    return [Rename(old, new.name) for old, new in _pairs(gone, came, likeness)]


def renamed_columns(before: Catalog, after: Catalog) -> list[Rename]:
    """Return columns that may have been renamed: the same type in the same table, or nearly so with a similar name."""
    gone, came = _only(before, after, Kind.COLUMN), _only(after, before, Kind.COLUMN)
    both = {name for name, _ in before.of_kind(Kind.TABLE)} & {name for name, _ in after.of_kind(Kind.TABLE)}

    def likeness(old: Name, new: Name) -> float:
        if old.owner != new.owner or old.owner not in both:
            return 0
        ours, theirs = before.objects[old], after.objects[new]
        alike = _alike(old.name, new.name)
        if ours["type"] == theirs["type"]:
            rest = sum(
                bool(ours.get(key) == theirs.get(key)) for key in ("not_null", "default", "generated", "identity")
            )
            return 0.2 + alike + rest / 10 + bool(ours["position"] == theirs["position"]) / 2
        return alike if alike >= SIMILAR_NAMES and not rewrites(ours["type"], theirs["type"]) else 0

    return [Rename(old, new.name) for old, new in _pairs(gone, came, likeness)]


def renamed_values(before: Catalog, after: Catalog) -> list[Rename]:
    """Return values of enums that may have been renamed: another one stands in their place."""
    found: list[Rename] = []
    for name, attributes in before.of_kind(Kind.ENUM):
        old, new = attributes["values"], after.objects.get(name, {}).get("values", [])
        if len(old) == len(new):
            found += [Rename(name, b, a) for a, b in zip(old, new, strict=True) if a not in new and b not in old]
    return found


def renamed_definitions(before: Catalog, after: Catalog) -> list[Rename]:
    """Return indexes, constraints, sequences and types that only got another name: nothing can be lost by that."""
    found: list[Rename] = []
    for kind in (Kind.ENUM, Kind.DOMAIN, Kind.SEQUENCE, Kind.CONSTRAINT, Kind.INDEX):
        gone, came = _only(before, after, kind), _only(after, before, kind)
        meanings = {name: meaning(name, after.objects[name]) for name in came}
        for old in gone:
            new = next((name for name in came if meanings[name] == meaning(old, before.objects[old])), None)
            if new is not None:
                found.append(Rename(old, new.name))
                came.remove(new)
    return found


def meaning(name: Name, attributes: Attributes) -> tuple[Any, ...]:
    """Return all of an object but its name."""
    kept = {key: value for key, value in attributes.items() if key not in NAMED}
    # A constraint's text is without its name, and says what the attributes do not.
    text = attributes.get("definition") if name.kind is Kind.CONSTRAINT else None
    return (name.schema, name.table, text, kept)


def aligned(before: Catalog, after: Catalog, stated: Collection[Name]) -> Catalog:
    """Return `after` with the names of `before` for what is the same and got its name from PostgreSQL.

    Args:
        before: What the revisions create.
        after: What the models say.
        stated: Constraints and indexes that have their names from the models.
    """
    names = {
        Name(rename.name.kind, rename.name.schema, rename.name.table, rename.new): rename.name
        for rename in renamed_definitions(before, after)
        if rename.name.kind in (Kind.CONSTRAINT, Kind.INDEX, Kind.SEQUENCE)
    }
    names = {new: old for new, old in names.items() if new not in stated}
    objects: dict[Name, Attributes] = {}
    for name, attributes in after.objects.items():
        old = names.get(name)
        if old is None:
            objects[name] = _default_of(name, attributes, before, names)
        else:
            objects[old] = before.objects[old]
    return Catalog(after.version, dict(sorted(objects.items())))


def _default_of(name: Name, attributes: Attributes, before: Catalog, names: Mapping[Name, Name]) -> Attributes:
    """Let a column take its numbers from the sequence under its old name."""
    default = attributes.get("default") or ""
    known = before.objects.get(name)
    if known is None or not default.startswith("nextval(") or not known.get("default"):
        return attributes
    owned = [new for new in names if new.kind is Kind.SEQUENCE and new.schema == name.schema and new.name in default]
    return {**attributes, "default": known["default"]} if owned else attributes


def _only(catalog: Catalog, other: Catalog, kind: Kind) -> list[Name]:
    return [name for name, _ in catalog.of_kind(kind) if name not in other.objects]


def _shape(catalog: Catalog, table: Name) -> set[tuple[str, str]]:
    return {(name, attributes["type"]) for name, attributes in catalog.parts(table, Kind.COLUMN).items()}


def _alike(one: str, other: str) -> float:
    return SequenceMatcher(None, one.lower(), other.lower()).ratio()


def _pairs(gone: Sequence[Name], came: Sequence[Name], likeness: Any) -> Iterator[tuple[Name, Name]]:
    """Yield the most alike pairs, each name once."""
    scored = sorted(
        ((likeness(old, new), old, new) for old in gone for new in came), key=lambda item: (-item[0], item[1:])
    )
    used: set[Name] = set()
    for score, old, new in scored:
        if score > 0 and not used & {old, new}:
            used |= {old, new}
            yield old, new
