"""Limits for what can be tried, counted in PostgreSQL, so that they hold for all workers together."""

from datetime import timedelta
from hashlib import sha256
from ipaddress import ip_interface
from math import ceil
from typing import NamedTuple

import structlog
from sqlalchemy import case, delete, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app import clock
from app.auth.models import Attempt
from app.errors import Problem

log = structlog.get_logger(__name__)

Sessions = async_sessionmaker[AsyncSession]


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


async def admit(sessions: Sessions, *limits: Limit) -> None:
    """Count an attempt and let it pass, or answer 429."""
    if seconds := await take(sessions, *limits):
        log.warning("locked out")
        detail = f"Too many attempts. Try again in {seconds} seconds."
        raise Problem(429, detail, headers={"Retry-After": str(seconds)})


async def take(sessions: Sessions, *limits: Limit) -> int:
    """Count an attempt for each limit until one is reached; return 0, or the seconds to wait for that one."""
    # Counted before it is made, and committed: so attempts at the same time all count, and failures stay counted.
    now = clock.now()
    over = Attempt.ends_at <= now
    async with sessions.begin() as session:
        for limit in limits:
            new = insert(Attempt).values(key=limit.key, count=1, ends_at=now + limit.window)
            count = case((over, 1), else_=Attempt.count + 1)
            ends_at = case((over, new.excluded.ends_at), else_=Attempt.ends_at)
            counted = new.on_conflict_do_update(index_elements=["key"], set_={"count": count, "ends_at": ends_at})
            attempts, end = (await session.execute(counted.returning(Attempt.count, Attempt.ends_at))).one()
            if attempts > limit.attempts:
                return max(1, ceil((end - now).total_seconds()))
    return 0


async def succeed(session: AsyncSession, own: Limit, *shared: Limit) -> None:
    """Take back an attempt: the owner begins anew, what other accounts and networks have failed stays counted."""
    await session.execute(delete(Attempt).where(Attempt.key == own.key))
    for limit in shared:
        await session.execute(update(Attempt).where(Attempt.key == limit.key).values(count=Attempt.count - 1))
