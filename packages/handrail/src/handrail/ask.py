"""One question to a database, through the driver alone: importing SQLAlchemy takes longer than the answer."""

from __future__ import annotations

import importlib.util
from typing import Any
from urllib.parse import urlsplit

from handrail.dsn import for_asyncpg

CONNECT_SECONDS = 3


def ask(url: str, question: str, application: str) -> str:
    """Run a query through the driver that the URL means, and return its one value as text.

    Args:
        url: Of the database, as people write it.
        question: The query.
        application: What the connection is called on the server.

    Raises:
        ValueError: The URL is none of PostgreSQL's, or cannot be taken apart without doubt.
        Exception: Whatever the driver raises; what the server said has a `sqlstate`.
    """
    scheme, _, rest = url.partition("://")
    parts = urlsplit(f"postgresql://{rest}")
    if parts.fragment or "@" in parts.path or not parts.path.strip("/"):
        raise ValueError(scheme)
    return {"asyncpg": with_asyncpg, "psycopg": with_psycopg}[driver_of(url)](parts.geturl(), question, application)


def driver_of(url: str) -> str:
    """Return the name of the module that the URL means.

    Raises:
        ValueError: It is no URL of PostgreSQL's.
    """
    scheme = url.partition("://")[0]
    backend, _, driver = scheme.partition("+")
    if backend not in ("postgresql", "postgres"):
        raise ValueError(scheme)
    return driver or ("asyncpg" if importlib.util.find_spec("asyncpg") else "psycopg")


def with_asyncpg(url: str, question: str, application: str) -> str:
    """Ask through asyncpg."""
    import asyncio
    import socket

    import asyncpg

    class Loop(asyncio.SelectorEventLoop):
        """Looks up addresses by itself: a thread that waits for a name server would keep the process from ending."""

        async def getaddrinfo(self, *place: Any, **options: Any) -> Any:
            return socket.getaddrinfo(*place, **options)

    async def fetch() -> Any:
        connection = await asyncpg.connect(
            for_asyncpg(url), timeout=CONNECT_SECONDS, server_settings={"application_name": application}
        )
        try:
            return await connection.fetchval(question)
        finally:
            await connection.close()

    with asyncio.Runner(loop_factory=Loop) as runner:
        return str(runner.run(fetch()))


def with_psycopg(url: str, question: str, application: str) -> str:
    """Ask through psycopg."""
    import psycopg

    with psycopg.connect(
        url, autocommit=True, connect_timeout=CONNECT_SECONDS, application_name=application
    ) as connection:
        row = connection.execute(question.encode()).fetchone()
    return str(row and row[0])
