"""What is counted while faults are made at full size."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Size:
    """How often everything is done."""

    interruptions: int
    rounds: int
    cuts: int
    disks: int
    blocked_seconds: float


FULL = Size(interruptions=500, rounds=50, cuts=100, disks=20, blocked_seconds=30)
QUICK = Size(interruptions=10, rounds=2, cuts=4, disks=3, blocked_seconds=5)


def shortened(text: str) -> str:
    """Leave out the middle of what is long: a traceback tells most at its end."""
    return text if len(text) < 4000 else f"{text[:1000]} [...] {text[-3000:]}"


@dataclass
class Outcome:
    """What became of one kind of fault. Several threads may count at once.

    Attributes:
        counts: How often what happened.
        figures: The worst that was measured, in seconds.
        faults: What went wrong, in words; nothing should.
    """

    what: str
    counts: Counter[str] = field(default_factory=Counter)
    figures: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, *what: str) -> None:
        """Count what has happened once more."""
        with self._lock:
            self.counts.update(what)

    def worst(self, what: str, seconds: float) -> None:
        """Keep the longest."""
        with self._lock:
            self.figures[what] = round(max(seconds, self.figures.get(what, 0)), 2)

    @contextmanager
    def one(self, what: str) -> Iterator[None]:
        """Count what is done in the block, and whatever is not as expected there."""
        try:
            yield
        except (AssertionError, subprocess.TimeoutExpired) as error:
            self.faults.append(f"{what}: {type(error).__name__} {shortened(str(error))}")
            print(self.faults[-1], file=sys.stderr, flush=True)
        with self._lock:
            self.counts["rounds"] += 1
            if self.counts["rounds"] % 10 == 0:
                print(f"{self.what}: {self.summary()}, {len(self.faults)} faults", file=sys.stderr, flush=True)

    def summary(self) -> str:
        """Return counts and figures in one line."""
        said = [f"{name} {number}" for name, number in sorted(self.counts.items())]
        return ", ".join(said + [f"{name} {seconds:.2f} s" for name, seconds in self.figures.items()])

    def told(self) -> str:
        """Return everything for people."""
        return "\n  ".join([self.what, self.summary(), f"faults: {len(self.faults)}", *self.faults])

    def as_json(self) -> dict[str, object]:
        """Return everything for programs."""
        return {"what": self.what, "counts": self.counts, "figures": self.figures, "faults": self.faults}
