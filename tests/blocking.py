"""Requests that wait for a row."""

import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# Locks of the whole server are no answer: other tests wait in databases of their own.
WAITING_FOR_US = text(
    "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
)


async def until_blocked(session: AsyncSession) -> None:
    """Return when a statement of another connection waits for this session's transaction."""
    async with asyncio.timeout(10):
        while not await session.scalar(WAITING_FOR_US):
            pass
