"""Replace a text file as a whole: whoever reads it, or interrupts this, sees the old text or the new one."""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path

UNFINISHED = ".handrail-"  # how the names begin of what is only there until it is complete


def replace_text(path: Path, text: str) -> bool:
    """Write a file unless it holds this text already; tell whether it was written. Line ends are written as given."""
    content = text.encode()
    with suppress(FileNotFoundError):
        if path.read_bytes() == content:
            return False
    unfinished = path.with_name(f"{UNFINISHED}{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        unfinished.write_bytes(content)
        with suppress(FileNotFoundError):
            unfinished.chmod(path.stat().st_mode)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return True
