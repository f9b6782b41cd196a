"""Which run of the operating system this is: the one fact that tells a killed server from a crashed machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LINUX = Path("/proc/sys/kernel/random/boot_id")
SYSCTL_SECONDS = 10


def boot_id() -> str | None:
    """Return a name that stays the same until the machine is started again; None where there is no way to know."""
    if LINUX.exists():
        return LINUX.read_text(encoding="ascii").strip()
    if sys.platform == "darwin":
        answer = subprocess.run(
            ["sysctl", "-n", "kern.bootsessionuuid"],
            capture_output=True,
            text=True,
            timeout=SYSCTL_SECONDS,
            check=False,
        )
        return answer.stdout.strip() or None
    return None
