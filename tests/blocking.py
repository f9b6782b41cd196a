"""Waiting for something, and for requests that wait for a row."""

import asyncio
from collections.abc import Awaitable, Callable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# Locks of the whole server are no answer: other tests wait in databases of their own.
WAITING_FOR_US = text("""
    WITH RECURSIVE queue(pid) AS (
        SELECT pg_backend_pid()
        UNION SELECT behind.pid FROM pg_locks behind, queue
        WHERE NOT behind.granted AND queue.pid = ANY(pg_blocking_pids(behind.pid))
    )
    SELECT count(*) - 1 FROM queue
""")


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when it is so. Not asked without a pause: passwords are hashed at a low priority, and rest meanwhile."""
    async with asyncio.timeout(100):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.01)


async def until_blocked(session: AsyncSession, requests: int = 1) -> None:
    """Return when so many statements of other connections wait for this session's transaction, or behind another."""

    async def blocked() -> bool:
        return (await session.scalar(WAITING_FOR_US) or 0) >= requests

    await until(blocked)
