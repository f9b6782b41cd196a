"""What is predicted is what was measured: every statement of the truth table, on every version that it speaks about."""

from __future__ import annotations

import pytest

import truth_table
from handrail.effects import Effect, LockMode, Lost, Relation, together
from handrail.predict import State, predict
from truth_table import SET_UP, Truth, disagreements, loss

ROWS = {
    truth: None
    for rows in vars(truth_table).values()
    if isinstance(rows, tuple)
    for truth in rows
    if isinstance(truth, Truth) and not truth.fails
}
# What the syntax does not tell, each with the reason.
ELSEWHERE = {
    "SELECT setval('s_seq', 100)": "which function takes a lock stands in no catalog",
    "DELETE FROM t2 WHERE id = 7": "foreign keys act on rows that only the server finds",
    "ALTER TABLE p ADD PRIMARY KEY (id)": "before 18 partitions are locked less; the stronger lock is assumed",
    "ALTER TABLE t ALTER ts TYPE timestamptz": "under another time zone than UTC it is written anew; that is assumed",
}
EMPTY = {loss(*what.split()) for what in ("table e", "rows e", "column e.x")}


def predicted(truth: Truth, major: int) -> Effect:
    """Return all that the parts of a statement do, on the tables that the table is about."""
    state = State(major * 10_000, complete=True)
    for sql in (*SET_UP, *truth.setup):
        predict(sql, state)
    state.begin_batch()
    state.begin_transaction()
    partitions = {Relation("public", "p"): set(state.partitions(Relation("public", "p")))}
    whole = together(part.effect for part in predict(truth.statement, state))
    # A partitioned table has no rows of its own: reading it is reading its partitions.
    whole.scans = {one for relation in whole.scans for one in partitions.get(relation, {relation})}
    whole.rewrites = {one for relation in whole.rewrites for one in partitions.get(relation, {relation})}
    return whole


@pytest.mark.parametrize("major", [15, 18])
@pytest.mark.parametrize("truth", ROWS, ids=lambda truth: truth.name)
def test_prediction_and_measurement_agree(truth: Truth, major: int) -> None:
    if not truth.holds_on(major):
        return
    effect = predicted(truth, major)
    expected = truth.effect
    # Values and rows may be lost, of which a measurement on certain rows knows whether they are.
    possible = {one for one in effect.losses if one.what in (Lost.VALUES, Lost.ROWS) or one in EMPTY}
    effect.losses = [one for one in effect.losses if one not in possible or one in expected.losses]
    if all(mode <= LockMode.ROW_EXCLUSIVE for mode in expected.locks.values()):
        # Whether rows are found by reading the table is the planner's choice, and nobody waits for it.
        effect.scans = expected.scans

    found = disagreements(truth, effect)

    assert not found or effect.unknown or truth.statement in ELSEWHERE, found


def test_the_exceptions_are_needed() -> None:
    statements = {truth.statement for truth in ROWS}

    assert ELSEWHERE.keys() <= statements
