"""The application: `uvicorn app.main:app`. Importing it connects to nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute

from app import health
from app.config import NAME, Settings, load_settings
from app.database import create_engine, create_sessions
from app.errors import ProblemAPI
from app.users import router as users

MAX_BODY_SIZE = 1024 * 1024  # bytes; a route that takes more says so with its own max_body_size


def create_app(settings: Settings) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        dsn = settings.database_url.get_secret_value()
        engine = create_engine(dsn, settings.database_pool_size)
        app.state.sessions = create_sessions(engine)
        # A connection of its own: that all others are busy does not make the service unready.
        app.state.health_engine = create_engine(dsn, pool_size=1)
        try:
            yield
        finally:
            await app.state.health_engine.dispose()
            await engine.dispose()

    app = ProblemAPI(
        title=NAME,
        lifespan=lifespan,
        max_body_size=MAX_BODY_SIZE,
        redirect_slashes=False,  # the redirect would be built from the Host header, which the client chooses
        generate_unique_id_function=_operation_id,
    )
    app.include_router(health.router)
    app.include_router(users.router)
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name  # generated clients call their methods so


app = create_app(load_settings())
