"""What is not there any more after a statement: tables, columns, rows and values that somebody had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handrail.effects import Loss, Lost, Relation
from handrail.measure.snapshot import PARTITIONED, TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from handrail.measure.contents import Contents
    from handrail.measure.snapshot import Ask, Snapshot


def lost_tables(before: Snapshot, after: Snapshot, contents: Mapping[int, Contents]) -> Iterator[Loss]:
    """Yield the tables that held rows and are gone; of a partitioned table it is not told for each part."""
    gone = {oid for oid in before.relations if oid not in after.relations}
    held = {oid for oid in gone if oid in contents and contents[oid].rows}
    for oid in list(held):
        parent = before.relations[oid].parent
        while parent in gone:
            held.discard(oid)
            held.add(parent)
            oid, parent = parent, before.relations[parent].parent  # noqa: PLW2901 - on the way to the root
    for oid in sorted(held):
        if before.relations[oid].kind in (TABLE, PARTITIONED):
            yield Loss(Lost.TABLE, before.relations[oid].name)


def lost_columns(before: Snapshot, after: Snapshot, contents: Mapping[int, Contents]) -> Iterator[Loss]:
    """Yield the columns that held values and are gone from tables that are still there."""
    seen = set()
    for oid, held in contents.items():
        if oid not in after.relations:
            continue
        for number, values in held.values.items():
            if values and number not in after.columns.get(oid, {}):
                loss = Loss(Lost.COLUMN, before.root(oid), before.columns[oid][number].name)
                if loss not in seen:
                    seen.add(loss)
                    yield loss


def lost_schemas(before: Snapshot, ask: Ask) -> Iterator[Loss]:
    """Yield the schemas that are gone and had a relation in them."""
    there = {name for (name,) in ask("SELECT nspname::text FROM pg_namespace")}
    for name in sorted({item.name.schema for item in before.relations.values()} - there):
        yield Loss(Lost.SCHEMA, Relation(name, name))


def lost_values(before: Snapshot, oid: int, held: Contents, now: Contents) -> Iterator[Loss | str]:
    """Yield what a table that is still there has lost: rows, or values that were in a column; else why it is unknown.

    A value that takes the place of NULL has replaced nothing.
    """
    table: Relation = before.root(oid)
    if not held.comparable:
        if now.rows < held.rows:
            yield Loss(Lost.ROWS, table)
        else:
            yield f"the values of {table} were not compared: it has more rows than are read"
        return
    missing = {number: held.missing(number, now) for number in held.values if number in now.values}
    if held.key and all(number in missing for number in held.key):
        gone = max(missing[number] for number in held.key)
        rekeyed = gone and now.rows >= held.rows
        deleted = 0 if rekeyed else gone
    else:
        rekeyed, deleted = 0, max(held.rows - now.rows, 0)
    if deleted:
        yield Loss(Lost.ROWS, table)
    for number, count in missing.items():
        if count > deleted and (not rekeyed or number in held.key):
            yield Loss(Lost.VALUES, table, before.columns[oid][number].name)
    if rekeyed:
        yield f"the other values of {table} were not compared: its primary key has changed"
