"""`handrail rehearse`: up, down and up again, on rows, and nothing is left behind."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from faults.shop import Shop, revision
from handrail.rehearsal.clone import first_error
from handrail.scratch import PREFIX, ScratchServer
from small_project import SmallProject

CREATE = (
    'op.execute("CREATE TABLE shop.customers (id serial PRIMARY KEY, name text NOT NULL)")\n'
    'op.execute("CREATE TABLE shop.orders (id serial PRIMARY KEY, customer int NOT NULL REFERENCES shop.customers, '
    'note text, total int)")'
)
DROP = 'op.execute("DROP TABLE shop.orders, shop.customers")'


@pytest.fixture
def shop(new_project: Callable[..., SmallProject], url: str) -> Shop:
    """A project with one revision, which is applied."""
    project = new_project().use(url)
    revision(project, "r1", None, CREATE, DROP)
    project.succeeds("upgrade", "head")
    return Shop(project, url)


def add(shop: Shop, up: str, down: str = "pass", name: str = "r2", parent: str | tuple[str, ...] | None = "r1") -> None:
    """Write one more revision; both sides are lines of Python."""
    revision(shop.project, name, parent, up, down)


def sql(*statements: str) -> str:
    """Return lines that execute statements."""
    return "\n".join(f'op.execute("{statement}")' for statement in statements)


def rehearse(shop: Shop, *arguments: str, code: int) -> list[dict[str, Any]]:
    """Run the command, which must end with this exit code, and return what it found."""
    done = shop.project.handrail("rehearse", *arguments, "--format", "json")
    assert done.returncode == code, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, list)
    return found


@pytest.mark.one_driver
def test_what_is_clean(shop: Shop) -> None:
    """Statements with their lines, locks, scans; nothing lost; the database of the project is as it was."""
    add(
        shop,
        sql("ALTER TABLE shop.orders ALTER total SET NOT NULL"),
        sql("ALTER TABLE shop.orders ALTER total DROP NOT NULL"),
    )

    (found,) = rehearse(shop, "--rows", "100", code=0)

    assert found["clean"]
    assert found["rows"] == 200
    assert [run["way"] for run in found["runs"]] == ["up", "down", "up again"]
    (statement,) = found["runs"][0]["statements"]
    assert statement["line"] == 10
    assert statement["locks"] == {"shop.orders": "ACCESS EXCLUSIVE"}
    assert statement["scans"] == ["shop.orders"]
    assert shop.sql("SELECT count(*) FROM shop.orders") == "0"
    assert shop.sql("SELECT version_num FROM shop.alembic_version") == "r1"


@pytest.mark.one_driver
def test_on_a_branch_of_its_own(shop: Shop) -> None:
    """It follows no revision, but needs one of another branch, which stays as it is; and so does a merge of both."""
    add(shop, sql("CREATE VIEW shop.v AS SELECT 1"), sql("DROP VIEW shop.v"), name="v1", parent=None)
    view = shop.project.root / "alembic/versions/v1.py"
    view.write_text(view.read_text("utf-8").replace("depends_on = None", 'depends_on = "r1"'), encoding="utf-8")
    add(shop, sql("CREATE VIEW shop.w AS SELECT 1"), sql("DROP VIEW shop.w"))
    add(shop, "pass", name="m1", parent=("r2", "v1"))

    found = rehearse(shop, "--rows", "10", code=0)

    assert sorted(rehearsed["revision"] for rehearsed in found) == ["m1", "r2", "v1"]
    assert all(rehearsed["clean"] for rehearsed in found)


@pytest.mark.one_driver
def test_how_long_it_takes_where_the_data_is(shop: Shop) -> None:
    """What is read and written was measured here; how large that is there, the statistics tell."""
    add(
        shop,
        sql("ALTER TABLE shop.orders ALTER total TYPE bigint"),
        sql("ALTER TABLE shop.orders ALTER total TYPE int"),
    )
    sizes = {"shop/orders": {"rows": 40_000_000, "bytes": 4_000_000_000}}
    shop.project.write("stats.json", json.dumps({"version": 1, "tables": sizes}))

    (found,) = rehearse(shop, "--rows", "10", "--stats", "stats.json", code=0)

    (statement,) = found["runs"][0]["statements"]
    assert statement["rewrites"][0] == "shop.orders"
    assert statement["expected_seconds"] == 120
    text = shop.project.handrail("rehearse", "--rows", "10", "--stats", "stats.json").stdout
    assert "with the rows of the statistics about 120 s" in text
    assert "handrail stats > nope.json" in shop.project.handrail("rehearse", "--stats", "nope.json").stderr


@pytest.mark.one_driver
def test_what_is_lost_and_not_brought_back(shop: Shop) -> None:
    """Going up a column goes; going down it comes back without values, and the default not at all."""
    add(
        shop,
        sql("ALTER TABLE shop.orders DROP note", "ALTER TABLE shop.orders ALTER total SET DEFAULT 5"),
        sql("ALTER TABLE shop.orders ADD note text"),
    )

    (found,) = rehearse(shop, code=1)

    assert found["lost"] == ["column shop.orders.note"]
    assert found["not_restored"] == [
        "~ column shop.orders.total: default none -> 5",
        "1000 of 1000 values of shop.orders.note",
    ]
    text = shop.project.handrail("rehearse")
    assert text.returncode == 1
    assert "reads and writes of shop.orders wait until COMMIT" in text.stdout
    assert "Lost going up:\n    column shop.orders.note" in text.stdout


@pytest.mark.one_driver
def test_values_that_a_downgrade_changes(shop: Shop) -> None:
    """The schema is as before, and the values are not."""
    add(
        shop,
        sql("ALTER TABLE shop.orders ALTER total TYPE text"),
        sql("ALTER TABLE shop.orders ALTER total TYPE int USING 1"),
    )

    (found,) = rehearse(shop, code=1)

    assert found["lost"] == []
    assert found["not_restored"] == ["999 of 1000 values of shop.orders.total"]


@pytest.mark.one_driver
def test_what_cannot_be_run_again(shop: Shop) -> None:
    """The downgrade leaves rows behind, which the second upgrade meets."""
    add(shop, sql("INSERT INTO shop.customers VALUES (0, 'first')"))

    (found,) = rehearse(shop, code=1)

    assert found["runs"][2]["way"] == "up again"
    assert "duplicate key" in found["runs"][2]["failure"]


@pytest.mark.one_driver
def test_without_a_way_back(shop: Shop) -> None:
    """A downgrade that says so; the next revision is rehearsed all the same."""
    add(shop, sql("ALTER TABLE shop.orders ADD a int"), 'raise NotImplementedError("there is no way back")')
    add(shop, sql("ALTER TABLE shop.orders ADD b int"), sql("ALTER TABLE shop.orders DROP b"), "r3", "r2")

    first, second = rehearse(shop, code=1)

    assert first["runs"][1]["failure"] == "alembic/versions/r2.py:14: NotImplementedError: there is no way back"
    assert second["clean"]


@pytest.mark.one_driver
def test_an_upgrade_that_fails(shop: Shop) -> None:
    """It is said where; what comes after it was not rehearsed."""
    add(shop, sql("ALTER TABLE shop.orders ADD a int", "ALTER TABLE shop.orders ADD b int NOT NULL"))
    add(shop, sql("SELECT 1"), name="r3", parent="r2")

    done = shop.project.handrail("rehearse")

    assert done.returncode == 2
    assert "alembic/versions/r2.py:11: PostgreSQL refused this: column" in done.stdout
    assert "Not rehearsed, because of what is before: r3." in done.stderr


def test_outside_of_a_transaction(shop: Shop) -> None:
    """An index that is built while others write."""
    block = "with op.get_context().autocommit_block():\n    "
    add(
        shop,
        block + 'op.create_index("ix", "orders", ["note"], schema="shop", postgresql_concurrently=True)',
        block + 'op.drop_index("ix", schema="shop", postgresql_concurrently=True)',
    )

    (found,) = rehearse(shop, code=0)

    (statement,) = found["runs"][0]["statements"]
    assert statement["scans"] == ["shop.orders"]
    assert statement["created"] == ["shop.ix"]
    assert statement["locks"] in ({"shop.orders": "SHARE UPDATE EXCLUSIVE"}, {})
    assert bool(statement["locks"]) != bool(statement["unknown"])


@pytest.mark.one_driver
def test_which_revisions(shop: Shop) -> None:
    """Those that are not applied; else the newest; or what was named."""
    assert [found["revision"] for found in rehearse(shop, code=0)] == ["r1"]
    for number in (2, 3, 4):
        add(shop, sql(f"ALTER TABLE shop.orders ADD c{number} int"), sql(f"ALTER TABLE shop.orders DROP c{number}"),
            f"r{number}", f"r{number - 1}")  # fmt: skip

    assert [found["revision"] for found in rehearse(shop, code=0)] == ["r2", "r3", "r4"]
    assert [found["revision"] for found in rehearse(shop, "r3", code=0)] == ["r3"]
    assert [found["revision"] for found in rehearse(shop, "r1:r3", code=0)] == ["r2", "r3"]
    done = shop.project.handrail("rehearse", "r9")
    assert done.returncode == 2
    assert "r9" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.one_driver
def test_tables_of_earlier_revisions_get_rows(shop: Shop) -> None:
    """What one revision of a range creates is filled before the next one is rehearsed."""
    add(shop, sql("CREATE TABLE shop.tags (id int PRIMARY KEY, word text)"), sql("DROP TABLE shop.tags"))
    add(shop, sql("ALTER TABLE shop.tags DROP word"), sql("ALTER TABLE shop.tags ADD word text"), "r3", "r2")

    _, second = rehearse(shop, code=1)

    assert second["lost"] == ["column shop.tags.word"]


def test_on_a_copy_of_a_database(shop: Shop) -> None:
    """With the rows that are there, and the original keeps them; also while somebody is connected to it."""
    shop.sql("INSERT INTO shop.customers SELECT n, 'n' || n FROM generate_series(1, 7) n")
    add(shop, sql("DELETE FROM shop.customers WHERE id > 5"))

    (found,) = rehearse(shop, "--from", shop.dsn, code=1)
    with shop.transaction("SELECT 1"):
        (again,) = rehearse(shop, "--from", shop.dsn, code=1)

    assert found["lost"] == again["lost"] == ["rows shop.customers"]
    assert found["not_restored"] == ["2 of 7 rows of shop.customers"]
    assert found["rows"] == 7
    assert shop.sql("SELECT count(*) FROM shop.customers") == "7"
    assert "is already applied" in shop.project.handrail("rehearse", "r1", "--from", shop.dsn).stderr


def test_under_load(shop: Shop) -> None:
    """How long others waited for each table while the revision ran."""
    add(
        shop,
        sql("ALTER TABLE shop.orders ADD a int", "SELECT pg_sleep(0.5)"),
        sql("ALTER TABLE shop.orders DROP a"),
    )

    (found,) = rehearse(shop, "--under-load", code=0)

    assert [(stall["table"], stall["what"]) for stall in found["stalls"]] == [
        ("shop.orders", "reads"),
        ("shop.orders", "writes"),
    ]
    assert all(stall["seconds"] > 0.4 for stall in found["stalls"])


def left_behind(server: ScratchServer, pid: int) -> int:
    """Return how many databases of a process there are."""
    count = "SELECT count(*) FROM pg_database WHERE starts_with(datname, :name)"
    return int(server.scalar(count, name=f"{PREFIX}{pid}_"))


@pytest.mark.parametrize("hang", [sql("SELECT pg_sleep(100)"), "__import__('time').sleep(100)", "while True: pass"])
def test_a_revision_that_hangs(shop: Shop, hang: str, handrail_scratch: ScratchServer) -> None:
    """It is stopped, whether PostgreSQL or Python keeps it, and its database goes."""
    add(shop, hang)

    command = shop.start_handrail("rehearse", "--timeout", "2")
    output, errors = command.communicate(timeout=60)

    assert command.returncode == 2, output + errors
    assert "it was stopped after 2 seconds" in output
    assert "Traceback" not in errors
    assert left_behind(handrail_scratch, command.pid) == 0


def test_ctrl_c(shop: Shop, handrail_scratch: ScratchServer) -> None:
    """Whoever has enough leaves nothing behind."""
    add(shop, sql("SELECT pg_sleep(100)"))
    busy = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(100)%' AND starts_with(datname, :name)"

    command = shop.start_handrail("rehearse")
    deadline = time.monotonic() + 60
    while not handrail_scratch.scalar(busy, name=f"{PREFIX}{command.pid}_"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    command.send_signal(signal.SIGINT)
    command.communicate(timeout=60)

    assert command.returncode != 0
    assert left_behind(handrail_scratch, command.pid) == 0


@pytest.mark.one_driver
def test_without_revisions_that_is_said(new_project: Callable[..., SmallProject], url: str) -> None:
    done = new_project().use(url).handrail("rehearse")

    assert (done.returncode, done.stdout) == (0, "There is no revision to rehearse.\n"), done.stderr


def test_of_many_errors_of_a_copy_the_first_is_told() -> None:
    """The others are most often its consequences, each with a whole statement."""
    said = "".join(
        f'pg_restore: error: could not execute query: ERROR:  no type "t{number}"\nCommand was: CREATE …\n'
        for number in range(20)
    )

    assert first_error(said) == (
        'pg_restore: error: could not execute query: ERROR: no type "t0" Command was: CREATE … (and 19 more)'
    )
    assert first_error("killed\n") == "killed"
