"""The difference between what PostgreSQL shows before and after a statement, in the words of effects."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from handrail.effects import Break, Broken, LockMode, Relation
from handrail.measure.snapshot import INDEX, MATERIALIZED_VIEW, SEQUENCE, TABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from handrail.measure.snapshot import Column, Snapshot


def locked(
    before: Snapshot,
    locks: Collection[tuple[int, LockMode]],
    known: Collection[int],
    earlier: Collection[tuple[int, LockMode]] = (),
) -> Iterator[tuple[Relation, LockMode]]:
    """Yield the strongest lock on each relation that was there before the transaction.

    A lock on an index or a sequence is left out where its table has one as strong: who wants it wants the table first.

    Args:
        before: Tells the names.
        locks: All that are held.
        known: The relations that were there.
        earlier: Locks that were held already: only what is stronger counts.
    """
    strongest, held = _strongest(locks), _strongest(earlier)
    for oid, mode in sorted(strongest.items()):
        item = before.relations.get(oid)
        if item is None or oid not in known or mode <= held.get(oid, 0):
            continue
        if item.kind not in (INDEX, SEQUENCE) or strongest.get(item.parent, 0) < mode:
            yield item.name, mode


def _strongest(locks: Collection[tuple[int, LockMode]]) -> dict[int, LockMode]:
    found: dict[int, LockMode] = {}
    for oid, mode in locks:
        found[oid] = max(mode, found.get(oid, mode))
    return found


def scanned(before: Snapshot, after: Snapshot, known: Collection[int]) -> set[Relation]:
    """Return the tables that were read from beginning to end."""
    return {
        item.name
        for oid, item in before.relations.items()
        if oid in known and oid in after.relations and after.relations[oid].scans > item.scans
    }


def rewritten(before: Snapshot, after: Snapshot, known: Collection[int]) -> set[Relation]:
    """Return the tables and indexes that were written anew.

    An index that was made again counts by its name: PostgreSQL takes over the file of one that is still right.
    """
    indexes = {item.name: item.filenode for item in after.relations.values() if item.kind == INDEX}
    files = {oid: item.filenode for oid, item in after.relations.items() if item.kind in (TABLE, MATERIALIZED_VIEW)}
    found = set()
    for oid, item in before.relations.items():
        if oid in known and item.filenode:
            renamed = item.kind == INDEX and oid in after.relations
            now = (
                after.relations[oid].filenode
                if renamed
                else indexes.get(item.name)
                if item.kind == INDEX
                else files.get(oid)
            )
            if now is not None and now != item.filenode and item.kind in (TABLE, MATERIALIZED_VIEW, INDEX):
                found.add(item.name)
    return found


def made(before: Snapshot, after: Snapshot) -> set[Relation]:
    """Return the relations that are new."""
    names = {item.name for item in before.relations.values()}
    return {
        item.name for oid, item in after.relations.items() if oid not in before.relations and item.name not in names
    }


def broken(before: Snapshot, after: Snapshot, known: Collection[int]) -> Iterator[Break]:
    """Yield what running code will miss of tables and views: what it names, and what it may leave out."""
    for oid, old in before.columns.items():
        if oid not in known:
            continue
        name = before.relations[oid].name
        if oid not in after.relations:
            yield Break(Broken.GONE, name)
        else:
            if after.relations[oid].name != name:
                yield Break(Broken.RENAMED, name)
            for broken, column in _columns(old, after.columns.get(oid, {})):
                yield Break(broken, name, column)


def _columns(old: Mapping[int, Column], new: Mapping[int, Column]) -> Iterator[tuple[Broken, str]]:
    for number, column in old.items():
        now = new.get(number)
        if now is None:
            yield Broken.GONE, column.name
            continue
        if now.name != column.name:
            yield Broken.RENAMED, column.name
        if now.type != column.type:
            yield Broken.RETYPED, column.name
        if _required(now) and not _required(column):
            yield Broken.REQUIRED, column.name
    for number, column in new.items():
        if number not in old and _required(column):
            yield Broken.REQUIRED, column.name


def _required(column: Column) -> bool:
    return column.not_null and not column.filled
