"""Which types, sequences and collations tables use, found by the texts that PostgreSQL writes of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from handrail.catalog.objects import Attributes, Catalog, Kind, Name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TYPES = (Kind.ENUM, Kind.DOMAIN, Kind.COMPOSITE, Kind.RANGE)
IDENTIFIER = r'("(?:[^"]|"")+"|[^".\s(\[]+)'
QUALIFIED = re.compile(rf"{IDENTIFIER}\.{IDENTIFIER}")
NEXTVAL = re.compile(r"nextval\('((?:[^']|'')+)'::regclass\)")


def used(objects: Mapping[Name, Attributes], source: Catalog) -> dict[Name, Attributes]:
    """Return the types, sequences and collations of `source` that these objects use, directly or through each other."""
    found: dict[Name, Attributes] = {}
    # Most often there is nothing of the kind, and thousands of columns need not be read.
    waiting = list(objects.items()) if any(source.of_kind(*TYPES, Kind.SEQUENCE, Kind.COLLATION)) else []
    while waiting:
        name, attributes = waiting.pop()
        for wanted in _named_by(name, attributes):
            if wanted in source.objects and wanted not in found:
                found[wanted] = source.objects[wanted]
                waiting.append((wanted, source.objects[wanted]))
    return found


def _named_by(name: Name, attributes: Attributes) -> Iterator[Name]:
    """Yield what one object may use: of a type's text nobody knows which kind of type it is."""
    texts = [attributes.get(key) for key in ("type", "subtype") if name.kind in (Kind.COLUMN, Kind.DOMAIN, Kind.RANGE)]
    texts += [type_ for _, type_, _ in attributes.get("attributes", ())]
    for schema, own in _identifiers(texts):
        yield from (Name(kind, schema, "", own) for kind in TYPES)
    collations = [attributes.get("collation"), *(collation for _, _, collation in attributes.get("attributes", ()))]
    for schema, own in _identifiers(collations):
        yield Name(Kind.COLLATION, schema, "", own)
    if name.kind in (Kind.COLUMN, Kind.DOMAIN):
        sequences = [text.replace("''", "'") for text in NEXTVAL.findall(attributes.get("default") or "")]
        for schema, own in _identifiers(sequences):
            yield Name(Kind.SEQUENCE, schema, "", own)


def _identifiers(texts: list[Any]) -> Iterator[tuple[str, str]]:
    for text in texts:
        found = QUALIFIED.match(text or "")
        if found:
            schema, own = (_unquoted(part) for part in found.groups())
            yield schema, own


def _unquoted(identifier: str) -> str:
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier
