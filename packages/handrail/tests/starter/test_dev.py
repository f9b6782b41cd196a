"""`handrail dev`, which is `make run`: one command to a running service, and Ctrl-C to nothing left."""

from __future__ import annotations

import os
import signal
import socket
import urllib.request
from typing import TYPE_CHECKING

from handrail.errors import MigrationError

if TYPE_CHECKING:
    import pytest

    from starter_copy import Starter


def test_from_nothing_to_a_service_and_back(starter: Starter) -> None:
    """A fresh clone serves, Ctrl-C stops service and database, and the rows are there at the next start."""
    with starter.serving("handrail dev") as service:
        assert service.request("GET", "/health/ready") == (200, {"status": "ready"})
        starter.make_admin()
        user = service.who_am_i()
        assert "running" in starter.run("handrail db status")
    assert service.process.returncode == 0
    assert "PostgreSQL 18 in .postgres/" in service.output
    assert "Traceback" not in service.output
    assert "stopped" in starter.shell("handrail db status").stdout

    with starter.serving("handrail dev --no-reload") as service:
        assert service.who_am_i() == user
    assert "Running upgrade" not in service.output


def test_a_database_that_was_running_already_goes_on(starter: Starter) -> None:
    """Only what the command started is stopped at its end."""
    starter.run("handrail db start")

    with starter.serving("handrail dev --no-reload"):
        pass

    assert "running" in starter.run("handrail db status")


def test_sigterm_ends_it_like_ctrl_c(starter: Starter) -> None:
    """As a process manager or a closed terminal would."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        with starter.serving("handrail dev --no-reload") as service:
            service.process.send_signal(number)
            assert service.process.wait(timeout=30) == 0
        assert "stopped" in starter.shell("handrail db status").stdout


def test_with_a_database_url_nothing_is_started(starter: Starter, empty_database: str) -> None:
    """The given database is migrated and used; no `.postgres/` appears."""
    with starter.serving("handrail dev --no-reload", DATABASE_URL=empty_database) as service:
        assert service.request("GET", "/health/ready") == (200, {"status": "ready"})

    assert "as DATABASE_URL says" in service.output
    assert not (starter.root / ".postgres").exists()


def test_nobody_on_this_machine_is_taken_for_a_proxy(starter: Starter, empty_database: str) -> None:
    """A client says whom it speaks for, and counts as itself all the same: as in production, until it is configured."""
    with starter.serving("handrail dev --no-reload", DATABASE_URL=empty_database) as service:
        spoofed = urllib.request.Request(f"{service.address}/health/live", headers={"X-Forwarded-For": "198.51.100.1"})
        with urllib.request.urlopen(spoofed, timeout=10) as answer:
            assert answer.status == 200

    assert "198.51.100.1" not in service.output
    assert "ip=127.0.0.1" in service.output


def test_pending_migrations_are_applied(starter: Starter) -> None:
    """Also those that arrived with somebody else's commit since the last start."""
    starter.alembic("upgrade head")
    starter.alembic('revision -m "from a colleague"')

    with starter.serving("handrail dev --no-reload") as service:
        assert service.request("GET", "/health/ready")[0] == 200

    assert "from a colleague" in service.output


def test_a_failing_migration_ends_it(starter: Starter) -> None:
    """The service is not started on a database that it does not fit."""
    starter.alembic('revision -m "broken"')
    (revision,) = starter.root.glob("alembic/versions/*_broken.py")
    revision.write_text(revision.read_text().replace("    pass", '    op.execute("SELECT 1/0")', 1))

    done = starter.shell("handrail dev")

    assert done.returncode == MigrationError.exit_code
    assert "division by zero" in done.stdout
    assert "Uvicorn running" not in done.stderr
    assert "stopped" in starter.shell("handrail db status").stdout


def test_a_busy_port_is_found_before_anything_starts(starter: Starter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        done = starter.shell(f"handrail dev --port {port}")

    assert done.returncode == 3
    assert f"port {port} on 127.0.0.1 cannot be used" in done.stderr
    assert f"make run PORT={port + 1}" in done.stderr
    assert not (starter.root / ".postgres").exists()


def test_two_databases_are_refused(starter: Starter) -> None:
    """A URL in alembic.ini would send the migrations elsewhere than the service."""
    starter.edit("alembic.ini", "[alembic]\n", "[alembic]\nsqlalchemy.url = postgresql://elsewhere/name\n")

    done = starter.shell("handrail dev")

    assert done.returncode == 3
    assert "alembic.ini names a database" in done.stderr


def test_production_without_a_database_is_refused_in_one_line(starter: Starter) -> None:
    """By every way to start it."""
    for command in ("handrail dev", "uvicorn app.main:app --port 1", "alembic upgrade head"):
        done = starter.shell(command, ENVIRONMENT="production")

        assert done.returncode != 0
        lines = (done.stdout + done.stderr).strip().splitlines()
        assert len(lines) == 1, lines
        assert "ENVIRONMENT=production needs DATABASE_URL" in lines[0]
    assert not (starter.root / ".postgres").exists()


def test_killed_it_leaves_a_database_that_the_next_start_adopts(starter: Starter) -> None:
    """kill -9 leaves nobody to stop PostgreSQL; no data is lost, and nothing has to be cleaned by hand."""
    with starter.serving("handrail dev --no-reload") as service:
        starter.make_admin()
        user = service.who_am_i()
        os.kill(service.process.pid, signal.SIGKILL)
        service.process.wait(timeout=30)
        starter.shell(f"pkill -f 'uvicorn app.main:app.*--port {service.address.rpartition(':')[2]}'")
    assert "running" in starter.run("handrail db status")

    with starter.serving("handrail dev --no-reload") as service:
        assert service.who_am_i() == user


def test_help_is_worth_reading(starter: Starter, pytestconfig: pytest.Config) -> None:
    """Every command says what it does, in its own help and in the list."""
    listing = starter.run("handrail --help")

    for command in ("dev", "db", "completion"):
        assert command in listing
        first = starter.run(f"handrail {command} --help").splitlines()[2].strip()
        assert first[:20] in listing or first.endswith((".", ",", ":"))


def test_tab_completion(starter: Starter) -> None:
    """The line that the command prints makes the shell complete its commands."""
    line = starter.run("handrail completion bash")
    assert line.startswith('eval "$(_HANDRAIL_COMPLETE=bash_source handrail)"')

    completed = starter.run("handrail", _HANDRAIL_COMPLETE="bash_complete", COMP_WORDS="handrail d", COMP_CWORD="1")
    assert set(completed.split()) == {"plain,db", "plain,dev", "plain,drift"}
