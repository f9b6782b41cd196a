"""Allow notes and marks: what is one, what is none, and what may be run."""

from __future__ import annotations

import pytest

from handrail.catalog.objects import Kind, Name
from handrail.drops import Remark, remark
from handrail.notes import AllowNote, Mark, NoteProblem, lines, problems, unallowed

MARK = "# handrail: drops-column shop.orders.note\n"


@pytest.mark.parametrize("dash", ["—", "--", "-"])
@pytest.mark.parametrize("name", ["shop.orders.note", "starter-fastapi-project.Order Lines.note", "a.b"])
def test_a_note_has_a_rule_an_object_and_a_reason(dash: str, name: str) -> None:
    assert lines(f"x = 1\n# handrail: allow drops-column {name} {dash} moved to remarks - see #12\n") == [
        AllowNote("drops-column", name, "moved to remarks - see #12", 2)
    ]


@pytest.mark.parametrize(
    ("note", "problem"),
    [
        ("allow drops-column shop.orders.note", "write: # handrail: allow drops-column shop.orders.note — <reason>"),
        ("allow drops-column shop.orders.note —", "gives no reason"),
        ("allow drops-everything shop — why not", "there is no rule drops-everything; perhaps "),
        ("allow drops-column", "it must be: # handrail: allow <rule> <object> — <reason>"),
        ("alow drops-column a — b", "it must be: # handrail: allow <rule> <object> — <reason>"),
        ("allow drops-column a — <why nobody needs it any more>", "still the placeholder"),
    ],
)
def test_what_is_no_note_is_told_what_to_write(note: str, problem: str) -> None:
    [found] = lines(f"\n\n# handrail: {note}\n")

    assert isinstance(found, NoteProblem)
    assert problem in found.what
    assert found.line == 3


def test_a_second_note_for_the_same_is_a_problem() -> None:
    note = "# handrail: allow drops-table shop.a — old\n"

    assert "allowed twice" in str(lines(note + note)[1])


def test_nothing_in_a_string_is_a_note() -> None:
    assert lines('"""\n# handrail: drops-table a\n"""\nx = "# handrail: drops-table a"\n') == []


def test_a_note_allows_exactly_its_own_object() -> None:
    assert unallowed(MARK) == [Mark("drops-column", "shop.orders.note", 1)]
    assert unallowed(MARK + "# handrail: allow drops-column shop.orders.note — moved\n") == []
    assert unallowed(MARK + "# handrail: allow drops-column shop.orders.total — moved\n") != []
    assert unallowed(MARK + "# handrail: allow drops-table shop.orders.note — moved\n") != []
    assert "has no drops-table shop.a" in problems("# handrail: allow drops-table shop.a — b\n")[0].what


def test_what_a_generated_revision_says_itself_is_no_note() -> None:
    """The example in it neither allows anything nor stands in the way once the real note is there."""
    names = [Name(Kind.COLUMN, "shop", "orders", "note"), Name(Kind.TABLE, "shop", "", "old")]
    made = remark(names, names, None)
    assert isinstance(made, Remark)
    source = "".join(f"# {line}\n" for line in made.lines)

    assert [mark.object for mark in unallowed(source)] == ["shop.orders.note", "shop.old"]
    assert problems(source) == []
    assert "not known how many" in source
