"""`handrail upgrade`: at once when there is nothing to do, patient with `--wait`, otherwise plain Alembic."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import psycopg

from faults.proxies import starting_up, through
from faults.shop import Shop, revision
from handrail.errors import BusyError, DatabaseUnavailableError, EditedRevisionError, InvalidIndexError
from handrail.upgrade.turn import key_of
from small_project import SmallProject

NOTHING_TO_DO = "The database is at r6, the newest revision: nothing to do."
# Ends with the modules that must not be there when the answer is known.
LOADED = """
import sys
from handrail.cli import handrail
handrail(["upgrade"], standalone_mode=False)
print(*{"sqlalchemy", "alembic", "shop"} & {name.partition(".")[0] for name in sys.modules})
"""
# The same for `alembic`, where nothing is pending.
LOADED_BY_ALEMBIC = """
import sys
from alembic.config import main
for command in ("upgrade head", "current"):
    main(argv=command.split())
print(*{"postgast"} & set(sys.modules))
"""


def test_at_head_one_query_answers(shop: Shop) -> None:
    """Neither SQLAlchemy nor Alembic nor the models are imported, and the server is asked one thing."""
    shop.project.succeeds("upgrade", "head")

    done = anew(shop, LOADED)

    assert NOTHING_TO_DO in done.stderr
    assert done.stdout.split() == []


def test_at_head_alembic_loads_no_parser_of_sql(shop: Shop) -> None:
    """It takes longer to import than all of handrail that `alembic upgrade` needs at head."""
    shop.project.succeeds("upgrade", "head")

    done = anew(shop, LOADED_BY_ALEMBIC)

    assert done.stdout.split() == ["r6", "(head)"]


def anew(shop: Shop, code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a Python in which nothing is imported yet."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=shop.project.root,
        env=shop.project.variables(),
        capture_output=True,
        text=True,
        check=True,
    )


def test_below_head_it_is_plain_alembic(shop: Shop) -> None:
    """From nothing, to a revision, and to the newest."""
    assert shop.project.handrail("upgrade", "r2").returncode == 0
    assert shop.sql("SELECT version_num FROM shop.alembic_version") == "r2"

    assert shop.project.handrail("upgrade").returncode == 0

    shop.assert_whole()
    assert NOTHING_TO_DO in shop.project.handrail("upgrade", "head").stderr


def test_what_is_wrong_at_head_is_no_nothing_to_do(shop: Shop) -> None:
    """The same answers as `alembic upgrade head` has, with their exit codes."""
    shop.project.succeeds("upgrade", "head")
    shop.sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'shop.ix_name'::regclass")
    assert shop.project.handrail("upgrade").returncode == InvalidIndexError.exit_code
    shop.sql("REINDEX INDEX CONCURRENTLY shop.ix_name")
    path = shop.project.root / "alembic/versions/r3.py"
    path.write_text("# a comment\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert shop.project.handrail("upgrade").returncode == 0
    path.write_text(path.read_text(encoding="utf-8").replace("note text", "note varchar"), encoding="utf-8")

    assert shop.project.handrail("upgrade").returncode == EditedRevisionError.exit_code


def test_without_a_schema(new_project: Callable[..., SmallProject], url: str) -> None:
    """Where the version table is wherever the search path says."""
    project = new_project(schema=None)
    project.use(url)
    revision(project, "r1", None, "pass")
    project.succeeds("upgrade", "head")

    assert "The database is at r1" in project.handrail("upgrade").stderr


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def test_a_server_that_starts_later_is_waited_for(shop: Shop) -> None:
    """As in a pod whose database starts with it: refused at first, then starting up, then there."""
    port = free_port()
    upgrade = shop.start_handrail("upgrade", "--wait=60", DATABASE_URL=through(shop.url, port))
    while not (told := upgrade.said()).endswith("\n"):
        assert upgrade.poll() is None
        time.sleep(0.02)
    with starting_up(shop.url, port, refusals=3) as refused:
        rest = upgrade.communicate(timeout=60)[1].removeprefix(told)

    assert upgrade.returncode == 0, told + rest
    assert told == f"Waiting: no PostgreSQL takes connections at 127.0.0.1:{port} yet.\n"
    assert "Waiting" not in rest
    assert len(refused) == 3
    shop.assert_whole()


def test_a_server_that_never_comes(shop: Shop) -> None:
    """The wait is bounded, and ends with one line and an exit code of its own."""
    nowhere = through(shop.url, free_port())

    done = shop.project.handrail("upgrade", "--wait=1", DATABASE_URL=nowhere)

    assert done.returncode == DatabaseUnavailableError.exit_code, done.stdout + done.stderr
    assert "FAILED: nothing was changed: waited for 1 s, and no PostgreSQL answers at 127.0.0.1" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_ctrl_c_ends_any_command_with_a_line(shop: Shop) -> None:
    """Its exit code is not the one of a command that has found something."""
    for command in ("status", "plan", "upgrade"):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            nowhere = through(shop.url, silent.getsockname()[1])
            process = shop.start_handrail(command, DATABASE_URL=nowhere)
            with silent.accept()[0] as accepted:
                accepted.recv(1)  # it is there, and waits for an answer
                process.send_signal(signal.SIGINT)
                said = process.communicate(timeout=60)

        assert (process.returncode, *said) == (130, "", "error: interrupted.\n")


def test_a_restart_of_the_server_stops_no_plain_upgrade(shop: Shop) -> None:
    """A few seconds are waited for without being asked."""
    port = free_port()
    with starting_up(shop.url, port, refusals=2) as refused:
        shop.project.succeeds("upgrade", "head", DATABASE_URL=through(shop.url, port))

    assert len(refused) == 2
    shop.assert_whole()


def test_the_wait_for_a_turn_is_bounded(shop: Shop) -> None:
    """Of the same length."""
    shop.project.succeeds("upgrade", "r1")
    with psycopg.connect(shop.dsn, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [key_of('"shop"."alembic_version"', "turn")])
        busy = shop.project.handrail("upgrade", "--wait=1")

    assert busy.returncode == BusyError.exit_code, busy.stdout + busy.stderr
    assert "was not done within 1 s" in busy.stdout
