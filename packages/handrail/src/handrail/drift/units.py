"""Differences one after the other: each with the SQL that makes it, in an order in which each can be made alone.

A table that comes or goes takes its parts along. Otherwise one object is one unit, so that each can be asked for
whether it is there already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from handrail.catalog.difference import Difference
from handrail.catalog.objects import Attributes, Catalog, Kind, Name
from handrail.drift.renamed import Renaming, renamings
from handrail.drift.statements import partly, statements

RELATIONS = (Kind.TABLE, Kind.VIEW, Kind.MATERIALIZED_VIEW)
KINDS = list(Kind)
FAMILY = {"inherits", "partition_of", "bound"}


@dataclass(frozen=True)
class Unit:
    """What is done together.

    Attributes:
        main: The difference that says whether it is done already.
        statements: What makes it.
        renaming: If it is only another name.
    """

    main: Difference
    statements: Sequence[str]
    renaming: Renaming | None = None


def units(found: Sequence[Difference], before: Catalog, after: Catalog) -> Iterator[Unit]:
    """Yield what leads from one catalog to another.

    Raises:
        MigrationError: PostgreSQL has no statement for one of the differences.
    """
    renamed, state, rest = renamings(found, before, after)
    for renaming in renamed:
        yield Unit(renaming.difference, [renaming.statement], renaming)
    for group in groups(rest):
        texts = statements(group, state, after)
        state = partly(group, state, after)
        if texts:
            yield Unit(group[0], texts)


def groups(found: Sequence[Difference]) -> list[list[Difference]]:
    """Return the differences that belong together, the main one first: what goes, then what changes and comes."""
    heads = {(d.name.schema, d.name.name): d for d in found if is_whole(d)}
    parts: dict[Name, list[Difference]] = {d.name: [d] for d in heads.values()}
    alone: list[list[Difference]] = []
    for difference in found:
        head = heads.get(belongs_to(difference))
        if difference.name in parts:
            continue
        if head is None or is_key_of_new(difference, head):
            alone.append([difference])
        else:
            parts[head.name].append(difference)
    return sorted([*parts.values(), *alone], key=lambda group: order(group, heads))


def is_whole(difference: Difference) -> bool:
    """Whether a relation comes, goes or gets other parents, with all that belongs to it."""
    if difference.name.kind not in RELATIONS:
        return False
    return difference.before is None or difference.after is None or bool(FAMILY & difference.changes.keys())


def belongs_to(difference: Difference) -> tuple[str, str]:
    """Return the relation whose part something is."""
    name, attributes = difference.name, difference.after or difference.before or {}
    if name.kind is Kind.SEQUENCE and attributes.get("owned_by"):
        return attributes["owned_by"][0], attributes["owned_by"][1]
    return name.schema, name.table


def is_key_of_new(difference: Difference, head: Difference) -> bool:
    """Whether it is a foreign key of a new table, which may refer to another new one."""
    attributes: Attributes = difference.after or {}
    return head.before is None and attributes.get("type") == "foreign key"


def order(group: Sequence[Difference], heads: Mapping[tuple[str, str], Difference]) -> tuple[int, int, int]:
    """Return what groups are sorted by: what goes in the opposite order of what comes, children after their parents."""
    main = group[0]
    place, depth = KINDS.index(main.name.kind), generation(main, heads)
    return (0, -place, -depth) if main.after is None else (1, place, depth)


def generation(difference: Difference, heads: Mapping[tuple[str, str], Difference]) -> int:
    """Return how many parents above a table are among the differences, too."""
    attributes = difference.after or difference.before or {}
    parents = [
        *(attributes.get("inherits") or ()),
        *([attributes["partition_of"]] if "partition_of" in attributes else []),
    ]
    known = [heads[parent[0], parent[1]] for parent in parents if (parent[0], parent[1]) in heads]
    return 1 + max(generation(parent, heads) for parent in known) if known else 0
