"""Each kind of edit is adopted, and undone: afterwards nothing differs, here and in a database that never had it."""

from __future__ import annotations

import pytest

from drift.conftest import Migrated
from drift.edits import EDITS, Edit
from handrail.catalog.words import in_words
from handrail.drift.adopt import operations
from handrail.drift.units import units
from handrail.operations.statement import Statement
from handrail.upgrade.drift import FOR_GOOD, Drift, compared

# What no SQL says, or what nobody wants to be done again elsewhere.
NO_WORDS = {"INVALID index"}


def adopted(found: Drift) -> list[str]:
    """Return the SQL of the revision, in a form that a transaction takes."""
    texts = []
    for operation in operations(found.differences, found.expected, found.live):
        assert isinstance(operation, Statement)
        texts.append(str(operation.sqltext).replace(" CONCURRENTLY", ""))
    return texts


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_an_edit_is_adopted(migrated: Migrated, edit: Edit) -> None:
    """The revision does nothing where the edit is, does it elsewhere, and may be run twice."""
    if edit.name in NO_WORDS:
        return
    savepoint = migrated.connection.begin_nested()
    migrated.run(edit.sql)
    edited = migrated.drift()
    texts = adopted(edited)
    migrated.migrate(texts)
    assert in_words(compared(edited.live, migrated.drift().live)[0]) == [], texts
    savepoint.rollback()

    for _ in range(2):
        migrated.migrate(texts)
        left = compared(edited.live, migrated.drift().live)[0]
        assert [d for d in left if not d.changes or set(d.changes) - FOR_GOOD] == [], (in_words(left), texts)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_an_edit_is_undone(migrated: Migrated, edit: Edit) -> None:
    """Nothing differs but the order of columns: one that comes back stands last."""
    if edit.name in NO_WORDS:
        return
    migrated.run(edit.sql)
    edited = migrated.drift()

    undone = [difference.reversed() for difference in edited.differences]
    texts = [statement for unit in units(undone, edited.live, edited.expected) for statement in unit.statements]
    migrated.execute(texts)

    left = migrated.drift().differences
    assert [d for d in left if not d.changes or set(d.changes) - FOR_GOOD] == [], (in_words(left), texts)
    assert left == [] or not edit.reverts
