"""Throwaway databases go away, and nothing else does."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from handrail.scratch import OWNER_COMMENT, PREFIX, ScratchServer, new_name


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


def test_what_a_dead_process_left_is_swept(server: ScratchServer) -> None:
    """As after kill -9; databases of living processes and without our comment stay."""
    script = "import os, sys; print(os.getpid())"
    dead = int(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)
    orphan, mine, named_like_ours = new_name() + "_orphan", server.create(), f"{PREFIX}{os.getpid()}_of_a_person"
    server.execute(f"CREATE DATABASE {orphan}", f"CREATE DATABASE {named_like_ours}")
    comment = server.scalar("SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = :n", n=mine)
    assert comment == OWNER_COMMENT.format(pid=os.getpid(), host=comment.rpartition(" ")[2])
    server.execute(f"COMMENT ON DATABASE {orphan} IS '{comment.replace(str(os.getpid()), str(dead))}'")

    server.sweep()

    assert not exists(server, orphan)
    assert exists(server, mine)
    assert exists(server, named_like_ours)
    server.drop(mine)
    server.execute(f"DROP DATABASE {named_like_ours}")
