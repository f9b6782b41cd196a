"""`handrail status` and `handrail log`: what is true of a database, for people and machines."""

from __future__ import annotations

import json
import re

import pytest

from faults.shop import Shop
from handrail.errors import BlockedError, StatementTimeoutError

pytestmark = pytest.mark.one_driver


def test_status_says_what_is_pending_and_that_nothing_is(shop: Shop) -> None:
    """Before, in between, and at the newest revision."""
    before = shop.project.handrail("status")
    assert before.returncode == 1, before.stderr
    assert "pending      r1, r2, r3, r4, r5, r6" in before.stdout

    shop.project.succeeds("upgrade", "head")
    after = shop.project.handrail("status")

    assert after.returncode == 0, after.stdout + after.stderr
    assert "Nothing to do." in after.stdout


def test_status_names_what_needs_attention(shop: Shop) -> None:
    """Edited files, INVALID indexes, constraints that were not validated, and edits by hand."""
    shop.project.succeeds("upgrade", "head")
    path = shop.project.root / "alembic/versions/r3.py"
    path.write_text(path.read_text(encoding="utf-8").replace("note text", "note varchar"), encoding="utf-8")
    shop.sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'shop.ix_name'::regclass")
    shop.sql("ALTER TABLE shop.goods ADD CONSTRAINT positive CHECK (code > 0) NOT VALID")

    found = shop.project.handrail("status", "--format", "json")

    assert found.returncode == 1
    told = json.loads(found.stdout)
    assert told["edited"] == ["r3"]
    assert told["invalid_indexes"] == ["shop.ix_name"]
    assert told["not_validated"] == ["shop.goods.positive"]
    assert any("positive" in line for line in told["drift"])
    assert not told["well"]


def test_status_names_tables_that_no_revision_is_recorded_for(shop: Shop) -> None:
    """The next upgrade may well stop at them; those of handrail and Alembic themselves are not meant."""
    empty = shop.project.handrail("status").stdout
    shop.sql("CREATE SCHEMA shop")
    shop.sql("CREATE TABLE shop.alembic_version (version_num varchar(32) PRIMARY KEY)")
    without = shop.project.handrail("status").stdout
    shop.sql("CREATE TABLE shop.goods (id int)")

    found = shop.project.handrail("status")

    assert "unversioned" not in empty + without
    assert found.returncode == 1, found.stderr
    assert "unversioned  no revision is recorded, but shop.goods is there. If the revisions" in found.stdout
    assert "handrail baseline r6" in found.stdout
    shop.sql("DROP TABLE shop.goods")
    shop.project.succeeds("upgrade", "r1")
    assert "unversioned" not in shop.project.handrail("status").stdout


def test_status_names_who_keeps_it_from_looking(shop: Shop) -> None:
    """As a migration does that writes a table anew; all else is told all the same, and no command waits for ever."""
    shop.project.succeeds("upgrade", "r3")
    shop.sql("ALTER TABLE shop.goods ALTER code SET DEFAULT 1")
    with shop.transaction("LOCK TABLE shop.goods"):
        found = shop.project.handrail("status")
        others = [shop.project.handrail(command) for command in ("plan", "drift")]

    assert found.returncode == 1, found.stderr
    assert "revision     r3\n" in found.stdout
    assert re.search(
        r"by hand      not known now: a table is locked by pid \d+ .*: LOCK TABLE shop.goods", found.stdout
    )
    for other in others:
        assert other.returncode == BlockedError.exit_code, other.stdout + other.stderr
        assert other.stderr.startswith("error: another session holds a table so that nobody can look at it.")


def test_what_the_server_stops_is_said_in_a_line(shop: Shop) -> None:
    """Of a command that only looks, too."""
    shop.project.succeeds("upgrade", "r3")
    shop.sql("ALTER TABLE shop.goods ALTER code SET DEFAULT 1")
    shop.sql(f'ALTER DATABASE "{shop.database}" SET statement_timeout = 500')
    with shop.transaction("LOCK TABLE shop.goods"):
        stopped = shop.project.handrail("drift", "--format", "sql")
    shop.sql(f'ALTER DATABASE "{shop.database}" RESET statement_timeout')
    shop.sql("ALTER TABLE shop.handrail_journal RENAME retries TO tries")
    refused = shop.project.handrail("status")

    assert stopped.returncode == StatementTimeoutError.exit_code, stopped.stdout + stopped.stderr
    assert refused.returncode == 1
    assert (stopped.stderr.count("\n"), refused.stderr.count("\n")) == (1, 1)
    assert "error: canceling statement due to statement timeout. The role or database allows less" in stopped.stderr
    assert 'error: PostgreSQL refused a question of handrail\'s: column "retries" does not exist' in refused.stderr


def test_log_shows_what_was_done(shop: Shop) -> None:
    """The newest first."""
    shop.project.succeeds("upgrade", "r2")
    shop.project.succeeds("downgrade", "r1")

    told = shop.project.handrail("log", "-n", "2")
    entries = json.loads(shop.project.handrail("log", "--format", "json").stdout)

    down, up = told.stdout.splitlines()
    assert "downgrade r2" in down
    assert "upgrade   r2" in up
    assert [entry["revision"] for entry in entries] == ["r2", "r2", "r1"]
