"""What is a hazard is found, and what is harmless is not."""

from __future__ import annotations

from pathlib import Path

import pytest

import truth_table
from handrail.findings import Severity
from handrail.review.sql_file import review_sql
from handrail.rules import RULES
from review.cases import HARMLESS, HAZARDS, IN_USE, Case, cases
from review.projects import reviewed, rules


def found(folder: Path, case: Case) -> set[str]:
    if case.body.startswith("--"):
        return rules(review_sql(Path("change.sql"), case.body).findings)
    return rules(reviewed(folder, IN_USE, case.body, outside=case.outside).findings)


@pytest.mark.parametrize("case", cases(HAZARDS), ids=lambda case: case.name)
def test_a_hazard_is_found(tmp_path: Path, case: Case) -> None:
    assert found(tmp_path, case) >= case.expected


@pytest.mark.parametrize("case", cases(HARMLESS), ids=lambda case: case.name)
def test_what_is_harmless_is_silent(tmp_path: Path, case: Case) -> None:
    assert not found(tmp_path, case)


def test_every_rule_that_counts_has_a_case() -> None:
    covered = {rule for case in cases(HAZARDS) for rule in case.expected}
    counting = {name for name, rule in RULES.items() if rule.severity is not Severity.NOTE}

    assert counting <= covered


def test_nothing_need_be_known_of_the_tables(tmp_path: Path) -> None:
    for case in (*cases(HAZARDS), *cases(HARMLESS)):
        if not case.body.startswith("--"):
            assert reviewed(tmp_path, case.body, outside=case.outside).file
    for statement in {row.statement for rows in vars(truth_table).values() for row in _truths(rows)}:
        assert review_sql(Path("change.sql"), statement).statements


def _truths(rows: object) -> list[truth_table.Truth]:
    return [row for row in rows if isinstance(row, truth_table.Truth)] if isinstance(rows, tuple) else []


BARE = {
    # In a file, BEGIN and COMMIT are what they should be.
    "BEGIN; CREATE TABLE t (id int); CREATE INDEX ON t (id); COMMIT;": set(),
    "BEGIN; CREATE INDEX CONCURRENTLY i ON t (id); COMMIT;": {"concurrently-in-transaction"},
    "BEGIN; ALTER TABLE t ADD CONSTRAINT c CHECK (x > 0) NOT VALID; ALTER TABLE t VALIDATE CONSTRAINT c; COMMIT;": {
        "scan-while-blocking"
    },
    "BEGIN; BEGIN; COMMIT;": {"transaction-control"},
    "CREATE UNIQUE INDEX CONCURRENTLY i ON t (id); ALTER TABLE t ADD PRIMARY KEY USING INDEX i;": set(),
    "CREATE INDEX i ON ONLY t (id);": set(),
    "ALTER TABLE t ADD id serial PRIMARY KEY;": {"counted-column"},
    "ALTER TABLE t SET SCHEMA s;": {"renames-table"},
    "ALTER TABLE t ALTER x TYPE text;": set(),
    "ALTER TABLE t ALTER x TYPE text USING x::text;": {"type-rewrite"},
    "ALTER DOMAIN d ADD CHECK (VALUE > 0);": {"domain-scan"},
    "ALTER TYPE e RENAME TO f;": {"renames-object"},
    "DROP EXTENSION postgis CASCADE;": {"drops-cascade"},
}


@pytest.mark.parametrize("sql", BARE)
def test_statements_about_tables_of_which_nothing_is_known(sql: str) -> None:
    assert rules(review_sql(Path("change.sql"), sql).findings) == BARE[sql]
