"""Files are moved, deleted and damaged under a server; the next start puts it right or says what is wrong."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from handrail.errors import ServerError
from handrail.postgres import Cluster
from handrail.postgres import server as server_module
from postgres.clusters import Clusters, address_of, is_alive, postmaster, query


@pytest.mark.parametrize("content", ["", "rubbish\n", "-17\n/data\n", "999999999999999999999\n"])
def test_damaged_pid_file(clusters: Clusters, tmp_path: Path, content: str) -> None:
    """A pid file that says nothing is no obstacle once no process of the server is left."""
    cluster = clusters.initialised(tmp_path)
    (cluster.layout.data / "postmaster.pid").write_text(content)
    assert cluster.status().state == "stopped"
    assert cluster.start() is True


def test_folder_deleted_under_the_running_server(clusters: Clusters, tmp_path: Path) -> None:
    """`rm -r .postgres` while the server runs: the old server is ended, a new cluster takes its address."""
    cluster = clusters.initialised(tmp_path)
    cluster.start()
    old = postmaster(cluster)
    shutil.rmtree(cluster.layout.folder)
    assert cluster.start() is True
    assert postmaster(cluster) != old
    assert not is_alive(old)
    assert query(cluster, "SELECT current_database()") == "development"


def test_stop_ends_a_server_whose_folder_was_deleted(clusters: Clusters, tmp_path: Path) -> None:
    """After `rm -r .postgres` there is no pid file, but `stop` still finds the server by its address."""
    cluster = clusters.initialised(tmp_path)
    cluster.start()
    old = postmaster(cluster)
    shutil.rmtree(cluster.layout.folder)
    assert cluster.stop() is True
    assert not is_alive(old)


def test_two_running_projects_swap_places(clusters: Clusters, tmp_path: Path) -> None:
    """Each server listens where the other one is looked for: both are put right, and nobody gets the other's data."""
    one, two = clusters.initialised(tmp_path / "one"), clusters.initialised(tmp_path / "two")
    for cluster in (one, two):
        cluster.start()
        query(cluster, f"CREATE TABLE was_{cluster.layout.root.name} (id int)")
    old = [postmaster(one), postmaster(two)]
    (tmp_path / "one").rename(tmp_path / "aside")
    (tmp_path / "two").rename(tmp_path / "one")
    (tmp_path / "aside").rename(tmp_path / "two")

    assert one.start() is True
    assert two.start() is True
    assert query(one, "SELECT to_regclass('was_two')") == "was_two"
    assert query(two, "SELECT to_regclass('was_one')") == "was_one"
    assert not any(is_alive(pid) for pid in old)


def test_socket_deleted_under_the_running_server(clusters: Clusters, tmp_path: Path) -> None:
    """Somebody tidied up /tmp: nobody can reach the server any more, so the next start replaces it."""
    cluster = clusters.initialised(tmp_path)
    cluster.start()
    query(cluster, "CREATE TABLE kept (id int)")
    shutil.rmtree(address_of(cluster).directory)
    assert cluster.status().state == "stopped"
    assert cluster.start() is True
    assert query(cluster, "SELECT to_regclass('kept')") == "kept"


def test_server_that_cannot_start_says_why(clusters: Clusters, tmp_path: Path) -> None:
    """A setting that PostgreSQL refuses ends the start at once, with the words from the log in the message."""
    cluster = clusters.initialised(tmp_path)
    with (cluster.layout.data / "postgresql.conf").open("a") as conf:
        conf.write("shared_buffers = 'a lot'\n")
    with pytest.raises(ServerError, match=r"(?s)ended while it was starting.*invalid value.*shared_buffers"):
        cluster.start()
    assert not address_of(cluster).directory.exists()


def test_full_server_counts_as_running(clusters: Clusters, tmp_path: Path) -> None:
    """All connections are taken: the server runs, so the start returns False and whoever connects is told."""
    cluster = clusters.initialised(tmp_path)
    with (cluster.layout.data / "postgresql.conf").open("a") as conf:
        conf.write("max_connections = 2\nsuperuser_reserved_connections = 0\nmax_wal_senders = 0\n")
    cluster.start()
    held = [connected_client(cluster) for _ in range(2)]
    assert subprocess.run([*cluster.psql(), "-c", ""], capture_output=True, check=False).returncode != 0
    assert cluster.start() is False
    assert cluster.stop() is True
    for client in held:
        client.communicate(timeout=20)


def connected_client(cluster: Cluster) -> subprocess.Popen[str]:
    """Return a psql that has connected and stays."""
    pipe = subprocess.PIPE
    client = subprocess.Popen([*cluster.psql(), "-X"], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write("\\echo connected\n")
    client.stdin.flush()
    assert client.stdout.readline() == "connected\n"
    return client


def test_log_is_put_aside_when_it_has_grown(
    clusters: Clusters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log does not grow for ever: a large one is renamed at the next start, and one old one is kept."""
    monkeypatch.setattr(server_module, "LOG_BYTES", 100)
    cluster = clusters.initialised(tmp_path)
    cluster.layout.log.write_text("old\n" * 100)
    cluster.start()
    assert "old" not in cluster.layout.log.read_text()
    assert cluster.layout.log.with_name("data.log.old").read_text().startswith("old")
