"""Fixtures: clusters, folders, processes, and an environment that tries to lead astray."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from handrail.postgres.account import Account
from in_memory import MEMORY, has_room
from postgres.clusters import Clusters


@contextmanager
def new_folder(mode: int) -> Iterator[Path]:
    # Into memory if there is plenty, since the fsyncs of their servers would wait for the disk.
    place = MEMORY if has_room() else "/var/tmp"
    with tempfile.TemporaryDirectory(prefix="handrail-test-", dir=place, ignore_cleanup_errors=True) as name:
        Path(name).chmod(mode)
        yield Path(name)


@pytest.fixture(scope="session")
def templates() -> Iterator[Path]:
    """A folder for clusters that are only copied, never started."""
    with new_folder(0o700) as folder:
        yield folder


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder that is closed to other accounts, as pytest's own, but deleted at once: a cluster takes 40 MB."""
    with new_folder(0o700) as folder:
        yield folder


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account can reach."""
    with new_folder(0o755) as folder:
        yield folder


@pytest.fixture
def clusters(templates: Path, tmp_path: Path, open_folder: Path) -> Iterator[Clusters]:
    # The folders are asked for only to be removed after the servers in them have ended.
    known = Clusters(templates)
    yield known
    known.end_all()


@pytest.fixture(autouse=True)
def misleading_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's shell may say where other servers are; a cluster must find its own all the same."""
    for name in ("DATABASE_URL", "ENVIRONMENT", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"PGHOST": "db.invalid", "PGPORT": "1", "PGUSER": "nobody", "PGDATABASE": "none"}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def sleeper() -> Iterator[Callable[..., int]]:
    """Return a function that starts a harmless process, as an account of choice, and returns its pid."""
    running: list[subprocess.Popen[bytes]] = []

    def run(account: Account, **options: Any) -> int:
        become: dict[str, Any] = (
            {"user": account.uid, "group": account.gid, "extra_groups": []} if account.dropped else {}
        )
        process = subprocess.Popen(["/bin/sleep", "300"], **(options | become))
        running.append(process)
        return int(process.pid)

    yield run
    for process in running:
        process.kill()
        process.wait()


@pytest.fixture
def closed_home(open_folder: Path) -> Path:
    """A home of root's: mode 0700, like /root."""
    home = open_folder / "home"
    home.mkdir(mode=0o700)
    return home
