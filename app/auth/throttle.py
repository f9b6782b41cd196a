"""Limits for what can be tried, counted in PostgreSQL, so that they hold for all workers together."""

from datetime import timedelta
from hashlib import sha256
from ipaddress import ip_interface
from math import ceil
from typing import NamedTuple

import structlog
from sqlalchemy import bindparam, case, delete, update
from sqlalchemy.dialects.postgresql import insert

from app import clock
from app.auth.models import Attempt
from app.database import Lookup, Lookups
from app.errors import Problem

log = structlog.get_logger(__name__)


class Limit(NamedTuple):
    """So many attempts from the first one on, until the window has passed; for each `whose` of their own."""

    name: str
    attempts: int
    window: timedelta
    whose: tuple[str, ...] = ()

    def of(self, *whose: str) -> "Limit":
        return self._replace(whose=whose)

    @property
    def key(self) -> bytes:
        return sha256("\0".join((self.name, *self.whose)).encode()).digest()


def network_of(address: str) -> str:
    """Return what counts as one sender: an IPv4 address, or the network of an IPv6 address, which has many."""
    return address if ":" not in address else str(ip_interface(f"{address}/64").network)


def folded(email: str) -> str:
    """Return what counts as one address, for the database, too: its lower() makes an i of İ, and casefold() "i̇"."""
    return email.replace("İ", "i").casefold()


# Counted before the attempt is made, and committed: so attempts at the same time all count, and failures stay counted.
NEW = insert(Attempt).values(key=bindparam("key"), count=1, ends_at=bindparam("end"))
OVER = Attempt.ends_at <= bindparam("now")
VALUES = {
    "count": case((OVER, 1), else_=Attempt.count + 1),
    "ends_at": case((OVER, NEW.excluded.ends_at), else_=Attempt.ends_at),
}
COUNT = Lookup(NEW.on_conflict_do_update(index_elements=["key"], set_=VALUES).returning(Attempt.count, Attempt.ends_at))
FORGET = Lookup(delete(Attempt).where(Attempt.key == bindparam("whose")))
TAKE_BACK = Lookup(update(Attempt).where(Attempt.key == bindparam("whose")).values(count=Attempt.count - 1))


async def admit(lookups: Lookups, *limits: Limit) -> None:
    """Count an attempt and let it pass, or answer 429."""
    if seconds := await take(lookups, *limits):
        log.warning("locked out")
        detail = f"Too many attempts. Try again in {seconds} seconds."
        raise Problem(429, detail, headers={"Retry-After": str(seconds)})


async def take(lookups: Lookups, *limits: Limit) -> int:
    """Count an attempt for each limit until one is reached; return 0, or the seconds to wait for that one."""
    now = clock.now()
    for limit in limits:
        ((attempts, end),) = await lookups.fetch(COUNT, key=limit.key, end=now + limit.window, now=now)
        if attempts > limit.attempts:
            wait: timedelta = end - now
            return ceil(wait.total_seconds())
    return 0


async def succeed(lookups: Lookups, own: Limit, *shared: Limit) -> None:
    """Take back an attempt: the owner begins anew, what other accounts and networks have failed stays counted."""
    await lookups.fetch(FORGET, whose=own.key)
    await take_back(lookups, *shared)


async def take_back(lookups: Lookups, *limits: Limit) -> None:
    """Take back an attempt that was none, or no failure."""
    for limit in limits:
        await lookups.fetch(TAKE_BACK, whose=limit.key)
