"""Of two catalogs only what an edit may be about is looked at."""

from __future__ import annotations

from typing import Any

from handrail.catalog import Attributes, Catalog, Kind, Name
from handrail.catalog.difference import differences
from handrail.narrowed import narrowed


def table(name: str, **columns: str) -> dict[Name, Attributes]:
    objects: dict[Name, Attributes] = {Name(Kind.TABLE, "shop", "", name): {"type": "table"}}
    for column, type_ in columns.items():
        objects[Name(Kind.COLUMN, "shop", name, column)] = {"type": type_, "position": 1}
    return objects


def reference(name: str, other: str) -> dict[Name, Attributes]:
    references = {"schema": "shop", "table": other, "columns": ["id"]}
    return {Name(Kind.CONSTRAINT, "shop", name, f"fk_{other}"): {"type": "foreign key", "references": references}}


def catalog(*parts: dict[Name, Any]) -> Catalog:
    return Catalog(180000, {name: value for part in parts for name, value in part.items()})


def tables(both: tuple[Catalog, Catalog]) -> list[list[str]]:
    return [[name.name for name, _ in side.of_kind(Kind.TABLE)] for side in both]


STATE: dict[Name, Attributes] = {Name(Kind.ENUM, "shop", "", "state"): {"values": ["a"]}}
OWNED: dict[Name, Attributes] = {Name(Kind.SEQUENCE, "shop", "", "b_id_seq"): {"owned_by": ["shop", "b", "id"]}}


def test_equal_tables_are_left_out_and_the_differences_stay() -> None:
    before = catalog(table("a", id="int"), table("b", id="int"), table("gone"), STATE, OWNED)
    after = catalog(table("a", id="int"), table("b", id="bigint"), table("new"), STATE, OWNED)

    both = narrowed(before, after)

    assert tables(both) == [["b", "gone"], ["b", "new"]]
    assert differences(*both) == differences(before, after)
    assert all(name in side.objects for side in both for name in (*STATE, *OWNED))


def test_nothing_is_left_of_the_tables_where_all_are_equal() -> None:
    same = catalog(table("a", id="int"), OWNED, STATE)

    assert [set(side.objects) for side in narrowed(same, same)] == [set(STATE), set(STATE)]


def test_tables_that_refer_to_each_other_stay_together() -> None:
    """One step in both directions; parents and children too, on whichever side they are related."""
    child = {Name(Kind.TABLE, "shop", "", "child"): {"type": "table", "inherits": [["shop", "b"]]}}
    rest = (table("a"), table("c"), table("far"), child, reference("a", "b"), reference("far", "a"))

    both = narrowed(catalog(*rest, table("b"), reference("b", "c")), catalog(*rest, table("b", id="int")))

    assert [sorted(names) for names in tables(both)] == [["a", "b", "c", "child"]] * 2


def test_all_stay_where_a_shared_type_is_another_one() -> None:
    """A value less in an enum concerns every column of that type."""
    other: dict[Name, Attributes] = {Name(Kind.ENUM, "shop", "", "state"): {"values": ["b"]}}
    before, after = catalog(table("a"), STATE), catalog(table("a"), other)

    assert narrowed(before, after) == (before, after)
    assert tables(narrowed(catalog(table("a")), catalog(table("a"), other))) == [[], []]
