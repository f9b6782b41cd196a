"""What a cluster looks like from outside."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Status:
    """What is known about a cluster without changing anything; plain values, ready for JSON.

    Attributes:
        state: `absent` (no data), `stopped` or `running` (accepts connections).
        version: Major version that made the data directory, such as "18".
        directory: The data directory.
        log: The server's log file, whether it exists yet or not.
        binaries: The `bin` directory it runs with, or would be started with.
        url: Where to connect; None unless it is running.
    """

    state: str
    version: str | None
    pid: int | None
    directory: str
    log: str
    binaries: str | None
    url: str | None
