"""A snapshot that another major version of PostgreSQL has written is no drift, and one of the same version is exact.

The shop's catalogs in `catalogs/` were recorded with `written(read_catalog(connection, schemas={"shop"}))`, one on each
major version that the tests run on. When the shop or the catalog's attributes change, record them again.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from drift.conftest import Migrated
from handrail.catalog import Catalog
from handrail.catalog.difference import differences
from handrail.catalog.stored import Stored
from handrail.catalog.words import in_words
from handrail.upgrade.drift import REWRITTEN, compared

RECORDED = sorted((Path(__file__).parent / "catalogs").glob("*.jsonl"))
# Roles have other names elsewhere, and an extension another version.
ELSEWHERE = frozenset({"owner", "version"})


def recorded(file: Path) -> Catalog:
    return Stored.read(file.read_text(encoding="utf-8").rstrip("\n")).whole


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_a_snapshot_of_any_version_says_the_same(migrated: Migrated, file: Path) -> None:
    expected, live = recorded(file), migrated.drift().live

    assert in_words(compared(expected, live, ignored=ELSEWHERE)[0]) == []

    migrated.run("DROP INDEX shop.ix_name; ALTER TABLE shop.orders ALTER total TYPE numeric(12, 2)")
    edited = compared(expected, migrated.drift().live, ignored=ELSEWHERE)[0]
    assert [str(each.name) for each in edited] == ["column shop.orders.total", "index shop.customers.ix_name"]


def test_the_recorded_versions_write_the_same_code_in_different_ways() -> None:
    """Which is what the normalisation is for: without it there are differences, and only where code is."""
    first, last = (recorded(file) for file in RECORDED)

    found = differences(first, last, ignored=ELSEWHERE)

    assert first.version < last.version
    assert found
    assert {attribute for each in found for attribute in each.changes} <= REWRITTEN
