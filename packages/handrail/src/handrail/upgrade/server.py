"""Waiting for a server that is not there yet: it starts with us, or starts anew."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from handrail.connection import describe, with_connection
from handrail.errors import DatabaseUnavailableError

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

T = TypeVar("T")

PAUSES = (0.2, 2.0)  # seconds, the first and the longest


def with_server(url: URL, work: Callable[[Connection], T], *, application: str, wait_seconds: float) -> T:
    """Run `work(connection)` like `with_connection`, once there is a server that takes connections.

    Args:
        url: From `parse_url`.
        work: Is begun once at most.
        application: What the connection is called on the server.
        wait_seconds: How long to try again before giving up.

    Raises:
        DatabaseUnavailableError: There was none within that time, or the connection was lost later.
    """
    begun, pause, told = time.monotonic(), PAUSES[0], False
    arrived = False

    def work_once(connection: Connection) -> T:
        nonlocal arrived
        arrived = True
        return work(connection)

    while True:
        try:
            return with_connection(url, work_once, application=application)
        except DatabaseUnavailableError as error:
            left = begun + wait_seconds - time.monotonic()
            if arrived:
                raise
            if left <= 0:
                waited = f"waited for {wait_seconds:g} s, and " if wait_seconds else ""
                raise DatabaseUnavailableError(f"nothing was changed: {waited}{error}") from error
        if not told:
            print(f"Waiting: no PostgreSQL takes connections at {describe(url)} yet.", file=sys.stderr, flush=True)
            told = True
        time.sleep(min(pause * random.uniform(0.7, 1.0), left))  # noqa: S311 - so that replicas do not come all at once
        pause = min(pause * 1.5, PAUSES[1])
