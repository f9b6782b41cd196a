"""The routes of accounts and sessions, and what they need while the application runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from app import background
from app.auth import accounts, sessions
from app.auth.passwords import Passwords
from app.database import Lookups

CLEAN_UP_SECONDS = 600
ATTEMPT_CONNECTIONS = 2  # for counting attempts; those from one network wait for each other, and nobody else for them


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.identify = sessions.identify
    app.state.passwords = Passwords()
    app.state.attempts = Lookups(app.state.settings.database_url.get_secret_value(), ATTEMPT_CONNECTIONS)
    try:
        async with background.every(CLEAN_UP_SECONDS, lambda: accounts.clean_up(app.state.sessions)):
            yield
    finally:
        app.state.attempts.close()


# Not included: FastAPI would build each route twice more when the application includes this router.
router = APIRouter(routes=[*accounts.router.routes, *sessions.router.routes], lifespan=lifespan)
