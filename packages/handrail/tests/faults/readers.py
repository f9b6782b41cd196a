"""Sessions that read a row again and again, and how long they had to wait for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg


@contextmanager
def reading(dsn: str, number: int) -> Iterator[list[float]]:
    """Read by primary key in so many sessions while the block runs; yields how long each answer took, in seconds."""
    stalls: list[float] = []
    ended = threading.Event()

    def read() -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            while not ended.wait(0.01):
                begun = time.monotonic()
                connection.execute("SELECT name FROM shop.goods WHERE id = 1")
                stalls.append(time.monotonic() - begun)

    readers = [threading.Thread(target=read) for _ in range(number)]
    for reader in readers:
        reader.start()
    try:
        yield stalls
    finally:
        ended.set()
        for reader in readers:
            reader.join()
