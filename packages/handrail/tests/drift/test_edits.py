"""Every kind of manual edit is seen and named, and nothing is when nothing was changed."""

from __future__ import annotations

import pytest

from drift.conftest import Migrated
from drift.edits import ADDED, EDITS, REMOVED, Edit
from handrail.catalog.difference import Difference
from handrail.drift.report import described


def reported(difference: Difference) -> set[str]:
    """Return what a report says of a difference."""
    if difference.before is None:
        return {ADDED}
    return {REMOVED} if difference.after is None else set(difference.changes)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_an_edit_is_seen_and_named(migrated: Migrated, edit: Edit) -> None:
    """By object and attribute, alone on a migrated database."""
    assert migrated.drift(whole=False).differences == []

    migrated.run(edit.sql)
    found = migrated.drift(whole=False)

    assert found.differences == migrated.drift().differences

    named = {str(difference.name): reported(difference) for difference in found.differences}
    assert edit.attribute in named[edit.object.replace("{role}", migrated.role)], named
    assert found.revisions == ["r1"]
    assert found.since is not None
    assert any(edit.object.replace("{role}", migrated.role) in line for line in described(found.differences))
