"""The difference between two catalogs, object by object and attribute by attribute."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from handrail.catalog.objects import Attributes, Catalog, Name

# Physical order and rights are no matter of models: a new column always comes last in a table that is there.
NOT_MODELLED = frozenset({"position", "owner", "privileges", "revoked", "column_privileges"})


@dataclass(frozen=True)
class Difference:
    """One object that is not the same on both sides.

    Attributes:
        name: Which object.
        before: Its attributes on the first side; None where it does not exist.
        after: Its attributes on the second side; None where it does not exist.
    """

    name: Name
    before: Attributes | None
    after: Attributes | None
    ignored: frozenset[str] = frozenset()

    @property
    def changes(self) -> dict[str, tuple[Any, Any]]:
        """The attributes that differ, each with its value before and after; empty unless both exist."""
        if self.before is None or self.after is None:
            return {}
        keys = sorted((set(self.before) | set(self.after)) - self.ignored)
        pairs = {key: (self.before.get(key), self.after.get(key)) for key in keys}
        return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}

    def reversed(self) -> Difference:
        """Return the difference as seen from the other side."""
        return Difference(self.name, self.after, self.before, self.ignored)


def differences(before: Catalog, after: Catalog, *, ignored: Collection[str] = ()) -> list[Difference]:
    """Return what differs, sorted by name. Attributes that are named in `ignored` are not compared."""
    skipped = frozenset(ignored)
    found = []
    for name in sorted(set(before.objects) | set(after.objects)):
        old, new = before.objects.get(name), after.objects.get(name)
        if old == new:
            continue
        difference = Difference(name, old, new, skipped)
        if old is None or new is None or difference.changes:
            found.append(difference)
    return found
