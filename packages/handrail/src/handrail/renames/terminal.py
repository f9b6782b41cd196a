"""Ask the person at the terminal."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from handrail.errors import HandrailError


def ask_on_terminal(question: str) -> bool:
    """Ask a yes-or-no question; no is the default.

    Raises:
        HandrailError: It was interrupted, or the terminal was closed.
    """
    import click

    try:
        with interruptible():
            return click.confirm(question, default=False, err=True)
    except click.Abort as error:
        raise HandrailError("interrupted; nothing was written.") from error


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end the question: asyncio's own handler only makes a note of it, and the question would go on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
