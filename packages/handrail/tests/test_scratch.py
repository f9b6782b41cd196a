"""Throwaway databases go away, and nothing else does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from handrail.config import Project
from handrail.scratch import (
    HISTORY_COMMENT,
    OWNER_COMMENT,
    ScratchServer,
    new_name,
    scratch_database_url,
    whereabouts,
)


def exists(server: ScratchServer, name: str) -> bool:
    return bool(server.scalar("SELECT count(*) FROM pg_database WHERE datname = :name", name=name))


@pytest.fixture
def server(handrail_scratch: ScratchServer) -> ScratchServer:
    """A second view on the server, which has created nothing yet."""
    return ScratchServer(handrail_scratch.url)


def test_created_and_dropped(server: ScratchServer) -> None:
    name = server.create()
    assert exists(server, name)
    assert server.scalar("SELECT current_database()", database=name) == name

    server.drop(name)
    assert not exists(server, name)


def test_dropped_although_somebody_is_connected(server: ScratchServer) -> None:
    name = server.create()
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(server.url_of(name)) as connection:
        server.drop(name)
        assert not exists(server, name)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_a_copy_has_the_rows_of_its_template(server: ScratchServer) -> None:
    template = server.create()
    server.execute("CREATE TABLE t AS SELECT 7 AS n", database=template)

    copy = server.create(template=template)

    assert server.scalar("SELECT n FROM t", database=copy) == 7
    server.drop(copy)
    server.drop(template)


def test_what_somebody_else_created_is_never_dropped(server: ScratchServer, empty_database: str) -> None:
    name = empty_database.rpartition("/")[2].partition("?")[0]

    server.drop(name)

    assert exists(server, name)


@pytest.fixture
def dead() -> int:
    """The pid of a process that has ended."""
    script = "import os; print(os.getpid())"
    return int(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)


@pytest.fixture
def leave(server: ScratchServer) -> Iterator[Callable[..., str]]:
    """A function that makes a database with a comment, as somebody else left it behind.

    Runs beside this one sweep as well, so the comment comes last.
    """
    names: list[str] = []

    def create(comment: str | None, option: str = "") -> str:
        names.append(name := new_name())
        server.execute(f"CREATE DATABASE {name} TEMPLATE template0 {option}")
        if comment is not None:
            server.execute(f"COMMENT ON DATABASE {name} IS '{comment}'")
        return name

    yield create
    for name in names:
        server.execute(f"DROP DATABASE IF EXISTS {name}")


@pytest.fixture
def ordinary(server: ScratchServer) -> Iterator[ScratchServer]:
    """The server as a role sees it that may create databases, and nothing else."""
    role = new_name()
    server.execute(f"CREATE ROLE {role} LOGIN CREATEDB PASSWORD 'secret'")
    yield ScratchServer(server.url.set(username=role, password="secret"))
    server.execute(f"DROP ROLE {role}")


def owner_comment(pid: int, **elsewhere: str) -> str:
    return OWNER_COMMENT.format(pid=pid, **(whereabouts() | elsewhere))


def test_what_a_dead_process_left_is_swept(server: ScratchServer, leave: Callable[..., str], dead: int) -> None:
    """As after kill -9; databases of living processes and without our comment stay."""
    orphan, named_like_ours, mine = leave(owner_comment(dead)), leave(None), server.create()
    comment = server.scalar("SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = :n", n=mine)
    assert comment == owner_comment(os.getpid())

    server.sweep()

    assert not exists(server, orphan)
    assert exists(server, mine)
    assert exists(server, named_like_ours)
    server.drop(mine)


@pytest.mark.parametrize("elsewhere", [{"host": "another"}, {"namespace": "pid:[1]"}])
def test_a_process_that_cannot_be_seen_from_here_counts_as_alive(
    server: ScratchServer, leave: Callable[..., str], dead: int, elsewhere: dict[str, str]
) -> None:
    """A container counts its processes for itself, and may have the name of its host."""
    name = leave(owner_comment(dead, **elsewhere))

    server.sweep()

    assert exists(server, name)


@pytest.mark.skipif(whereabouts()["boot"] == "unknown", reason="nothing here tells one boot from another")
def test_no_process_outlives_a_boot(server: ScratchServer, leave: Callable[..., str]) -> None:
    """Its pid may be somebody else's by now, in whatever namespace."""
    name = leave(owner_comment(os.getpid(), boot="an-earlier-one", namespace="pid:[1]"))

    server.sweep()

    assert not exists(server, name)


def test_one_that_cannot_be_dropped_does_not_keep_the_others(
    server: ScratchServer, leave: Callable[..., str], dead: int
) -> None:
    stuck = leave(owner_comment(dead), "IS_TEMPLATE true")
    orphans = [leave(owner_comment(dead)) for _ in range(2)]

    server.sweep()

    server.execute(f"ALTER DATABASE {stuck} IS_TEMPLATE false")
    assert not any(exists(server, orphan) for orphan in orphans)


def test_what_another_role_left_is_not_ours(
    server: ScratchServer, ordinary: ScratchServer, leave: Callable[..., str], dead: int
) -> None:
    theirs, own = leave(owner_comment(dead)), ordinary.create()
    ordinary.execute(f"COMMENT ON DATABASE {own} IS '{owner_comment(dead)}'")

    ordinary.sweep()

    assert exists(server, theirs)
    assert not exists(server, own)


def test_histories_of_deleted_projects_are_swept(
    server: ScratchServer, leave: Callable[..., str], tmp_path: Path
) -> None:
    """Only where the folder would be, and not one that somebody is reading."""
    psycopg = pytest.importorskip("psycopg")
    host = socket.gethostname()
    gone, present = tmp_path / "gone on the disk", tmp_path
    deleted, in_use = leave(HISTORY_COMMENT.format(root=gone, host=host)), leave(None)
    living = leave(HISTORY_COMMENT.format(root=present, host=host))
    elsewhere = leave(HISTORY_COMMENT.format(root=gone, host="another"))

    with psycopg.connect(server.url_of(in_use)) as connection:
        server.execute(f"COMMENT ON DATABASE {in_use} IS '{HISTORY_COMMENT.format(root=gone, host=host)}'")
        server.sweep()
        connection.execute("SELECT 1")

    assert [exists(server, name) for name in (deleted, living, elsewhere)] == [False, True, True]


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_a_percent_sign_is_no_parameter(server: ScratchServer, driver: str) -> None:
    pytest.importorskip(driver)
    other = ScratchServer(server.url.set(drivername=f"postgresql+{driver}"))

    other.execute("DO $$ BEGIN ASSERT format('%s', 1) = '1'; END $$")


@pytest.mark.parametrize("scratch_url", [None, "postgresql+psycopg://somebody@localhost:1/postgres"])
def test_the_url_is_known_before_the_server_runs(tmp_path: Path, scratch_url: str | None) -> None:
    project = Project(tmp_path, "shop.base:Base", scratch_url=scratch_url)

    url = scratch_database_url(project, "later")

    assert url.startswith("postgresql://")
    assert make_url(url).database == "later"
    assert not list(tmp_path.iterdir())
