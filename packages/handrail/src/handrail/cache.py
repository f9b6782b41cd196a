"""What was computed from unchanged things, kept in `.handrail_cache/` of the project by the digest of these things.

It is only ever a shortcut: whatever is missing, damaged or cannot be written is computed anew, without a word. The
folder ignores itself in git and may be deleted at any time.
"""

from __future__ import annotations

import os
import secrets
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

FOLDER = ".handrail_cache"
LIMIT_BYTES = 64 * 1024 * 1024  # some ten catalogs of 1,000 tables
NOTE = "# Made by handrail; may be deleted at any time.\n*\n"


@dataclass(frozen=True)
class Cache:
    """Texts by their keys; a key is a file's name, and holds the digest of everything that decides the text.

    Attributes:
        folder: Where they are; None for no cache at all.
    """

    folder: Path | None

    @classmethod
    def of(cls, root: Path) -> Cache:
        """Return the cache of the project in this folder."""
        return cls(root / FOLDER)

    def read(self, key: str) -> str | None:
        """Return the text that was written last under this key; None when there is none or it is damaged."""
        if self.folder is None:
            return None
        path = self.folder / key
        try:
            checksum, _, content = path.read_bytes().partition(b"\n")
            if checksum != _checksum(content):
                return None
            text = content.decode()
        except (OSError, ValueError):
            return None
        with suppress(OSError):
            os.utime(path)  # the least recently used are the first to go
        return text

    def write(self, key: str, text: str) -> None:
        """Keep a text. Readers see the whole of it or what was there before, whoever else is writing."""
        if self.folder is None:
            return
        content = text.encode()
        unfinished = self.folder / f"{key}.{secrets.token_hex(4)}.tmp"
        try:
            self._make_folder()
            unfinished.write_bytes(_checksum(content) + b"\n" + content)
            unfinished.replace(self.folder / key)
        except OSError:
            with suppress(OSError):
                unfinished.unlink()
            return
        self._prune()

    def file(self, name: str) -> Path:
        """Return where a file of this name is or may be written, for what is no text; the folder is there then."""
        self._make_folder()
        assert self.folder is not None
        return self.folder / name

    def _make_folder(self) -> None:
        assert self.folder is not None
        self.folder.mkdir(exist_ok=True)
        ignore = self.folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text(NOTE, encoding="utf-8")

    def _prune(self) -> None:
        """Delete what was not used for longest until the rest is within the limit, remains of killed writers too."""
        assert self.folder is not None
        with suppress(OSError):
            files = [
                (entry.stat(), entry.path)
                for entry in os.scandir(self.folder)
                if not entry.name.endswith((".gitignore", ".lock"))
            ]
            total = sum(stat.st_size for stat, _ in files)
            for stat, path in sorted(files, key=lambda file: file[0].st_mtime_ns):
                if total <= LIMIT_BYTES:
                    break
                # Another process may be pruning, too.
                with suppress(FileNotFoundError):
                    Path(path).unlink()
                total -= stat.st_size


def _checksum(content: bytes) -> bytes:
    return b"%08x" % zlib.crc32(content)
