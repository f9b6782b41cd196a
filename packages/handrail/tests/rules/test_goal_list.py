"""The goal list: everything that is known to go wrong is found, or there is a reason why not."""

from __future__ import annotations

import pytest

from handrail.judge import judge
from handrail.predict import State
from handrail.predict.placed import place
from handrail.rules import RULES
from handrail.sizes import Sizes
from handrail.statements import read_sql
from rules.goal_list import ELSEWHERE, GOALS, Goal


def test_no_row_is_missing() -> None:
    assert sorted({goal.row for goal in GOALS} | ELSEWHERE.keys()) == list(range(1, 98))


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: f"{goal.row}: {goal.sql[:100]}")
def test_a_row(goal: Goal, state: State, sizes: Sizes) -> None:
    placed = place(read_sql(goal.sql, one_transaction=True), state)
    findings = judge(placed, state, sizes, "revision.py")

    assert {finding.rule for finding in findings} == goal.rules, goal.reason
    if goal.reason:
        assert not [finding for finding in findings if finding.counts]


def test_every_rule_has_a_row() -> None:
    # It looks at a revision as a whole, where rows have one statement each.
    assert RULES.keys() - {"mixed-revision"} == {rule for goal in GOALS for rule in goal.rules}
