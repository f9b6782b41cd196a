"""Drift: what was changed by hand since the last migration, according to the journal's snapshot.

Nothing but two catalogs is compared, so whoever may connect may look, in production, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from handrail.catalog.difference import Difference, differences
from handrail.catalog.objects import Catalog, Kind
from handrail.catalog.stored import place_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from handrail.catalog.objects import Fingerprints
    from handrail.config import Tolerated
    from handrail.upgrade.journal import Journal

ADOPTS = "adopts:"  # before each object in the comments of a revision that makes an edit its own

# Whether a materialized view was ever refreshed is a matter of data.
NO_DEFINITION = frozenset({"populated"})
# A column that comes back stands last, and one that a child table had for itself is not the parent's again.
FOR_GOOD = frozenset({"position", "inherited"})
# Each major version of PostgreSQL writes code in its own way.
REWRITTEN = frozenset({"definition", "expression", "using", "check", "default", "generated", "keys", "where"})


@dataclass(frozen=True)
class Tolerance:
    """A difference that the project allows, and why."""

    difference: Difference
    reason: str


@dataclass(frozen=True)
class Drift:
    """How a database differs from what it should be.

    Attributes:
        expected: What it should be.
        live: What it is.
        differences: What was changed, except for what is allowed.
        tolerated: What is allowed to differ, and does.
        revisions: After which it was changed.
        since: When these were there; None where no journal tells.
        earlier: Of edits that were there before the last migration: after which revisions and since when.
    """

    expected: Catalog
    live: Catalog
    differences: Sequence[Difference]
    tolerated: Sequence[Tolerance] = ()
    revisions: Sequence[str] = ()
    since: datetime | None = None
    earlier: Mapping[str, tuple[Sequence[str], datetime]] = field(default_factory=dict)

    @property
    def trusted(self) -> Fingerprints | None:
        """What the server's rows are like, except of tables in which something is allowed to differ."""
        taken = self.live.fingerprints
        return taken and taken.distrusting({place_of(each.difference.name) for each in self.tolerated})

    def carried(self, now: Catalog, settled: Collection[str] = ()) -> Catalog:
        """Return what a database should be after a migration that was not about the drift: it stays to be seen.

        Args:
            now: What the database is after the migration.
            settled: Objects whose drift the migration has made its own.
        """
        objects, put_back = dict(now.objects), set()
        tolerated = (each.difference for each in self.tolerated)
        for difference in (*self.differences, *tolerated):
            name = difference.name
            if str(name) in settled or objects.get(name) != self.live.objects.get(name):
                continue
            before = self.expected.objects.get(name)
            if before is None:
                objects.pop(name, None)
            else:
                objects[name] = before
            put_back.add(place_of(name))
        fingerprints = now.fingerprints and now.fingerprints.distrusting(put_back)
        return Catalog(now.version, dict(sorted(objects.items())), fingerprints)

    @property
    def for_good(self) -> bool:
        """Whether no statement brings back what differs still."""
        return all(d.changes and d.changes.keys() <= FOR_GOOD for d in self.differences)

    def resigned(self) -> Catalog:
        """Return what the database should be, as far as statements can bring that back."""
        columns = {}
        for name, attributes in self.expected.of_kind(Kind.COLUMN):
            now = self.live.objects.get(name, attributes)
            kept = {key: value for key, value in attributes.items() if key not in FOR_GOOD}
            columns[name] = kept | {key: now[key] for key in FOR_GOOD if key in now}
        return Catalog(self.expected.version, {**self.expected.objects, **columns})


def drift(
    connection: Connection,
    journal: Journal,
    version_table: str,
    tolerated: Sequence[Tolerated] = (),
    *,
    whole: bool = True,
) -> Drift | None:
    """Compare the database with the journal's last snapshot; None when there is none. Reads only.

    Args:
        connection: To the database.
        journal: Of that database.
        version_table: Alembic's, beside the journal.
        tolerated: What is allowed to differ.
        whole: Whether both catalogs are to be complete. Otherwise they lack tables that are the same on both sides,
            which takes a tenth of the time.
    """
    snapshot = journal.last_snapshot(connection)
    if snapshot is None:
        return None
    entry, stored = snapshot.entry, snapshot.stored
    if whole:
        expected, live = stored.whole, journal.catalog_now(connection, version_table, stored.schemas)
    else:
        expected, live = journal.since(connection, version_table, stored)
    found, allowed = compared(expected, live, tolerated)
    origins = journal.origins(connection)
    names = {str(difference.name) for difference in found} & origins.keys()
    earlier = {name: (origins[name].revision.split(), origins[name].started_at) for name in names}
    return Drift(expected, live, found, allowed, entry.heads, entry.finished_at, earlier)


def compared(
    expected: Catalog, live: Catalog, tolerated: Sequence[Tolerated] = (), ignored: frozenset[str] = frozenset()
) -> tuple[list[Difference], list[Tolerance]]:
    """Return what differs, and what is allowed to.

    Args:
        expected: What should be.
        live: What is.
        tolerated: What is allowed to differ.
        ignored: Attributes that are not compared at all.
    """
    ignored |= NO_DEFINITION
    if expected.version // 10000 != live.version // 10000:
        ignored |= REWRITTEN
    kept: list[Difference] = []
    allowed: list[Tolerance] = []
    for difference in in_order(differences(expected, live, ignored=ignored), expected, live):
        rest, tolerances = split(difference, tolerated)
        kept += [] if rest is None else [rest]
        allowed += tolerances
    return kept, allowed


def in_order(found: Sequence[Difference], expected: Catalog, live: Catalog) -> Iterator[Difference]:
    """Leave out that columns moved up because another one went: only another order is a change."""
    for difference in found:
        if "position" not in difference.changes or is_reordered(difference, expected, live):
            yield difference
            continue
        rest = replace(difference, ignored=difference.ignored | {"position"})
        if rest.changes:
            yield rest


def is_reordered(difference: Difference, expected: Catalog, live: Catalog) -> bool:
    """Whether a column stands elsewhere among those that are on both sides."""
    before, after = (list(side.parts(difference.name.owner, Kind.COLUMN)) for side in (expected, live))
    both = set(before) & set(after)
    places = ([name for name in side if name in both].index(difference.name.name) for side in (before, after))
    return next(places) != next(places)


def split(difference: Difference, tolerated: Sequence[Tolerated]) -> tuple[Difference | None, list[Tolerance]]:
    """Take from a difference what is allowed; return what is left, and what was taken."""
    taken: list[Tolerance] = []
    for rule in tolerated:
        if not concerns(rule, difference):
            continue
        if rule.attribute is None:
            return None, [*taken, Tolerance(difference, rule.reason)]
        if rule.attribute in difference.changes:
            others = frozenset(difference.changes) - {rule.attribute}
            taken.append(Tolerance(replace(difference, ignored=difference.ignored | others), rule.reason))
            difference = replace(difference, ignored=difference.ignored | {rule.attribute})
            if not difference.changes:
                return None, taken
    return difference, taken


def concerns(rule: Tolerated, difference: Difference) -> bool:
    """Whether a rule is about this object, or about the table that it is a part of."""
    names = [str(difference.name)]
    if difference.name.table:
        names.append(str(difference.name.owner))
    return any(fnmatchcase(name, rule.object) for name in names)
