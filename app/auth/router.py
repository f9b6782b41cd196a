"""The routes of accounts and sessions, and what they need while the application runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from app import background
from app.auth import accounts, sessions
from app.auth.passwords import Passwords

CLEAN_UP_SECONDS = 3600


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.identify = sessions.identify
    app.state.passwords = Passwords()
    async with background.every(CLEAN_UP_SECONDS, lambda: accounts.clean_up(app.state.sessions)):
        yield


router = APIRouter(lifespan=lifespan)
router.include_router(accounts.router)
router.include_router(sessions.router)
