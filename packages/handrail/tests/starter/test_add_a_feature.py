"""docs/add-a-feature.md, typed into a fresh copy: files, changes and commands in the order of the page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from small_project import REPOSITORY

if TYPE_CHECKING:
    from starter_copy import Starter

PAGE = (REPOSITORY / "docs/add-a-feature.md").read_text(encoding="utf-8")
# Those that have something to say about the new feature.
TESTS = "tests -k 'items or foreign_key or has_a_row or test_migrations'"


@pytest.mark.timeout(300)
def test_the_page_can_be_typed(starter: Starter) -> None:
    """Its commands succeed and show what they show there, and its files pass the checks and the tests that it names."""
    made = []
    for kind, block in re.findall(r"^```(python|diff|console)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        if kind == "console":
            type_commands(starter, block)
        else:
            first, _, rest = block.partition("\n")
            path = first.removeprefix("# ")
            if kind == "diff":
                for hunk in rest.split("@@\n"):
                    change(starter, path, hunk)
            else:
                (starter.root / path).parent.mkdir(exist_ok=True)
                (starter.root / path).write_text(rest, encoding="utf-8")
                made.append(path)

    starter.run(f"ruff check app tests && ruff format --check app tests && lint-imports && mypy {' '.join(made)}")
    assert " passed" in starter.run(f"pytest -q -p no:cacheprovider {TESTS}", seconds=240)


def type_commands(starter: Starter, block: str) -> None:
    """Run each line after `$`; the lines below it are in its output."""
    for command in block.removeprefix("$ ").split("\n$ "):
        line, _, shown = command.partition("\n")
        assert shown.strip() in starter.run(line)


def change(starter: Starter, path: str, hunk: str) -> None:
    """Replace the lines with `-` and a blank by those with `+` and a blank."""
    before = "".join(line[1:] for line in hunk.splitlines(keepends=True) if line[0] in " -")
    after = "".join(line[1:] for line in hunk.splitlines(keepends=True) if line[0] in " +")
    starter.edit(path, before, after)
