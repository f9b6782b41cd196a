"""The scratch server is shared by whoever uses it, and gone when nobody does."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from handrail.errors import ServerError
from handrail.postgres import Cluster
from handrail.postgres import record as record_module
from handrail.postgres.binaries import DEBIAN, newest_first
from postgres.clusters import Clusters, is_alive, postmaster, python, query

USE = """
import sys
from pathlib import Path
from handrail.postgres import scratch_cluster
cluster = scratch_cluster(Path(sys.argv[1]))
with cluster.use():
    print(cluster.status().pid, flush=True)
    sys.stdin.readline()
print(cluster.status().state, flush=True)
"""


def user(root: Path) -> tuple[subprocess.Popen[str], int]:
    """Return a process that uses the scratch server until it gets a line, and the pid of the server."""
    process = python(USE, root)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def leave(process: subprocess.Popen[str]) -> str:
    """Let a user go, and return the state of the server that it saw afterwards."""
    said, error = process.communicate("\n", timeout=60)
    assert process.returncode == 0, error
    return said.strip()


@pytest.fixture
def cluster(clusters: Clusters, tmp_path: Path) -> Cluster:
    return clusters.scratch(tmp_path)


def test_nothing_runs_before_the_first_use(cluster: Cluster) -> None:
    """Looking at the URL or the status starts nothing."""
    cluster.url()
    assert cluster.status().state == "absent"
    with cluster.use() as used:
        assert used.status().state == "running"
    assert cluster.status().state == "stopped"


def test_settings_are_for_throwing_away(cluster: Cluster) -> None:
    """Nothing waits for a disk, and many test processes can connect."""
    with cluster.use():
        names = ("fsync", "synchronous_commit", "full_page_writes", "autovacuum")
        assert {query(cluster, f"SHOW {name}") for name in names} == {"off"}
        assert query(cluster, "SHOW wal_level") == "minimal"
        assert int(query(cluster, "SHOW max_connections")) >= 200


def test_last_user_stops_the_server(cluster: Cluster, tmp_path: Path) -> None:
    """Three processes share one server; it goes on while one of them is left, whatever the order."""
    (first, pid), (second, same), (third, too) = user(tmp_path), user(tmp_path), user(tmp_path)
    assert pid == same == too
    assert leave(second) == "running"
    assert leave(first) == "running"
    assert is_alive(pid)
    assert leave(third) == "stopped"
    assert not is_alive(pid)


def test_users_that_start_and_leave_together(tmp_path: Path, cluster: Cluster) -> None:
    """Five at once: all get a server, and none is left over."""
    processes = [python(USE, tmp_path) for _ in range(5)]
    outcomes = [process.communicate("\n", timeout=60) for process in processes]
    assert all(process.returncode == 0 for process in processes), outcomes
    assert cluster.status().state == "stopped"


def test_killed_user_does_not_count(cluster: Cluster, tmp_path: Path) -> None:
    """One user is killed: the other one is the last and stops the server."""
    (killed, pid), (other, _) = user(tmp_path), user(tmp_path)
    killed.kill()
    killed.communicate()
    assert is_alive(pid)
    assert leave(other) == "stopped"
    assert not is_alive(pid)


def test_server_of_killed_users_is_used_and_stopped_by_the_next(cluster: Cluster, tmp_path: Path) -> None:
    """The only user is killed and leaves a server behind: the next one takes it over and stops it."""
    killed, pid = user(tmp_path)
    killed.kill()
    killed.communicate()
    with cluster.use():
        assert postmaster(cluster) == pid
    assert not is_alive(pid)


def test_uses_inside_each_other(cluster: Cluster) -> None:
    """In one process, too, only the outermost use stops the server; also when it ends with an error."""
    with suppress(ZeroDivisionError), cluster.use():
        with cluster.use():
            pass
        assert cluster.status().state == "running"
        raise ZeroDivisionError
    assert cluster.status().state == "stopped"


def test_after_a_crash_of_the_machine_it_starts_empty(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without fsync the data is made anew when the machine went down under the server; else it is kept."""
    with cluster.use():
        query(cluster, "CREATE TABLE kept (id int)")
    with cluster.use():
        assert query(cluster, "SELECT to_regclass('kept')") == "kept"
        os.kill(postmaster(cluster), signal.SIGKILL)
    with cluster.use():
        assert query(cluster, "SELECT to_regclass('kept')") == "kept"
        os.kill(postmaster(cluster), signal.SIGKILL)
    monkeypatch.setattr(record_module, "boot_id", lambda: "the next one")
    with cluster.use():
        assert query(cluster, "SELECT to_regclass('kept') IS NULL") == "t"


@pytest.mark.skipif(not newest_first(DEBIAN), reason="needs a second PostgreSQL")
def test_another_version_starts_empty(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests run with another PostgreSQL: no error, and not the old server that a killed run left behind."""
    monkeypatch.delenv("PGBIN", raising=False)
    killed, pid = user(tmp_path)
    killed.kill()
    killed.communicate()
    monkeypatch.setenv("PGBIN", str(newest_first(DEBIAN)[0]))
    with cluster.use():
        assert not is_alive(pid)
        assert query(cluster, "SHOW server_version").startswith(newest_first(DEBIAN)[0].parent.name)


def test_beside_the_development_cluster(cluster: Cluster, clusters: Clusters, tmp_path: Path) -> None:
    """Both live in one folder and know nothing of each other."""
    development = clusters.initialised(tmp_path)
    development.start()
    with cluster.use():
        assert cluster.url() != development.url()
    assert development.status().state == "running"
    assert cluster.reset() is True
    assert query(development, "SELECT 1") == "1"


@pytest.mark.skipif(not newest_first(DEBIAN), reason="needs a second PostgreSQL")
def test_another_version_while_in_use(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of one version run while others want another one: those are told to wait, and disturb nobody."""
    monkeypatch.delenv("PGBIN", raising=False)
    with cluster.use():
        if cluster.layout.version() == newest_first(DEBIAN)[0].parent.name:
            pytest.skip("both are of the same version")
        pid = postmaster(cluster)
        monkeypatch.setenv("PGBIN", str(newest_first(DEBIAN)[0]))
        with pytest.raises(ServerError, match="wait for the tests that use it to end"), cluster.use():
            pass
        assert is_alive(pid)


def test_folder_deleted_during_use(cluster: Cluster) -> None:
    """Somebody deletes `.postgres/` while tests run: at their end nothing is left over."""
    with cluster.use():
        pid = postmaster(cluster)
        shutil.rmtree(cluster.layout.folder)
    assert not is_alive(pid)
