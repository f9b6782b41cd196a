"""The peer of `bench.api`: the same token check and the same queries on bare Starlette and asyncpg, nothing else."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import asyncpg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

COLUMNS = "u.id, u.email, u.name, u.role, u.active, u.version, u.created_at, u.updated_at"
CALLER = f"""
SELECT {COLUMNS} FROM "starter-fastapi-project".sessions s JOIN "starter-fastapi-project".users u ON u.id = s.user_id
WHERE s.access_hash = $1 AND s.access_expires_at > $2 AND s.ended_at IS NULL AND s.idle_expires_at > $2
  AND s.expires_at > $2 AND s.created_at >= u.sessions_since AND u.active
"""
PAGE = f'SELECT {COLUMNS} FROM "starter-fastapi-project".users u ORDER BY u.id LIMIT $1'
POOL_SIZE = 10


async def keep(_connection: object) -> None:
    """Leave a connection as it is when it returns to the pool: nothing here changes its state."""


# asyncpg's own way is a statement for each return, which costs a round trip.
RESET = keep if os.environ.get("POOL_RESET") == "off" else None


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with asyncpg.create_pool(
        os.environ["DATABASE_URL"], min_size=POOL_SIZE, max_size=POOL_SIZE, reset=RESET
    ) as pool:
        app.state.pool = pool
        yield


async def caller(request: Request) -> Any:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    return await request.app.state.pool.fetchrow(CALLER, sha256(token.encode()).digest(), datetime.now(UTC))


async def get_me(request: Request) -> Response:
    row = await caller(request)
    return as_json(read(row)) if row else Response(status_code=401)


async def list_users(request: Request) -> Response:
    if await caller(request) is None:
        return Response(status_code=401)
    limit = int(request.query_params["limit"])
    rows = await request.app.state.pool.fetch(PAGE, limit + 1)
    return as_json({"items": [read(row) for row in rows[:limit]], "next_cursor": str(rows[limit - 1]["id"])})


async def live(_request: Request) -> Response:
    return as_json({"status": "alive"})


def read(row: Any) -> dict[str, object]:
    fields = ("id", "email", "name", "role", "active", "created_at", "updated_at")
    return {field: row[field] for field in fields}


def as_json(content: object) -> Response:
    return Response(json.dumps(content, default=str, separators=(",", ":")), media_type="application/json")


routes = [Route("/users/me", get_me), Route("/users", list_users), Route("/health/live", live)]
app = Starlette(routes=routes, lifespan=lifespan)
