"""Where a cluster cannot or must not be touched, a message says why and what to do, and nothing is lost."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from handrail.errors import ServerError
from handrail.postgres import Cluster
from handrail.postgres.binaries import DEBIAN, newest_first
from postgres.clusters import Clusters, address_of, end, python, query

AS_ROOT = os.geteuid() == 0
DEBIANS = newest_first(DEBIAN)

START = """
import sys
from pathlib import Path
from handrail.errors import HandrailError
from handrail.postgres import development_cluster
try:
    print(development_cluster(Path(sys.argv[1])).start())
except HandrailError as error:
    print(type(error).__name__, error)
"""


def contents(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def refused(cluster: Cluster, why: str) -> str:
    """Assert that the cluster does not start, for this reason and changing nothing, and return the message."""
    before = contents(cluster.layout.data)
    with pytest.raises(ServerError, match=why) as caught:
        cluster.start()
    assert contents(cluster.layout.data) == before
    return str(caught.value)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 30 MB, which is too small for a cluster."""
    if not AS_ROOT:
        pytest.skip("only root can mount one; the test with a limit on the size of files runs for everybody")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=30m", "none", disk], check=True)
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_full_disk_at_initialisation(clusters: Clusters, small_disk: Path) -> None:
    """The disk fills up during initdb: the message says so, and the space is given back."""
    cluster = clusters.development(small_disk)
    with pytest.raises(ServerError, match=r"the disk is full.*No space left on device.*df -h"):
        cluster.start()
    assert not cluster.layout.data.exists()
    assert not cluster.layout.sibling("new").exists()
    assert shutil.disk_usage(small_disk).used < 1_000_000


def test_full_disk_at_start(clusters: Clusters, small_disk: Path, tmp_path: Path) -> None:
    """The disk fills up later: the message says so; with some space the data is there again."""
    subprocess.run(["mount", "-o", "remount,size=60m", small_disk], check=True)
    cluster = clusters.initialised(small_disk)
    cluster.start()
    query(cluster, "CREATE TABLE kept (id int)")
    cluster.stop()
    ballast = small_disk / "ballast"
    subprocess.run(["dd", "if=/dev/zero", f"of={ballast}", "bs=4k"], check=False, stderr=subprocess.DEVNULL)
    assert shutil.disk_usage(small_disk).free == 0
    with pytest.raises(ServerError, match=r"the disk is full.*No space left on device"):
        cluster.start()
    ballast.unlink()
    assert cluster.start() is True
    assert query(cluster, "SELECT to_regclass('kept')") == "kept"


def test_files_may_not_grow(clusters: Clusters, tmp_path: Path) -> None:
    """A real limit for everybody: files of at most 1 MB, too little for the log that PostgreSQL writes ahead."""
    cluster = clusters.development(tmp_path)
    process = python(START, tmp_path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20)))
    said, _ = process.communicate(timeout=60)
    assert said.startswith("ServerError the disk is full"), said
    assert "File too large" in said
    assert not cluster.layout.data.exists()
    assert not cluster.layout.sibling("new").exists()


def test_read_only_folder(clusters: Clusters, tmp_path: Path) -> None:
    """A project that cannot be written to: the message names the folder and the way without it."""
    project = tmp_path / "project"
    project.mkdir()
    cluster = clusters.development(project)
    if AS_ROOT:
        subprocess.run(["mount", "--bind", project, project], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", project], check=True)
    else:
        project.chmod(0o555)
    try:
        with pytest.raises(ServerError, match=rf"cannot write.*{project}.*DATABASE_URL="):
            cluster.start()
        assert cluster.status().state == "absent"
        assert cluster.stop() is False
    finally:
        if AS_ROOT:
            subprocess.run(["umount", "-l", project], check=True)
        else:
            project.chmod(0o755)


def test_data_of_another_major_version(clusters: Clusters, tmp_path: Path) -> None:
    """Data of a version that our programs cannot read is left alone; both versions and the ways out are named."""
    cluster = clusters.initialised(tmp_path)
    (cluster.layout.data / "PG_VERSION").write_text("13\n")
    message = refused(cluster, "was made by PostgreSQL 13, and the programs found")
    assert "export PGBIN=/usr/lib/postgresql/13/bin" in message
    assert "handrail db reset" in message


@pytest.mark.skipif(not DEBIANS, reason="needs a second PostgreSQL")
def test_running_server_of_another_major_version(
    clusters: Clusters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PGBIN is changed while a server of another version runs: nobody silently works with the wrong one."""
    monkeypatch.delenv("PGBIN", raising=False)
    cluster = clusters.development(tmp_path)
    cluster.start()
    if (cluster.layout.data / "PG_VERSION").read_text().strip() == DEBIANS[0].parent.name:
        pytest.skip("both are of the same version")
    monkeypatch.setenv("PGBIN", str(DEBIANS[0]))
    with pytest.raises(ServerError, match=r"is running with PostgreSQL .*`unset PGBIN`"):
        cluster.start()
    assert cluster.status().state == "running"


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_data_without_its_version_is_never_deleted(clusters: Clusters, tmp_path: Path, damage: str) -> None:
    """PG_VERSION is gone or rubbish: whatever it is, it is somebody's data."""
    cluster = clusters.initialised(tmp_path)
    version = cluster.layout.data / "PG_VERSION"
    version.unlink() if damage == "missing" else version.write_text("\0\0")
    message = refused(cluster, "PG_VERSION is missing or damaged")
    assert f"mv {cluster.layout.data} {cluster.layout.data}.saved" in message
    with pytest.raises(ServerError, match="is not deleted, because it is no PostgreSQL data directory"):
        cluster.reset()


def test_foreign_files_are_never_deleted(clusters: Clusters, tmp_path: Path) -> None:
    """Somebody keeps something else at this path: neither start nor reset touches it, in either cluster."""
    for cluster in (clusters.development(tmp_path), clusters.scratch(tmp_path)):
        cluster.layout.data.mkdir(parents=True)
        (cluster.layout.data / "thesis.tex").write_text("only copy")
        refused(cluster, "holds files but is no PostgreSQL data directory")
        with pytest.raises(ServerError, match="is not deleted"):
            cluster.reset()
        assert (cluster.layout.data / "thesis.tex").read_text() == "only copy"


def test_empty_data_directory_is_used(clusters: Clusters, tmp_path: Path) -> None:
    """An empty directory, as a volume leaves it, counts as none."""
    cluster = clusters.development(tmp_path)
    cluster.layout.data.mkdir(parents=True)
    assert cluster.status().state == "absent"
    assert cluster.reset() is False
    assert cluster.start() is True


def test_cluster_of_somebody_else_is_left_alone(clusters: Clusters, tmp_path: Path) -> None:
    """A data directory that handrail did not make (a container's volume, say) is neither started nor deleted."""
    cluster = clusters.initialised(tmp_path)
    cluster.layout.marker.unlink()
    refused(cluster, "handrail did not make")
    with pytest.raises(ServerError, match="because handrail did not make it"):
        cluster.reset()
    assert cluster.layout.version()


@pytest.mark.parametrize("link", ["data", "folder"])
def test_reset_does_not_follow_links(clusters: Clusters, tmp_path: Path, link: str) -> None:
    """The data of another project is reached through a link: it is not ours to delete."""
    other = clusters.initialised(tmp_path / "other")
    ours = clusters.development(tmp_path / "ours")
    ours.layout.root.mkdir()
    if link == "folder":
        ours.layout.folder.symlink_to(other.layout.folder)
    else:
        ours.layout.folder.mkdir()
        ours.layout.data.symlink_to(other.layout.data)
    with pytest.raises(ServerError, match="symbolic link"):
        ours.reset()
    assert other.layout.version()
    end(ours)


def test_scratch_data_is_not_a_development_cluster(clusters: Clusters, tmp_path: Path) -> None:
    """The marker names the cluster: data that was moved to the other's place is not deleted either."""
    cluster = clusters.initialised(tmp_path)
    cluster.layout.data.rename(tmp_path / ".postgres" / "scratch")
    with pytest.raises(ServerError, match="handrail did not make it"):
        clusters.scratch(tmp_path).reset()


def test_socket_directory_made_by_somebody_before(clusters: Clusters, tmp_path: Path) -> None:
    """In /tmp everybody can put a link where our socket directory belongs: we do not walk into it."""
    cluster = clusters.initialised(tmp_path)
    trap = tmp_path / "trap"
    trap.mkdir()
    address_of(cluster).directory.symlink_to(trap)
    refused(cluster, "somebody else made it.*rm -r")
    assert list(trap.iterdir()) == []


def test_project_that_does_not_exist(clusters: Clusters, tmp_path: Path) -> None:
    """A wrong root is not created on the way."""
    with pytest.raises(ServerError, match="does not exist"):
        clusters.development(tmp_path / "typo").start()
    assert not (tmp_path / "typo").exists()


def test_folder_of_another_account(clusters: Clusters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`.postgres/` belongs to somebody else (root started it once): every verb says whose it is and what to do."""
    cluster = clusters.initialised(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    for verb in (cluster.start, cluster.stop, cluster.status, cluster.reset):
        with pytest.raises(
            ServerError, match=rf"belongs to \w+, and you are uid 4321.*sudo rm -r {tmp_path}/.postgres"
        ):
            verb()
