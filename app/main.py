"""The application: `uvicorn --no-proxy-headers app.main:app`. Importing it connects to nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.types import ASGIApp

from app import background, health, logs
from app.auth import router as auth
from app.config import NAME, Settings, load_settings
from app.database import Lookups, create_engine, create_sessions
from app.envelope import Envelope
from app.errors import ProblemAPI
from app.mail import outbox
from app.mail.outbox import sender
from app.users import router as users

MAX_BODY_SIZE = 1024 * 1024  # bytes; a route that takes more says so with its own max_body_size
LOOKUP_CONNECTIONS = 5  # enough for one process: a lookup takes less than a millisecond
MAIL_SECONDS = 2  # how long a mail waits in the outbox at most before it is sent


class Service(ProblemAPI):
    def build_middleware_stack(self) -> ASGIApp:
        settings: Settings = self.state.settings
        # One layer around all; FastAPI's own `max_body_size` of the application would be three.
        app: ASGIApp = RequestBodyLimitMiddleware(super().build_middleware_stack(), MAX_BODY_SIZE)
        if settings.cors_origins:  # around what answers 413 and 500, so that pages can read these too
            app = CORSMiddleware(
                app,
                allow_origins=settings.cors_origins,
                allow_credentials=True,
                allow_methods=["GET", "POST", "PATCH", "PUT", "DELETE"],
                allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "If-Match", "X-CSRF"],
                expose_headers=["ETag", "Location", "Retry-After", "X-Request-ID"],
            )
        return Envelope(app, settings.trusted_proxies, self.state.request_log)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    dsn = settings.database_url.get_secret_value()
    engine = create_engine(dsn, settings.database_pool_size)
    app.state.sessions = create_sessions(engine)
    app.state.lookups = Lookups(dsn, LOOKUP_CONNECTIONS)
    # Of its own: that all other connections are busy does not make the service unready.
    app.state.health = Lookups(dsn, 1)
    send = sender(settings)
    try:
        async with background.every(MAIL_SECONDS, lambda: outbox.deliver(app.state.sessions, send, settings.mail_from)):
            yield
    finally:
        app.state.health.close()
        app.state.lookups.close()
        await engine.dispose()


def create_app(settings: Settings) -> FastAPI:
    app = Service(
        title=NAME,
        lifespan=lifespan,
        redirect_slashes=False,  # the redirect would be built from the Host header, which the client chooses
        generate_unique_id_function=lambda route: route.name,  # generated clients call their methods so
        openapi_url="/openapi.json" if settings.docs else None,
    )
    app.state.settings = settings
    app.state.request_log = logs.configure(settings.environment)
    # A route is found by trying one after the other, and with the first try of a router FastAPI builds all of its
    # routes: whether the process lives is asked first, and after that what is asked most.
    app.include_router(health.router)
    app.include_router(users.router)
    app.include_router(auth.router)
    return app


app = create_app(load_settings())
