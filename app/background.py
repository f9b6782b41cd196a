"""Work that comes again and again, beside the requests, as long as the application runs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import structlog

log = structlog.get_logger(__name__)

LAST_SECONDS = 5  # for the work that is under way at the end


@asynccontextmanager
async def every(seconds: float, work: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Do the work in such intervals within this context, and at once again when it tells that there is more.

    A failure is noted, and the next turn comes as ever. At the end what is under way is waited for.
    """
    turn = asyncio.Lock()

    async def repeat() -> None:
        more: object = False
        while True:
            await asyncio.sleep(0 if more else seconds)
            async with turn:
                try:
                    more = await work()
                except Exception as error:  # noqa: BLE001 - above all an unreachable database, whatever it raises
                    more = False
                    log.warning("background work failed", error=type(error).__name__)

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        with suppress(TimeoutError):
            await asyncio.wait_for(turn.acquire(), LAST_SECONDS)
        task.cancel()
        await asyncio.wait([task])
