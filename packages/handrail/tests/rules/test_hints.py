"""Every rule has a page, and every page is true: its examples are reviewed and run."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError, StatementError

from handrail.cli.explain import FOUND_BY_READING
from handrail.findings import Finding, Severity
from handrail.hint import FIELD, hint, rule_names
from handrail.predict import State
from handrail.rules import RULES
from handrail.sizes import Sizes
from rules.examples import line_of, review

Run = Callable[[Sequence[str]], None]


def _is_code(text: str) -> bool:
    return any(line and not line.startswith("#") for line in text.splitlines())


# Which statement of the bad example it is about, where that is not the first.
STATEMENT = {"mixed-revision": 1, "scan-while-blocking": 1, "new-value-used": 1, "transaction-control": 1}
# How many lines below its beginning: a comment above it, and what stands in a block.
BESIDE = {"note": -1, "mixed-revision": 1}
# What PostgreSQL or SQLAlchemy says to the bad example, where it refuses it.
REFUSALS = {
    "bind-parameter": "A value is required for bind parameter 'soon'",
    "concurrently-in-transaction": "cannot run inside a transaction block",
    "missing-cast": "cannot be cast automatically to type bigint",
    "new-value-used": 'unsafe use of new value "lost"',
    "required-column": 'column "channel" of relation "orders" contains null values',
    "transaction-control": "cannot run inside a transaction block",
    "type-in-use": "cannot alter type of a column used by a view or rule",
}
NAMES = sorted(rule_names())
# Pages whose code is finished; in the others stands a … for what only the author of the revision knows.
FINISHED = [rule for rule in NAMES if "…" not in hint(rule).instead and _is_code(hint(rule).instead)]
# Advice that is given to what the bad example has made.
AFTERWARDS = {"definer-search-path"}


def found(rule: str, findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.rule == rule]


def test_rules_and_pages_are_the_same() -> None:
    assert rule_names() == RULES.keys() | FOUND_BY_READING.keys()


@pytest.mark.parametrize("rule", NAMES)
def test_a_page_is_complete(rule: str) -> None:
    page = hint(rule)

    assert page.text.startswith(f"# {rule}\n\n{page.title}\n\n## What happens\n")
    assert "\n" not in page.title
    assert page.title.endswith(".")
    assert all((page.what, page.why, page.advice, page.bad, page.good))
    assert not FIELD.findall(page.title + page.why + page.bad + "".join(page.good))
    assert max(map(len, "\n".join((page.bad, *page.good)).splitlines())) <= 120


@pytest.mark.parametrize("rule", NAMES)
def test_the_bad_example_is_found(rule: str, tmp_path: Path, state: State, sizes: Sizes) -> None:
    page = hint(rule)

    findings = found(rule, review(tmp_path, [page.bad], state, sizes))

    assert findings, "nothing is found"
    line = line_of(page.bad, STATEMENT.get(rule, 0)) + BESIDE.get(rule, 0)
    assert {(finding.file, finding.line) for finding in findings} == {("versions/0.py", line)}
    for finding in findings:
        texts = f"{finding.what}\n{finding.why}\n{finding.instead}"
        assert not FIELD.findall(texts), texts
        assert finding.counts is (finding.severity is not Severity.NOTE)


@pytest.mark.parametrize("rule", NAMES)
def test_the_good_example_is_clean(rule: str, tmp_path: Path, state: State, sizes: Sizes) -> None:
    findings = review(tmp_path, hint(rule).good, state, sizes)

    assert [finding for finding in findings if finding.counts] == []


@pytest.mark.parametrize("rule", NAMES)
def test_the_bad_example_does_what_the_page_says(rule: str, run: Run) -> None:
    page = hint(rule)
    if rule not in REFUSALS:
        run([page.bad])
        return
    with pytest.raises((DBAPIError, StatementError), match=re.escape(REFUSALS[rule])):
        run([page.bad])


@pytest.mark.parametrize("rule", NAMES)
def test_the_good_example_works(rule: str, run: Run) -> None:
    run(hint(rule).good)


def advised(rule: str, folder: Path, state: State, sizes: Sizes) -> list[str]:
    """Return the revisions to write instead of the bad example, as its finding prints them; notes get a reason."""
    finding = found(rule, review(folder, [hint(rule).bad], state, sizes))[0]
    code = re.sub("<[^>]*>", "a reason", finding.instead.partition("\n")[2])
    return re.split(r"\n\n(?=# The )", code)


@pytest.mark.parametrize("rule", FINISHED)
def test_what_to_write_instead_is_clean(rule: str, tmp_path: Path, known_shop: State, sizes: Sizes) -> None:
    bodies = advised(rule, tmp_path / "bad", known_shop.copy(), sizes)

    findings = review(tmp_path / "instead", bodies, known_shop.copy(), sizes)

    assert [finding for finding in findings if finding.counts] == []


@pytest.mark.parametrize("rule", FINISHED)
def test_what_to_write_instead_works(
    rule: str, tmp_path: Path, state: State, sizes: Sizes, run: Run, server_version: int
) -> None:
    bodies = [hint(rule).bad] * (rule in AFTERWARDS) + advised(rule, tmp_path, state, sizes)
    if rule == "stored-column" and server_version < 18:
        with pytest.raises(DBAPIError, match="VIRTUAL"):
            run(bodies)
        return
    run(bodies)
