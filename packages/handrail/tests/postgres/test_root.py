"""As root: another account runs the server, no parent directory is changed, and nothing in /tmp is trusted blindly."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from handrail.errors import ServerError
from handrail.postgres import account as account_module
from handrail.postgres import find_binaries, public_copy
from handrail.postgres.account import Account, unprivileged_account
from postgres.clusters import Clusters, address_of, modes, postmaster, query

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="these things only happen to root")

OTHER_ACCOUNT = 65534
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


def run_as(uid: int, root: Path) -> str:
    """Start the cluster as another account, with a Python that it may run, and return what that says."""
    options: dict[str, Any] = {"user": uid, "group": uid, "extra_groups": [], "cwd": "/"}
    source = Path(public_copy.__file__).parents[2]
    binaries = find_binaries()
    try:
        public_copy.major_version(binaries, Account(uid, uid, dropped=True))
    except PermissionError:
        pytest.skip("the PostgreSQL of this run is out of reach of other accounts")
    for python in (Path(sys.executable).resolve(), *Path("/usr/bin").glob("python3.??")):
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(source), "PGBIN": str(binaries.directory)}
        try:
            found = subprocess.run(
                [python, "-B", "-c", START, root],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                **options,
            )
        except PermissionError:
            continue
        if found.returncode == 0:
            return str(found.stdout)
    pytest.skip("no Python on this machine is in reach of other accounts")


@pytest.mark.parametrize("name", ["postgres", "nobody"])
def test_server_below_a_closed_home(
    clusters: Clusters, closed_home: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server runs as the first account that exists, and gets at its data although it may not enter the home."""
    monkeypatch.setattr(account_module, "UNPRIVILEGED", ("missing-account", name))
    before = modes(closed_home)
    cluster = clusters.development(closed_home)
    assert cluster.start() is True
    assert query(cluster, "SELECT 1") == "1"
    assert Path(f"/proc/{postmaster(cluster)}").stat().st_uid == unprivileged_account().uid
    assert cluster.stop() is True
    assert cluster.start() is True

    assert modes(closed_home) == before
    assert cluster.layout.folder.stat().st_uid == 0
    assert cluster.layout.data.stat().st_uid == unprivileged_account().uid


def test_cluster_keeps_its_account(clusters: Clusters, closed_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another account appears (PostgreSQL gets installed) after the cluster was made: it goes on as before."""
    monkeypatch.setattr(account_module, "UNPRIVILEGED", ("nobody",))
    cluster = clusters.development(closed_home)
    cluster.start()
    url = cluster.url()
    cluster.stop()
    monkeypatch.setattr(account_module, "UNPRIVILEGED", ("daemon", "nobody"))
    assert cluster.start() is True
    assert cluster.url() == url


def copy_as_root(project: Path, copy: Path) -> None:
    """Copy a project as people do, whereupon every file is root's."""
    subprocess.run(["cp", "-r", project, copy], check=True)


def test_copied_development_data_is_kept(clusters: Clusters, tmp_path: Path) -> None:
    """The server may not read it: the message names the command that mends it, and that does mend it."""
    original = clusters.initialised(tmp_path / "project")
    copy_as_root(original.layout.root, tmp_path / "copy")
    cluster = clusters.development(tmp_path / "copy")

    with pytest.raises(ServerError, match="belongs to root, and PostgreSQL runs as") as refusal:
        cluster.start()

    command = str(refusal.value).partition("To keep the data: `")[2].partition("`")[0]
    assert command.startswith("chown -R ")
    subprocess.run(command.split(), check=True)
    assert cluster.start() is True


def test_copied_throwaway_data_is_made_anew(clusters: Clusters, tmp_path: Path) -> None:
    """Nobody needs it, so nobody is asked."""
    original = clusters.scratch(tmp_path / "project")
    original.layout.root.mkdir()
    with original.use():
        query(original, "CREATE TABLE copied (id int)")
    copy_as_root(original.layout.root, tmp_path / "copy")

    with clusters.scratch(tmp_path / "copy").use() as cluster:
        assert query(cluster, "SELECT to_regclass('copied') IS NULL") == "t"
        assert cluster.layout.data.stat().st_uid == unprivileged_account().uid


def test_no_account_to_drop_to(clusters: Clusters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the usual accounts: none is created."""
    monkeypatch.setattr(account_module, "UNPRIVILEGED", ("missing-account",))
    with pytest.raises(ServerError, match="neither of the accounts missing-account"):
        clusters.development(tmp_path).start()
    monkeypatch.undo()


def test_root_that_may_not_drop(tmp_path: Path) -> None:
    """In a user namespace that maps only root nobody can become another account: the message says so."""
    unshare = ["unshare", "--user", "--map-root-user", "true"]
    if shutil.which("unshare") is None or subprocess.run(unshare, check=False, capture_output=True).returncode != 0:
        pytest.skip("user namespaces are switched off here")
    argv = [*unshare[:-1], sys.executable, "-c", START, str(tmp_path)]
    said = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
    assert said.startswith("ServerError"), said
    assert "DATABASE_URL=" in said


def test_socket_directory_of_another_account(clusters: Clusters, closed_home: Path) -> None:
    """Somebody made our socket directory before us: connections could be caught there, so it is refused."""
    cluster = clusters.initialised(closed_home)
    directory = address_of(cluster).directory
    directory.mkdir()
    os.chown(directory, 12345, 12345)
    with pytest.raises(ServerError, match=f"somebody else made it.*sudo rm -r {directory}"):
        cluster.start()


def test_account_without_a_name(clusters: Clusters, open_folder: Path) -> None:
    """`docker run --user 1234`: initdb would refuse in its own words; ours say what to do."""
    (open_folder / "project").mkdir()
    os.chown(open_folder / "project", 12345, 12345)
    assert run_as(12345, open_folder / "project").startswith("ServerError user id 12345 has no entry in /etc/passwd")


def test_ordinary_user_meets_what_root_made(clusters: Clusters, open_folder: Path) -> None:
    """Root ran it once: the user is told whose the folder is."""
    clusters.initialised(open_folder)
    said = run_as(OTHER_ACCOUNT, open_folder)
    assert said.startswith("ServerError"), said
    assert "belongs to root, and you are nobody" in said


def test_ordinary_user_needs_none_of_this(clusters: Clusters, open_folder: Path) -> None:
    """Another account in its own project: it runs the server itself, without dropping and without a copy."""
    project = open_folder / "project"
    project.mkdir()
    os.chown(project, OTHER_ACCOUNT, OTHER_ACCOUNT)
    cluster = clusters.development(project)
    assert run_as(OTHER_ACCOUNT, project) == "True\n"
    assert run_as(OTHER_ACCOUNT, project) == "False\n"
    assert cluster.layout.folder.stat().st_uid == cluster.layout.data.stat().st_uid == OTHER_ACCOUNT
    with pytest.raises(ServerError, match="belongs to nobody, and you are root"):
        cluster.start()


def test_planted_link_is_not_written_through(closed_home: Path) -> None:
    """The account owns the new data directory: a link that it plants there does not make root write elsewhere."""
    from handrail.postgres.initialise import write_marker

    victim = closed_home / "victim"
    (closed_home / "handrail.cluster").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_marker(closed_home / "handrail.cluster", "data")
    assert not victim.exists()
