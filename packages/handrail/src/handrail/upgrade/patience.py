"""Trying again what others blocked: short waits, with pauses in which everybody else gets through."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from handrail.connection import LOCK_NOT_AVAILABLE, ServerMessage
from handrail.errors import BlockedError

# Of lock_timeout, and deadlock_detected.
BLOCKED = {LOCK_NOT_AVAILABLE, "40P01"}
FIRST_PAUSE = 0.5
# After waits of one second: others are held up a fifth of the time at most.
LONGEST_PAUSE = 4.0


@dataclass
class Patience:
    """How long is left for being blocked.

    Attributes:
        seconds: In all, from the first time on.
        again: The command that waits longer.
    """

    seconds: float
    again: str
    retries: int = 0
    pause: float = FIRST_PAUSE
    deadline: float | None = field(default=None, init=False)

    def progress(self) -> None:
        """Start anew: something was achieved since."""
        self.retries, self.pause, self.deadline = 0, FIRST_PAUSE, None

    def pause_after(self, error: BaseException, revision: str, blockers: str, pids: Sequence[int]) -> None:
        """Pause, and return when it is to be tried again.

        Args:
            error: PostgreSQL's refusal.
            revision: What is being run.
            blockers: Who is in the way, for a sentence; may be empty.
            pids: The same by number.

        Raises:
            BlockedError: The time is up.
            BaseException: The error itself, when it is not about being blocked.
        """
        if ServerMessage.of(error).sqlstate not in BLOCKED:
            raise error
        now = time.monotonic()
        self.deadline = self.deadline or now + self.seconds
        if now + self.pause >= self.deadline:
            ended = " ".join(f"SELECT pg_terminate_backend({pid});" for pid in [*map(str, pids)] or ["<pid>"])
            raise BlockedError(
                f"revision {revision} was not run: for {self.seconds:g} s other sessions did not let go of what it "
                f"changes{blockers and f': it is blocked{blockers}'}. It was tried {self.retries + 1} times, each time "
                "for a moment only, so that nobody had to wait; its transaction was rolled back, and revisions before "
                f"it stay as they are. End what blocks: {ended}  Or run the same command again when it is quiet, with "
                f"more patience: {self.again}"
            ) from error
        self.retries += 1
        print(
            f"Revision {revision} is blocked{blockers}; trying again in {self.pause:.1f} s.",
            file=sys.stderr,
            flush=True,
        )
        time.sleep(self.pause * random.uniform(0.8, 1.0))  # noqa: S311 - so that two do not meet again and again
        self.pause = min(self.pause * 2, LONGEST_PAUSE)
