"""`handrail drift`, run as a person or a job runs it."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable

import psycopg
import pytest

from faults.shop import revision
from small_project import SmallProject

pytestmark = pytest.mark.one_driver

TABLE = 'op.execute("CREATE TABLE shop.goods (id int PRIMARY KEY, name text)")'


def sql(url: str, *statements: str) -> None:
    """Edit the database by hand."""
    with psycopg.connect("postgresql://" + url.partition("://")[2], autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def project(new_project: Callable[..., SmallProject], url: str) -> SmallProject:
    """A project whose one revision is applied."""
    project = new_project()
    project.use(url)
    revision(project, "r1", None, TABLE, 'op.execute("DROP TABLE shop.goods")')
    project.succeeds("upgrade", "head")
    return project


def test_no_drift_is_said_in_one_line(project: SmallProject) -> None:
    done = project.handrail("drift")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("No drift since revision r1 (2")
    assert len(done.stdout.splitlines()) == 1


def test_drift_is_named_with_the_revision_the_time_and_both_ways_out(project: SmallProject, url: str) -> None:
    sql(url, "ALTER TABLE shop.goods ADD COLUMN price int", "ALTER TABLE shop.goods ALTER COLUMN name SET DEFAULT 'x'")

    done = project.handrail("drift")

    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("Changed by hand since revision r1 (2")
    assert "+ column shop.goods.price" in done.stdout
    assert "~ column shop.goods.name: default none -> 'x'::text" in done.stdout
    assert "handrail drift --adopt" in done.stdout
    assert "handrail drift --revert" in done.stdout


def test_machines_get_json_and_sql(project: SmallProject, url: str) -> None:
    sql(url, "ALTER TABLE shop.goods ALTER COLUMN name SET NOT NULL")

    told = json.loads(project.handrail("drift", "--format", "json").stdout)
    statements = project.handrail("drift", "--format", "sql").stdout

    assert told["drift"] is True
    assert told["compared_with"] == "journal"
    assert told["revisions"] == ["r1"]
    (difference,) = told["differences"]
    assert difference["object"] == "column shop.goods.name"
    assert difference["attributes"] == {"not_null": {"before": False, "after": True}}
    assert statements == "ALTER TABLE shop.goods ALTER COLUMN name SET NOT NULL;\n"


def test_a_watch_tells_what_comes_and_ends_when_asked(project: SmallProject, url: str) -> None:
    """By SIGTERM as by Ctrl-C, with the exit code of what it saw last."""
    with project.handrail_running("drift", "--watch", "0.1") as watch:
        assert watch.stdout is not None
        assert watch.stdout.readline().startswith("No drift since revision r1 (2")
        sql(url, "COMMENT ON TABLE shop.goods IS 'x'")
        assert watch.stdout.readline().startswith("Changed by hand since revision r1 (2")
        assert watch.stdout.readline() == "\n"
        assert watch.stdout.readline() == "~ table shop.goods: comment none -> x\n"
        watch.terminate()
        rest, _ = watch.communicate()

    assert watch.returncode == 1
    assert "Changed by hand" not in rest  # it was told once, though it was seen again and again

    sql(url, "COMMENT ON TABLE shop.goods IS NULL")
    with project.handrail_running("drift", "--watch", "60") as watch:
        assert watch.stdout is not None
        assert watch.stdout.readline().startswith("No drift since revision r1 (2")
        watch.send_signal(signal.SIGINT)
        assert watch.wait() == 0


def test_what_was_found_is_left_in_the_journal(project: SmallProject, url: str) -> None:
    """Once, as long as it stays the same; and that there is nothing any more."""
    sql(url, "COMMENT ON TABLE shop.goods IS 'x'")
    codes = [project.handrail("drift", "--record").returncode for _ in range(2)]
    sql(url, "COMMENT ON TABLE shop.goods IS NULL")
    codes.append(project.handrail("drift", "--record").returncode)
    entries = json.loads(project.handrail("log", "--format", "json").stdout)

    assert codes == [1, 1, 0]
    assert [entry["direction"] for entry in entries] == ["drift", "drift", "upgrade"]
    assert [[step["statement"] for step in entry["steps"]] for entry in entries[:2]] == [[], ["table shop.goods"]]
    assert project.handrail("drift", "--record", "--revert").returncode == 2


def test_what_may_differ_is_shown_as_ignored(project: SmallProject, url: str) -> None:
    """With the reason; an attribute or a whole object, with all that belongs to a table."""
    project.write(
        "pyproject.toml",
        """\
        [tool.handrail]
        metadata = "shop.base:Base"

        [tool.handrail.drift]
        ignore = [
            { object = "table shop.log_*", reason = "the partition job makes them" },
            { object = "index shop.*.dba_*", reason = "made by the DBA" },
            { object = "*", attribute = "privileges", reason = "grants come from terraform" },
        ]
        """,
    )
    sql(
        url,
        "CREATE TABLE shop.log_1 (id int PRIMARY KEY)",
        "CREATE INDEX dba_name ON shop.goods (name)",
        "GRANT SELECT ON shop.goods TO PUBLIC",
    )
    quiet = project.handrail("drift")
    sql(url, "COMMENT ON TABLE shop.goods IS 'x'")
    loud = json.loads(project.handrail("drift", "--format", "json").stdout)

    assert quiet.returncode == 0, quiet.stdout + quiet.stderr
    assert "+ index shop.goods.dba_name  (made by the DBA)" in quiet.stdout
    assert "+ table shop.log_1  (the partition job makes them)" in quiet.stdout
    assert "(grants come from terraform)" in quiet.stdout
    (difference,) = loud["differences"]
    assert difference["attributes"] == {"comment": {"before": None, "after": "x"}}
    assert len(loud["ignored"]) >= 3


def test_an_exception_needs_a_reason(project: SmallProject) -> None:
    project.write(
        "pyproject.toml",
        '[tool.handrail]\nmetadata = "shop.base:Base"\n[tool.handrail.drift]\nignore = [{ object = "table shop.x" }]\n',
    )
    done = project.handrail("drift")

    assert done.returncode == 3
    assert "a reason" in done.stderr


def test_without_a_journal_the_history_is_asked(project: SmallProject, url: str) -> None:
    """And it is said so."""
    sql(url, "DROP TABLE shop.handrail_journal")
    clean = project.handrail("drift")
    sql(url, "ALTER TABLE shop.goods ADD COLUMN price int")
    done = project.handrail("drift", "--format", "json")

    assert clean.returncode == 0, clean.stdout + clean.stderr
    assert "There is no journal of this database yet" in clean.stderr
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["compared_with"] == "history"
    assert [difference["object"] for difference in told["differences"]] == ["column shop.goods.price"]


def test_an_ordinary_role_that_may_read_is_enough(project: SmallProject, url: str) -> None:
    """And without that right it is told which one is missing."""
    role = f"reader_{url.rpartition('/')[2].partition('?')[0]}"
    sql(url, f"CREATE ROLE {role} LOGIN PASSWORD 'secret' SUPERUSER")
    sql(url, f"ALTER ROLE {role} NOSUPERUSER")
    try:
        scheme, _, rest = url.partition("://")
        reader = f"{scheme}://{role}:secret@{rest.rpartition('@')[2]}"
        others = [project.handrail(verb, DATABASE_URL=reader) for verb in ("status", "log", "plan")]
        refused = project.handrail("drift", DATABASE_URL=reader)
        sql(url, f"GRANT USAGE ON SCHEMA shop TO {role}", f"GRANT SELECT ON ALL TABLES IN SCHEMA shop TO {role}")
        allowed = project.handrail("drift", "--format", "json", DATABASE_URL=reader)
    finally:
        sql(url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")

    assert refused.returncode == 6, refused.stdout + refused.stderr
    assert "GRANT USAGE ON SCHEMA" in refused.stderr
    assert [other.stderr for other in others] == [refused.stderr] * 3
    assert allowed.returncode == 1, allowed.stderr  # the grants themselves
    assert {each["object"] for each in json.loads(allowed.stdout)["differences"]} == {
        "schema shop", "table shop.goods",
    }  # fmt: skip
