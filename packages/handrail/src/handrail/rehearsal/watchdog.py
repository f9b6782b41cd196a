"""An end for a revision that hangs, whether PostgreSQL or Python keeps it."""

from __future__ import annotations

import _thread
import signal
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from handrail.errors import HandrailError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from handrail.scratch import ScratchServer

GRACE = 1.0  # seconds in which a revision whose connection is gone may end by itself


class TimedOut(HandrailError):
    """A revision took longer than it may."""


@contextmanager
def time_limit(connection: Connection, server: ScratchServer, seconds: float) -> Iterator[None]:
    """End what is inside when it takes too long: first its session on the server, then the Python code.

    Raises:
        TimedOut: In place of whatever the end of the session has raised.
    """
    pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    connection.rollback()
    done, late = threading.Event(), threading.Event()

    def watch() -> None:
        if done.wait(seconds):
            return
        late.set()
        with suppress(HandrailError, DBAPIError):
            server.scalar("SELECT pg_terminate_backend(:pid)", pid=pid)
        while not done.wait(GRACE):
            _interrupt()

    watchdog = threading.Thread(target=watch, name="handrail watchdog", daemon=True)
    watchdog.start()
    try:
        yield
    except BaseException as error:
        if late.is_set():
            raise TimedOut(f"it was stopped after {seconds:g} seconds (--timeout gives it more).") from error
        raise
    finally:
        done.set()
        watchdog.join()


def _interrupt() -> None:
    """Do as if somebody had pressed Ctrl-C, also where the main thread sleeps."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()
