"""Processes are killed at any moment; the next start copes, and harms no process that is not its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from handrail.errors import ServerError
from handrail.lock import FileLock
from handrail.postgres import Cluster
from handrail.postgres import cluster as cluster_module
from handrail.postgres import server as server_module
from handrail.postgres.account import server_account
from postgres.clusters import Clusters, address_of, is_alive, postmaster, python, query, start_elsewhere, wait_for

START = """
import sys
from pathlib import Path
from handrail.postgres import development_cluster
print(development_cluster(Path(sys.argv[1])).start(), flush=True)
"""
DIE_WHILE_WAITING = """
import os, signal
from handrail.postgres.server import Server
Server.wait_until_ready = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("fresh", [True, False], ids=["fresh", "initialised"])
def test_of_five_starts_at_once_exactly_one_starts_it(clusters: Clusters, tmp_path: Path, fresh: bool) -> None:
    """Five processes start the same cluster: all succeed, one of them says that it was the one."""
    cluster = clusters.development(tmp_path) if fresh else clusters.initialised(tmp_path)
    outcomes = [process.communicate(timeout=60) for process in [python(START, tmp_path) for _ in range(5)]]
    assert sorted(said for said, _ in outcomes) == ["False\n"] * 4 + ["True\n"], outcomes
    assert query(cluster, "SELECT 1") == "1"


def test_server_survives_the_kill_of_its_starter(clusters: Clusters, tmp_path: Path) -> None:
    """Kill -9 of the process that started it: the server goes on, and the next start adopts it."""
    cluster = clusters.initialised(tmp_path)
    starter = start_elsewhere(tmp_path)
    pid = postmaster(cluster)
    os.killpg(starter.pid, signal.SIGKILL)
    starter.communicate()

    assert cluster.start() is False
    assert postmaster(cluster) == pid
    assert query(cluster, "SELECT 1") == "1"


@pytest.mark.parametrize("zombie_of", ["ourselves", "another process"])
def test_killed_server_is_started_again_at_once(clusters: Clusters, tmp_path: Path, zombie_of: str) -> None:
    """Kill -9 of the server leaves pid, socket and lock files and, until somebody looks, a zombie. Nothing is lost."""
    cluster = clusters.initialised(tmp_path)
    starter = None
    if zombie_of == "ourselves":
        cluster.start()
    else:
        starter = start_elsewhere(tmp_path)
    query(cluster, "CREATE TABLE kept AS SELECT 42 AS answer")
    pid = postmaster(cluster)
    os.kill(pid, signal.SIGKILL)
    assert (cluster.layout.data / "postmaster.pid").exists()
    assert address_of(cluster).lock_file.exists()

    assert cluster.start() is True
    assert query(cluster, "SELECT answer FROM kept") == "42"
    if starter:
        starter.communicate()


def test_killed_server_with_a_busy_worker(clusters: Clusters, tmp_path: Path) -> None:
    """A backend of the killed server is still computing: the start waits for its end, and does not fail on it."""
    cluster = clusters.initialised(tmp_path)
    cluster.start()
    busy = "DO $$ BEGIN FOR i IN 1..10 LOOP PERFORM count(*) FROM generate_series(1, 2000000); END LOOP; END $$"
    client = subprocess.Popen([*cluster.psql(), "-c", busy], stderr=subprocess.DEVNULL)
    wait_for(lambda: query(cluster, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO %'") == "1")
    os.kill(postmaster(cluster), signal.SIGKILL)
    assert cluster.start() is True
    assert query(cluster, "SELECT 1") == "1"
    client.wait(timeout=60)


def write_stale_files(cluster: Cluster, pid: int) -> None:
    """Leave what a killed server leaves, with this pid in it."""
    address = address_of(cluster)
    address.prepare()
    address.lock_file.write_text(f"{pid}\n{cluster.layout.data}\n1700000000\n5432\n{address.directory}\n")
    address.socket.touch()
    pid_file = cluster.layout.data / "postmaster.pid"
    pid_file.write_text(
        f"{pid}\n{cluster.layout.data}\n1700000000\n5432\n{address.directory}\n\n  1 1\nready   \n", encoding="utf-8"
    )
    if os.geteuid() == 0:
        for path in (pid_file, address.lock_file, address.socket):
            os.chown(path, address.account.uid, address.account.gid)


@pytest.mark.parametrize("standing", ["elsewhere", "in the data directory"])
def test_foreign_process_with_the_pid_of_a_dead_server(
    clusters: Clusters, tmp_path: Path, sleeper: Callable[..., int], standing: str
) -> None:
    """The pid in the stale files is now another program of the same account: it is not touched, and we start."""
    cluster = clusters.initialised(tmp_path)
    account = server_account(cluster.layout.data)
    pid = sleeper(account, cwd="/" if standing == "elsewhere" else cluster.layout.data)
    write_stale_files(cluster, pid)

    assert cluster.status().state == "stopped"
    assert cluster.stop() is False
    assert cluster.start() is True
    assert cluster.stop() is True
    assert is_alive(pid)


def test_another_projects_server_with_the_pid_of_a_dead_one(clusters: Clusters, tmp_path: Path) -> None:
    """The pid in the stale files is now the server of another project: it goes on, and ours starts beside it."""
    ours, other = clusters.initialised(tmp_path / "ours"), clusters.initialised(tmp_path / "other")
    other.start()
    pid = postmaster(other)
    write_stale_files(ours, pid)
    assert ours.stop() is False
    assert ours.start() is True
    assert ours.stop() is True
    assert postmaster(other) == pid
    assert query(other, "SELECT 1") == "1"


def test_killed_during_initialisation(clusters: Clusters, tmp_path: Path) -> None:
    """Kill -9 in the middle of initdb leaves no data directory; the next start removes the rest and succeeds."""
    cluster = clusters.development(tmp_path)
    unfinished = cluster.layout.sibling("new")
    starter = python(START, tmp_path)
    wait_for((unfinished / "base").exists)
    starter.kill()
    starter.communicate()
    assert not cluster.layout.data.exists()

    assert cluster.start() is True
    assert not unfinished.exists()
    assert query(cluster, "SELECT current_database()") == "development"


def test_initialisation_that_goes_on_without_its_starter(clusters: Clusters, tmp_path: Path) -> None:
    """The starter was killed but its initdb is still at work: the next start waits for it instead of disturbing it."""
    cluster = clusters.development(tmp_path)
    starter = python(START, tmp_path)
    wait_for((cluster.layout.sibling("new") / "base").exists)
    children = subprocess.run(["ps", "-A", "-o", "ppid=,pid="], capture_output=True, text=True, check=True).stdout
    initdb = next(int(child) for parent, child in map(str.split, children.splitlines()) if int(parent) == starter.pid)
    os.kill(initdb, signal.SIGSTOP)
    starter.kill()
    starter.communicate()

    next_one = python(START, tmp_path)
    time.sleep(0.5)
    waited = next_one.poll() is None
    os.kill(initdb, signal.SIGCONT)
    assert next_one.communicate(timeout=60)[0] == "True\n"
    assert waited


def test_killed_right_after_launching_the_server(clusters: Clusters, tmp_path: Path) -> None:
    """The starter dies before the server is ready: the next start waits for that server instead of launching two."""
    cluster = clusters.initialised(tmp_path)
    starter = python(DIE_WHILE_WAITING + START, tmp_path)
    starter.communicate()
    assert starter.returncode == -signal.SIGKILL
    assert cluster.start() is False
    assert query(cluster, "SELECT 1") == "1"


def test_server_started_with_pg_ctl_is_recognised(clusters: Clusters, tmp_path: Path) -> None:
    """A server that somebody started on our data without us holds no lock of ours; it is stopped all the same."""
    cluster = clusters.initialised(tmp_path)
    cluster.start()
    cluster.layout.alive.unlink()
    pid = postmaster(cluster)
    assert cluster.start() is False
    cluster.layout.record.unlink()
    assert cluster.start() is False
    assert cluster.stop() is True
    assert not is_alive(pid)


def test_waiting_for_another_start_is_bounded(
    clusters: Clusters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody holds the lock for ever: after the bound there is a message that names the file."""
    cluster = clusters.initialised(tmp_path)
    monkeypatch.setattr(cluster_module, "LOCK_SECONDS", 0.1)
    with FileLock(cluster.layout.lock) as lock:
        assert lock.acquire()
        with pytest.raises(ServerError, match=f"lsof {cluster.layout.lock}"):
            cluster.start()


def test_data_in_use_out_of_reach(clusters: Clusters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's lock is held but its process is nowhere to be seen, as from another container: nothing starts."""
    cluster = clusters.initialised(tmp_path)
    monkeypatch.setattr(server_module, "START_SECONDS", 0.1)
    with FileLock(cluster.layout.alive) as alive:
        assert alive.acquire()
        with pytest.raises(ServerError, match="another container shares the folder"):
            cluster.start()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_stopped_server_leaves_no_zombie(clusters: Clusters, tmp_path: Path) -> None:
    """A server that was our own child is taken leave of properly."""
    cluster = clusters.initialised(tmp_path)
    cluster.start()
    pid = postmaster(cluster)
    cluster.stop()
    assert not Path(f"/proc/{pid}").exists()
