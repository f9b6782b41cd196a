"""Passwords: which are accepted, and how they are hashed without slowing down everybody else."""

import asyncio
import os
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from typing import TypeVar
from unicodedata import normalize

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from app.config import NAME
from app.errors import Problem

Result = TypeVar("Result")

MAX_BYTES = 1024
DIFFERENT = 5  # characters that a password must have at least
LONGEST = 20  # characters of one that is well known; NFKC makes 6,000 of a password's 1,024 bytes, too many to cut
OWN_REST = 6  # characters that a password must have beside the user's address, name and our name
QUEUE = 50  # log-ins that wait for their turn; with more, nobody would still be there when theirs comes
MAX_REST = 0.8  # seconds between two of them, of all threads together, while the process is busy with other requests

# The cheaper of OWASP's equivalent choices: 19 MiB and two passes. Old hashes are renewed at the next login.
HASHER = PasswordHash((Argon2Hasher(time_cost=2, memory_cost=19 * 1024, parallelism=1),))


def refusal(password: str, min_length: int, *own: str) -> str | None:
    """Return why a password is not accepted: too short or long, monotonous, well known, or made of `own` words."""
    if len(password) < min_length:
        return f"at least {min_length} characters; any will do, a sentence is good"
    if len(password.encode()) > MAX_BYTES:
        return f"at most {MAX_BYTES} bytes"
    folded = normalize("NFKC", password).casefold()
    if len(set(folded)) < DIFFERENT:
        return "the same few characters again and again are guessed soon"
    if any(folded[:at] in _well_known() and folded[at:] in _well_known() for at in range(LONGEST + 1)):
        return "this is among the passwords that are tried first"
    words = [word.casefold() for text in (NAME, *own) for word in (text, *re.split(r"[\s@]", text)) if len(word) > 2]
    for word in sorted(words, key=len, reverse=True):
        folded = folded.replace(word, "")
    if len(re.sub(r"\W", "", folded)) < OWN_REST and len(folded) < len(password):
        return "your address, your name and ours are guessed first"
    return None


@cache
def _well_known() -> frozenset[str]:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # 30,000 of them; takes a moment

    return frozenset(["", *FREQUENCY_LISTS["passwords"]])  # with nothing, so that one alone is two in a row as well


class Passwords:
    """Hashes in threads of its own, which leave a core to all other requests, and give way where they can.

    The busier this process is with other requests, the longer each thread rests after a hash.
    """

    def __init__(self) -> None:
        self._number = max(1, (os.cpu_count() or 1) - 1)
        self._threads = ThreadPoolExecutor(self._number, "passwords", _give_way)
        self._turns = asyncio.Semaphore(self._number)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        return await self._run(lambda: HASHER.hash(_bytes(password)))

    async def verify(self, password: str, known_hash: str | None) -> tuple[bool, str | None]:
        """Return whether it fits, and a new hash where the old one is outdated. Without a hash it takes as long."""
        fits, renewed = await self._run(lambda: HASHER.verify_and_update(_bytes(password), known_hash or _decoy()))
        return (fits, renewed) if known_hash else (False, None)

    async def _run(self, work: Callable[[], Result]) -> Result:
        if self._waiting >= QUEUE:
            raise Problem(503, "Too many people log in at this moment.")
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        began, worked = time.perf_counter(), time.thread_time()  # of the thread that answers all requests
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, work)
        finally:
            rest = _rest(time.perf_counter() - began, time.thread_time() - worked)
            loop.call_later(min(rest, MAX_REST * self._number), self._turns.release)


def _rest(seconds: float, busy: float) -> float:
    """Return for how long to rest after a hash of so many seconds, for `busy` of which this process did other work."""
    # So hashes get the share of the time that the others leave.
    return seconds * busy / max(seconds - busy, 1e-9)


def _give_way() -> None:
    if hasattr(os, "setpriority") and os.uname().sysname == "Linux":  # only there a thread has a priority
        with suppress(PermissionError):  # it has less already, and may not take more
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 15)


def _bytes(password: str) -> bytes:
    # The same character typed on two keyboards can be different code points.
    return normalize("NFKC", password).encode()


@cache
def _decoy() -> str:
    return HASHER.hash(os.urandom(16))
