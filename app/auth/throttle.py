"""Limits for what can be tried, counted in PostgreSQL, so that they hold for all workers together."""

from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from ipaddress import ip_interface
from math import ceil

from sqlalchemy import case, delete, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app import clock
from app.auth.models import Attempt
from app.errors import TooManyRequests

Sessions = async_sessionmaker[AsyncSession]


@dataclass(frozen=True)
class Limit:
    """So many attempts from the first one on, until the window has passed."""

    name: str
    count: int
    window: timedelta

    def of(self, *parts: str) -> "Bucket":
        return Bucket(self, sha256("\0".join((self.name, *parts)).encode()).digest())


@dataclass(frozen=True)
class Bucket:
    limit: Limit
    key: bytes


def network_of(address: str) -> str:
    """Return what counts as one sender: an IPv4 address, or the network of an IPv6 address, which has many."""
    interface = ip_interface(address)
    return address if interface.version == 4 else str(ip_interface(f"{address}/64").network)


async def take(sessions: Sessions, *buckets: Bucket) -> None:
    """Count an attempt in each bucket, in this order, before it is made; raise at the first that is full.

    Counting comes first, in a transaction of its own, so that attempts at the same time are all counted, and failures
    stay counted. What a full bucket refuses does not count in those after it.
    """
    now = clock.now()
    async with sessions.begin() as session:
        for bucket in buckets:
            attempt = await _count(session, bucket)
            if attempt.count > bucket.limit.count:
                seconds = max(1, ceil((attempt.ends_at - now).total_seconds()))
                break
        else:
            return
    raise TooManyRequests(f"Too many attempts. Try again in {seconds} seconds.", seconds)


async def _count(session: AsyncSession, bucket: Bucket) -> Attempt:
    now = clock.now()
    new = insert(Attempt).values(key=bucket.key, count=1, ends_at=now + bucket.limit.window)
    over = Attempt.ends_at <= now
    counted = new.on_conflict_do_update(
        index_elements=[Attempt.key],
        set_={
            "count": case((over, 1), else_=Attempt.count + 1),
            "ends_at": case((over, new.excluded.ends_at), else_=Attempt.ends_at),
        },
    ).returning(Attempt)
    return (await session.scalars(counted, execution_options={"populate_existing": True})).one()


async def give_back(session: AsyncSession, *buckets: Bucket) -> None:
    """Take back the attempt that was counted: it was none."""
    for bucket in buckets:
        await session.execute(update(Attempt).where(Attempt.key == bucket.key).values(count=Attempt.count - 1))


async def forget(session: AsyncSession, bucket: Bucket) -> None:
    await session.execute(delete(Attempt).where(Attempt.key == bucket.key))
