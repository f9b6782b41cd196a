"""Judge statements: let every rule look at what each does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from handrail.effects import LockMode, Relation
from handrail.findings import Finding, Severity
from handrail.hint import hint
from handrail.predict.placed import Placed
from handrail.predict.state import State
from handrail.rules import RULES, Hit, Rule, Step
from handrail.sizes import Sizes
from handrail.statements import Statement

ONLY_READS = {"select_stmt", "variable_set_stmt", "variable_show_stmt", "explain_stmt"}


def judge(placed: Sequence[Placed], after: State, sizes: Sizes, file: str) -> list[Finding]:
    """Return what the rules find in the statements of one revision.

    Args:
        placed: What they do, in their order.
        after: The state after them.
        sizes: Of the tables.
        file: The name that findings give.
    """
    findings = [
        unseen("statement", file, at.statement.line, f"this is no SQL of PostgreSQL 18's: {at.error}")
        for at in placed
        if at.error
    ]
    findings += [
        _finding(rule, hit, statement, file)
        for statement, step in _steps(placed, after, sizes)
        for rule in RULES.values()
        for hit in rule.judge(step)
    ]
    # What is said twice, as in a loop, is said once.
    return sorted(dict.fromkeys(findings), key=lambda finding: finding.line)


def _steps(placed: Sequence[Placed], state: State, sizes: Sizes) -> Iterator[tuple[Statement, Step]]:
    """Yield the parts with their statements and what is around them."""
    held: dict[Relation, LockMode] = {}
    transaction: int | None = None
    changed = False
    flat = [(at.statement, part) for at in placed for part in at.parts]
    parts = tuple(part for _, part in flat)
    for number, (statement, part) in enumerate(flat):
        if statement.transaction is None or statement.transaction != transaction:
            held = {}
        transaction = statement.transaction
        after = parts[number + 1].before if number + 1 < len(parts) else state
        alone = transaction is None
        yield statement, Step(part, sizes, dict(held), not alone, alone and changed, parts[number + 1 :], after)
        # Of a SQL file's own transactions the end is its author's.
        changed = not alone and part.kind != "transaction_stmt" and (changed or part.kind not in ONLY_READS)
        for table, mode in part.effect.locks.items():
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


def unseen(thing: str, file: str, line: int, reason: str) -> Finding:
    """Return the finding that not everything can be told."""
    page = hint("unseen")
    what = page.fill(page.what, {"reason": reason})
    return Finding("unseen", Severity.WARNING, thing, file, line, what, page.why, page.advice)
