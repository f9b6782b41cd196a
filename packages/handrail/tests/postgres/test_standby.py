"""On a standby handrail looks, and changes nothing: a streaming replica of a migrated database."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from faults.shop import revision
from handrail.postgres import Cluster
from postgres.clusters import Clusters, address_of, query
from small_project import SmallProject, write_project

TABLE = "CREATE TABLE shop.goods (id int PRIMARY KEY, name text)"


def standby_of(primary: Cluster, clusters: Clusters, root: Path) -> Cluster:
    """Copy a stopped cluster, let the copy follow it, and start both."""
    root.mkdir()
    subprocess.run(["cp", "-a", primary.layout.folder, root], check=True)
    standby = clusters.development(root)
    with (standby.layout.data / "postgresql.auto.conf").open("a", encoding="utf-8") as settings:
        settings.write(f"primary_conninfo = 'host={address_of(primary).directory} user=postgres'\n")
    (standby.layout.data / "standby.signal").touch()
    primary.start()
    standby.start()
    return standby


def catch_up(primary: Cluster, standby: Cluster) -> None:
    """Wait until the standby has all that the primary has written."""
    written = query(primary, "SELECT pg_current_wal_lsn()")
    # Its own statement waits, and no clock of ours.
    query(
        standby,
        f"DO $$ BEGIN WHILE pg_last_wal_replay_lsn() < '{written}' LOOP PERFORM pg_sleep(0.01); END LOOP; END $$",
    )


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    project = write_project(tmp_path / "project", "postgresql:///none")
    revision(project, "r1", None, f'op.execute("{TABLE}")', 'op.execute("DROP TABLE shop.goods")')
    return project


def test_status_and_drift_look_at_a_standby(clusters: Clusters, tmp_path: Path, project: SmallProject) -> None:
    """Which has the rows of the primary's catalogs as they are, so that nothing is read in vain; an upgrade refuses."""
    primary = clusters.initialised(tmp_path / "primary")
    standby = standby_of(primary, clusters, tmp_path / "standby")
    migrated = project.alembic("upgrade", "head", DATABASE_URL=primary.url())
    assert migrated.returncode == 0, migrated.stdout + migrated.stderr
    catch_up(primary, standby)
    project.environment["DATABASE_URL"] = standby.url()

    assert query(standby, "SELECT pg_is_in_recovery()") == "t"
    clean = project.handrail("drift")
    status = json.loads(project.handrail("status", "--format", "json").stdout)
    query(primary, "ALTER TABLE shop.goods ADD COLUMN price int")
    catch_up(primary, standby)
    edited = project.handrail("drift", "--format", "json")
    refused = project.handrail("drift", "--revert", "--apply")

    assert clean.returncode == 0, clean.stdout + clean.stderr
    assert "r1" in json.dumps(status)
    assert edited.returncode == 1, edited.stderr
    assert [each["object"] for each in json.loads(edited.stdout)["differences"]] == ["column shop.goods.price"]
    assert refused.returncode == 16, refused.stdout + refused.stderr
