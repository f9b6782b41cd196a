"""Renames among differences: what has only another name is not to be dropped and made anew elsewhere.

A column that somebody renames stays in its place, one that is added comes last; so there is no guessing, except where
it is the last one anyway. What mentions the old name is the same when it is so with the new one put in its place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from handrail.catalog.ddl.spelling import identifier, place, table_of
from handrail.catalog.difference import Difference, differences
from handrail.catalog.objects import Attributes, Catalog, Kind, Name
from handrail.connection import literal


@dataclass(frozen=True)
class Renaming:
    """One rename.

    Attributes:
        old: What it was called.
        new: What it is called.
        difference: The new one, as something that came.
        value: The old and the new value, when it is one of an enum.
    """

    old: Name
    new: Name
    difference: Difference
    value: tuple[str, str] | None = None

    @property
    def statement(self) -> str:
        """The SQL."""
        if self.value:
            old, new = map(literal, self.value)
            return f"ALTER TYPE {place(self.old)} RENAME VALUE {old} TO {new}"
        if self.old.kind is Kind.COLUMN:
            return (
                f"ALTER TABLE {table_of(self.old)} RENAME COLUMN {identifier(self.old.name)} "
                f"TO {identifier(self.new.name)}"
            )
        return f"ALTER TABLE {place(self.old)} RENAME TO {identifier(self.new.name)}"


def renamings(
    found: Sequence[Difference], before: Catalog, after: Catalog
) -> tuple[list[Renaming], Catalog, list[Difference]]:
    """Return the renames, the first catalog after them, and the differences that are left."""
    renamed = [*values(found), *tables(found, before, after)]
    state = before
    for renaming in renamed:
        state = applied(state, renaming)
    left = remaining(found, state, after)
    for renaming in columns(left):
        renamed.append(renaming)
        state = applied(state, renaming)
    return renamed, state, remaining(left, state, after) if renamed else list(found)


def remaining(found: Sequence[Difference], state: Catalog, after: Catalog) -> list[Difference]:
    """Return the differences that renames have not settled."""
    known = {difference.name: difference.ignored for difference in found}
    return [
        Difference(difference.name, difference.before, difference.after, known[difference.name])
        for difference in differences(state, after)
        if difference.name in known
        and (
            difference.before is None
            or difference.after is None
            or Difference(difference.name, difference.before, difference.after, known[difference.name]).changes
        )
    ]


def values(found: Sequence[Difference]) -> list[Renaming]:
    """Return values of enums that have another name in the same place."""
    renamed = []
    for difference in found:
        old, new = ((side or {}).get("values", []) for side in (difference.before, difference.after))
        if difference.name.kind is not Kind.ENUM or "values" not in difference.changes or len(old) != len(new):
            continue
        pairs = [(one, other) for one, other in zip(old, new, strict=True) if one != other]
        if all(one not in new and other not in old for one, other in pairs):
            renamed += [Renaming(difference.name, difference.name, difference, pair) for pair in pairs]
    return renamed


def tables(found: Sequence[Difference], before: Catalog, after: Catalog) -> list[Renaming]:
    """Return tables that went, while another one came that has exactly the same columns."""
    gone = [d.name for d in found if d.name.kind is Kind.TABLE and d.after is None]
    came = [d for d in found if d.name.kind is Kind.TABLE and d.before is None]
    renamed: list[Renaming] = []
    for old in gone:
        columns_before = before.parts(old, Kind.COLUMN)
        same = [d for d in came if d.name.schema == old.schema and after.parts(d.name, Kind.COLUMN) == columns_before]
        if len(same) == 1 and columns_before:
            came.remove(same[0])
            renamed.append(Renaming(old, same[0].name, same[0]))
    return renamed


def columns(found: Sequence[Difference]) -> list[Renaming]:
    """Return columns that went, while another one came in the same place, and with the same type."""
    gone = [d for d in found if d.name.kind is Kind.COLUMN and d.after is None and d.before is not None]
    came = {
        (d.name.schema, d.name.table, d.after["position"], d.after["type"]): d
        for d in found
        if d.name.kind is Kind.COLUMN and d.before is None and d.after is not None
    }
    renamed = []
    for old in gone:
        attributes: Attributes = old.before or {}
        new = came.get((old.name.schema, old.name.table, attributes["position"], attributes["type"]))
        if new is not None:
            renamed.append(Renaming(old.name, new.name, new))
    return renamed


def applied(state: Catalog, renaming: Renaming) -> Catalog:
    """Return the catalog after a rename; whatever mentions the old name mentions the new one."""
    old, new = renaming.value or (renaming.old.name, renaming.new.name)
    pattern = re.compile(rf"(?<![\w$]){re.escape(json.dumps(old)[1:-1])}(?![\w$])")
    written = json.dumps(new)[1:-1].replace("\\", "\\\\")
    objects = {}
    for name, attributes in state.objects.items():
        if concerns(name, attributes, renaming):
            text = json.dumps(attributes, ensure_ascii=False)
            attributes = json.loads(pattern.sub(written, text))  # noqa: PLW2901 - the same object
        objects[moved(name, renaming)] = attributes
    return Catalog(state.version, dict(sorted(objects.items())))


def concerns(name: Name, attributes: Attributes, renaming: Renaming) -> bool:
    """Whether an object may mention what is renamed: everything that mentions its table or type does."""
    old = renaming.old
    if old.kind is Kind.COLUMN and name.kind is Kind.COLUMN:
        return (name.schema, name.table) == (old.schema, old.table)
    table = old.table or old.name
    return (name.schema, name.table) == (old.schema, table) or table in json.dumps(attributes, ensure_ascii=False)


def moved(name: Name, renaming: Renaming) -> Name:
    """Return what an object is called after a rename."""
    old, new = renaming.old, renaming.new
    if name == old:
        return new
    if old.kind is Kind.TABLE and (name.schema, name.table) == (old.schema, old.name):
        return name._replace(table=new.name)
    return name
