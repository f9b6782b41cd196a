"""`handrail db`, run as a person or a script would."""

from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from postgres.clusters import Clusters, query

HANDRAIL = [sys.executable, "-c", "from handrail.cli import main; main()", "db"]
ELSEWHERE = "postgresql+asyncpg://me:s3cret@db.invalid:6543/shop"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[tool.handrail]\nmetadata = "app.models:Base"\n')
    return tmp_path


@pytest.fixture
def run(project: Path, clusters: Clusters) -> Run:
    """Return a function that runs `handrail db …` in the project, with a stopped development cluster."""
    clusters.initialised(project)

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*HANDRAIL, *arguments],
            cwd=project,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


def test_start_says_where_and_stop_says_whether(run: Run, project: Path) -> None:
    """Start names directory and URL, twice without harm; stop tells whether there was something to stop."""
    first, second = run("start"), run("start")
    assert first.returncode == second.returncode == 0
    assert first.stdout.startswith("Started PostgreSQL 1")
    assert second.stdout.startswith("Already running: PostgreSQL 1")
    assert f"  data  {project}/.postgres/data\n  url   postgresql://postgres@/development?host=/" in first.stdout
    assert [run("stop").stdout, run("stop").stdout] == ["Stopped.\n", "It was not running.\n"]


def test_status_for_people_and_for_programs(run: Run, project: Path) -> None:
    """A small table without colour in a pipe, or JSON; the exit code is 0 when it runs and 1 when not."""
    stopped = run("status")
    assert stopped.returncode == 1
    assert stopped.stdout.startswith("state     stopped\nversion   PostgreSQL 1")
    run("start")
    running = run("status", "--format", "json")
    assert running.returncode == 0
    told = json.loads(running.stdout)
    assert (told["state"], told["directory"]) == ("running", f"{project}/.postgres/data")
    assert told["database_url"] is None
    assert "\x1b" not in run("status").stdout


def test_url_starts_on_demand_and_prints_nothing_else(run: Run, clusters: Clusters, project: Path) -> None:
    """`psql "$(handrail db url)"`: one line on stdout, the announcement on stderr, and it works."""
    said = run("url")
    assert said.stdout == f"{clusters.development(project).url()}\n"
    assert "Started the development PostgreSQL" in said.stderr
    assert query(clusters.development(project), "SELECT 1") == "1"
    assert run("url").stderr == ""


@pytest.mark.parametrize("separator", [["--"], []])
def test_psql_passes_arguments_on(run: Run, separator: list[str]) -> None:
    """Arguments go to psql as they are, the server is started on demand, and psql's exit code is ours."""
    said = run("psql", *separator, "-XAtc", "SELECT current_database(), 'a b'")
    assert said.stdout == "development|a b\n"
    assert run("psql", *separator, "-XAtd", "postgres", "-c", "SELECT current_database()").stdout == "postgres\n"
    assert run("psql", *separator, "-Xc", "SELECT nonsense", "-v", "ON_ERROR_STOP=1").returncode == 1


def test_psql_reads_a_script_from_stdin(run: Run, project: Path) -> None:
    """A dump can be piped in."""
    run("start")
    said = subprocess.run(
        [*HANDRAIL, "psql", "--", "-XAtq"],
        cwd=project,
        input="SELECT 6 * 7;",
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "42\n"


def test_database_url_means_that_nothing_is_started(run: Run, project: Path) -> None:
    """With DATABASE_URL the verbs of the development server refuse in one line; status says it, without password."""
    for verb in (["start"], ["stop"], ["reset", "--yes"]):
        said = run(*verb, DATABASE_URL=ELSEWHERE)
        assert said.returncode == 3
        assert said.stderr.startswith("error: DATABASE_URL is set")
        assert said.stderr.count("\n") == 1
    told = run("status", DATABASE_URL=ELSEWHERE)
    assert "DATABASE_URL is set, so the development server is not used: postgresql://me@db.invalid" in told.stdout
    assert "s3cret" not in told.stdout + run("status", "--format", "json", DATABASE_URL=ELSEWHERE).stdout
    assert run("url", DATABASE_URL=ELSEWHERE).stdout == "postgresql://me:s3cret@db.invalid:6543/shop\n"
    assert run("status").stdout.startswith("state     stopped")

    (project / ".env").write_text(f"DATABASE_URL={ELSEWHERE}\n")
    assert run("start").stderr.startswith("error: DATABASE_URL is set (in the environment or in .env)")


def test_psql_on_database_url_hides_the_password(run: Run, tmp_path: Path) -> None:
    """Everybody can read command lines in `ps`: the password is only in the environment."""
    psql = tmp_path / "programs" / "psql"
    psql.parent.mkdir()
    psql.write_text('#!/bin/sh\nprintf "%s\\n" "$@" "PGPASSWORD=$PGPASSWORD"\n')
    psql.chmod(psql.stat().st_mode | stat.S_IXUSR)
    environment = {"DATABASE_URL": ELSEWHERE, "PATH": f"{psql.parent}:{os.environ['PATH']}"}
    if "PGBIN" in os.environ:
        environment["PGBIN"] = ""
    said = run("psql", "--", "-c", "SELECT 1", **environment)
    assert said.stdout.splitlines() == [
        "--dbname=postgresql://me@db.invalid:6543/shop",
        "-c",
        "SELECT 1",
        "PGPASSWORD=s3cret",
    ]


def test_production_never_uses_the_development_server(run: Run) -> None:
    """ENVIRONMENT=production: nothing is started, stopped or deleted."""
    for verb in (["start"], ["stop"], ["reset", "--yes"], ["url"], ["psql"]):
        said = run(*verb, ENVIRONMENT="production")
        assert said.returncode == 3, said
        assert "ENVIRONMENT=production" in said.stderr
    assert run("status").stdout.startswith("state     stopped")


def test_reset_without_a_terminal_needs_yes(run: Run, project: Path) -> None:
    """A script that does not say --yes deletes nothing."""
    refused = run("reset")
    assert refused.returncode == 2
    assert "add --yes" in refused.stderr
    assert (project / ".postgres/data").exists()
    done = run("reset", "--yes")
    assert done.returncode == 0
    assert done.stdout.startswith(f"Deleted {project}/.postgres/data.")
    assert not (project / ".postgres/data").exists()
    assert run("reset").stdout == "There is nothing to delete.\n"


@pytest.mark.parametrize(("answer", "exists"), [("n", True), ("", True), ("y", False)])
def test_reset_asks_at_a_terminal(run: Run, project: Path, answer: str, exists: bool) -> None:
    """A person is told what is lost and asked; anything but yes keeps it."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*HANDRAIL, "reset"], cwd=project, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while b"[y/N]" not in shown:
        shown += os.read(ours, 4096)
    assert b"every table and row" in shown
    os.write(ours, f"{answer}\n".encode())
    assert process.wait(timeout=60) == (1 if exists else 0)
    os.close(ours)
    assert (project / ".postgres/data").exists() is exists


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colour_only_at_a_terminal_that_wants_it(run: Run, project: Path, no_color: str, coloured: bool) -> None:
    """Colour on a terminal, none with NO_COLOR."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"NO_COLOR": no_color}
    process = subprocess.Popen([*HANDRAIL, "status"], cwd=project, stdout=theirs, env=environment)
    assert process.wait(timeout=60) == 1
    os.close(theirs)
    assert (b"\x1b[" in os.read(ours, 4096)) is coloured
    os.close(ours)


def test_faults_are_one_message_with_their_exit_code(run: Run) -> None:
    """A fault of the server is exit code 8, a wrong setting 3; neither shows a traceback."""
    said = run("start", PGBIN="/nowhere")
    assert said.returncode == 3
    assert said.stderr.startswith("error: PGBIN=/nowhere holds no PostgreSQL server")
    assert "Traceback" not in said.stderr
