"""Judge statements: predict what each does, and let every rule look at it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import postgast

from handrail.effects import LockMode, Relation
from handrail.findings import Finding, Severity
from handrail.hint import hint
from handrail.predict.parts import Part, predict
from handrail.predict.state import State
from handrail.predict.types import assume
from handrail.rules import RULES, Hit, Rule, Step
from handrail.sizes import Sizes
from handrail.statements import Statement

ONLY_READS = {"select_stmt", "variable_set_stmt", "variable_show_stmt", "explain_stmt"}


@dataclass(frozen=True)
class Placed:
    """A part of a statement, and the statement that it is of."""

    part: Part
    statement: Statement


def judge(statements: Iterable[Statement], state: State, sizes: Sizes, file: str) -> list[Finding]:
    """Return what the rules find in the statements of one revision.

    Args:
        statements: In their order.
        state: What is known of the database before; it is as after them then.
        sizes: Of its tables.
        file: The name that findings give.
    """
    findings: list[Finding] = []
    placed: list[Placed] = []
    transaction: int | None = None
    for statement in statements:
        if statement.transaction is None or statement.transaction != transaction:
            state.begin_transaction()
        transaction = statement.transaction
        if statement.existing is not None:
            assume(statement.existing, state)
        try:
            placed += [Placed(part, statement) for part in predict(statement.sql, state)]
        except postgast.PgQueryError as error:
            findings.append(_unreadable(statement, error, file))
    findings += [
        _finding(rule, hit, at.statement, file)
        for at, step in zip(placed, _steps(placed, state, sizes), strict=True)
        for rule in RULES.values()
        for hit in rule.judge(step)
    ]
    return sorted(_once(findings), key=lambda finding: finding.line)


def _steps(placed: list[Placed], state: State, sizes: Sizes) -> Iterator[Step]:
    """Yield the parts with what is around them."""
    held: dict[Relation, LockMode] = {}
    transaction: int | None = None
    changed = False
    parts = [at.part for at in placed]
    for number, at in enumerate(placed):
        if at.statement.transaction is None or at.statement.transaction != transaction:
            held = {}
        transaction = at.statement.transaction
        after = parts[number + 1].before if number + 1 < len(parts) else state
        alone = transaction is None
        yield Step(at.part, sizes, dict(held), not alone, alone and changed, tuple(parts[number + 1 :]), after)
        # Of a SQL file's own transactions the end is its author's.
        changed = not alone and at.part.kind != "transaction_stmt" and (changed or at.part.kind not in ONLY_READS)
        for table, mode in at.part.effect.locks.items():
            held[table] = max(mode, held.get(table, mode))


def _finding(rule: Rule, hit: Hit, statement: Statement, file: str) -> Finding:
    page = hint(rule.name)
    return Finding(
        rule=rule.name,
        severity=hit.severity or rule.severity,
        object=hit.object,
        file=file,
        line=statement.line,
        what=page.fill(page.what, hit.names),
        why=page.why,
        instead=page.instructions(hit.names),
        certain=statement.certain,
    )


def _unreadable(statement: Statement, error: postgast.PgQueryError, file: str) -> Finding:
    page = hint("unseen")
    reason = f"this is no SQL of PostgreSQL 18's: {error.message}"
    what = page.fill(page.what, {"reason": reason})
    return Finding("unseen", Severity.WARNING, "statement", file, statement.line, what, page.why, page.advice)


def _once(findings: Iterable[Finding]) -> list[Finding]:
    """Leave out what is said twice, as in a loop."""
    return list(dict.fromkeys(replace(finding) for finding in findings))
