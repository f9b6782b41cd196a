"""Makes the clusters of these tests, and sees to it that none of their servers outlives its test."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from handrail.postgres import Cluster, development_cluster, find_binaries, scratch_cluster
from handrail.postgres.account import server_account
from handrail.postgres.address import SocketAddress, socket_address
from handrail.postgres.postmaster import is_postmaster_of, listens_at, read_pid_file

CHILD_SECONDS = 60
AS_ROOT = os.geteuid() == 0 if hasattr(os, "geteuid") else False


@dataclass
class Clusters:
    """Makes clusters and sees to their end."""

    templates: Path
    made: list[Cluster] = field(default_factory=list)

    def development(self, root: Path) -> Cluster:
        return self.known(development_cluster(root))

    def scratch(self, root: Path) -> Cluster:
        return self.known(scratch_cluster(root))

    def initialised(self, root: Path) -> Cluster:
        """Return a stopped development cluster: a copy of one, which is faster than making one."""
        template = self.template()
        root.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", template / ".postgres", root], check=True)
        return self.development(root)

    def template(self) -> Path:
        """Return a project whose cluster was made with the PostgreSQL of this test; it is made once for each."""
        root = self.templates / find_binaries().directory.as_posix().replace("/", "_")
        if not root.exists():
            root.mkdir()
            cluster = development_cluster(root)
            cluster.start()
            cluster.stop()
        return root

    def known(self, cluster: Cluster) -> Cluster:
        self.made.append(cluster)
        return cluster

    def end_all(self) -> None:
        for cluster in self.made:
            end(cluster)


def end(cluster: Cluster) -> None:
    """End the server in whatever state the test left everything, and delete its files: 40 MB that nobody needs."""
    own = address_of(cluster)
    with suppress(OSError):
        found = read_pid_file(cluster.layout.data)
        if found and is_postmaster_of(found.pid, cluster.layout.data):
            kill(found.pid)
    # Under whatever account the test made it run.
    for directory in own.directory.parent.glob(f"handrail-*-{own.directory.name.rpartition('-')[2]}"):
        pid = SocketAddress(directory, own.account).lock_holder()
        if pid and listens_at(pid, directory):
            kill(pid)
        directory.unlink() if directory.is_symlink() else shutil.rmtree(directory, ignore_errors=True)
    shutil.rmtree(cluster.layout.folder, ignore_errors=True)


def kill(pid: int) -> None:
    """End a server at once but in good order, so that it gives back its shared memory; if need be, without."""
    os.kill(pid, signal.SIGQUIT)
    deadline = time.monotonic() + 10
    while is_alive(pid):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def query(cluster: Cluster, sql: str, database: str | None = None) -> str:
    """Run SQL with psql and return the rows as text."""
    argv = [*cluster.psql(database), "-XAtqc", sql]
    answer = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=CHILD_SECONDS)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


def python(code: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    """Run Python code in a process of its own, with pipes."""
    argv = [sys.executable, "-c", code, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True, **options)


def start_elsewhere(root: Path) -> subprocess.Popen[str]:
    """Have another process start the development cluster, and return that process, which waits for its input's end."""
    code = """
import sys
from pathlib import Path
from typing import Any
from handrail.postgres import development_cluster
print(development_cluster(Path(sys.argv[1])).start(), flush=True)
sys.stdin.read()
"""
    process = python(code, root, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    return process


def address_of(cluster: Cluster) -> SocketAddress:
    return socket_address(cluster.layout.data, server_account(cluster.layout.data))


def postmaster(cluster: Cluster) -> int:
    """Return the pid of the running server."""
    pid = cluster.status().pid
    assert pid is not None
    return pid


def is_alive(pid: int) -> bool:
    """Return whether the process still runs; a zombie does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until a condition holds, and fail when it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def modes(path: Path) -> dict[str, tuple[int, int, int]]:
    """Return mode and owner of a path and of everything above it."""
    found = {str(each): each.stat() for each in (path, *path.parents)}
    return {name: (entry.st_mode, entry.st_uid, entry.st_gid) for name, entry in found.items()}
