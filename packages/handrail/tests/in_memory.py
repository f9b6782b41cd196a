"""Run a command whose throwaway databases are in memory, where there is plenty: `python in_memory.py pytest`.

The tests make and drop more than a thousand of them, some 300 files each. On a disk that can be half of all their work:
ext4 without a journal gives away no place that was in use a minute ago, and looks at each of them for every new file.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from handrail.postgres import scratch_cluster

MEMORY = Path("/dev/shm")
NEEDED_BYTES = 2_000_000_000


def has_room() -> bool:
    if not (MEMORY.is_dir() and os.access(MEMORY, os.W_OK)):
        return False
    found = os.statvfs(MEMORY)
    return not found.f_flag & os.ST_NOEXEC and found.f_bavail * found.f_frsize > NEEDED_BYTES


def run(command: Sequence[str]) -> int:
    """Return its exit code. A server that the environment names is used as it is."""
    if "HANDRAIL_SCRATCH_URL" in os.environ or not has_room():
        return wait_for(subprocess.Popen(command))
    with (
        TemporaryDirectory(prefix="handrail-test-", dir=MEMORY) as folder,
        scratch_cluster(Path(folder)).use() as cluster,
    ):
        return wait_for(subprocess.Popen(command, env=os.environ | {"HANDRAIL_SCRATCH_URL": cluster.url()}))


def wait_for(process: subprocess.Popen[bytes]) -> int:
    """Let it end by itself on Ctrl-C, which it gets as well, and pass on what asks for its end."""
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    return process.wait()


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
