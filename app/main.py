"""The application: `uvicorn app.main:app`. Importing it connects to nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.routing import APIRoute
from starlette.types import ASGIApp

from app import background, health, logs
from app.auth import router as auth
from app.config import NAME, Settings, load_settings
from app.database import create_engine, create_sessions, open_lookups
from app.envelope import Envelope
from app.errors import ProblemAPI
from app.mail import outbox
from app.mail.senders import sender
from app.users import router as users

MAX_BODY_SIZE = 1024 * 1024  # bytes; a route that takes more says so with its own max_body_size
LOOKUP_CONNECTIONS = 4  # enough for one process: a lookup takes less than a millisecond
MAIL_SECONDS = 2  # how long a mail waits in the outbox at most before it is sent


class Service(ProblemAPI):
    def build_middleware_stack(self) -> ASGIApp:
        return Envelope(super().build_middleware_stack(), self.state.settings.trusted_proxies)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    dsn = settings.database_url.get_secret_value()
    engine = create_engine(dsn, settings.database_pool_size)
    app.state.sessions = create_sessions(engine)
    send = sender(settings)
    mail = background.every(MAIL_SECONDS, lambda: outbox.deliver(app.state.sessions, send, settings.mail_from))
    # Of its own: that all other connections are busy does not make the service unready.
    health_lookups = open_lookups(dsn, pool_size=1)
    try:
        async with open_lookups(dsn, LOOKUP_CONNECTIONS) as app.state.lookups, health_lookups as app.state.health, mail:
            yield
    finally:
        await engine.dispose()


def create_app(settings: Settings) -> FastAPI:
    logs.configure(settings.environment)
    app = Service(
        title=NAME,
        lifespan=lifespan,
        max_body_size=MAX_BODY_SIZE,
        redirect_slashes=False,  # the redirect would be built from the Host header, which the client chooses
        generate_unique_id_function=_operation_id,
        openapi_url="/openapi.json" if settings.shows_docs else None,
    )
    app.state.settings = settings
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_credentials=True,
            allow_methods=["GET", "POST", "PATCH", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "If-Match", "X-CSRF"],
            expose_headers=["ETag", "Location", "Retry-After", "X-Request-ID"],
        )
    app.include_router(health.router)
    app.include_router(users.router)
    app.include_router(auth.router)
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name  # generated clients call their methods so


app = create_app(load_settings())
