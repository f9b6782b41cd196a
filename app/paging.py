"""Lists in pages.

A page continues after the last key of the one before (keyset): its cost does not grow with the number of pages, and
rows that come or go meanwhile make no other row appear twice or not at all.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import BeforeValidator, WithJsonSchema
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

Row = TypeVar("Row")


def _decode(cursor: object) -> UUID:
    try:
        return UUID(bytes=urlsafe_b64decode(f"{cursor}=="))
    except ValueError:
        raise ValueError("not a cursor of this service") from None


def _encode(key: UUID) -> str:
    return urlsafe_b64encode(key.bytes).decode().rstrip("=")


Limit = Annotated[int, Query(ge=1, le=100)]
# To clients an opaque text which they got as `next_cursor`; to us the last key of a page.
Cursor = Annotated[UUID, BeforeValidator(_decode), WithJsonSchema({"type": "string"})]


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Rows, and the cursor that continues after them; None when these are the last."""

    items: Sequence[Row]
    next_cursor: str | None


async def fetch_page(
    session: AsyncSession, query: Select[Row], key: InstrumentedAttribute[UUID], limit: int, after: UUID | None
) -> Page[Row]:
    """Return the first `limit` rows of `query` after the key `after`, in the order of `key`, which must be unique."""
    if after:
        query = query.where(key > after)
    rows = (await session.scalars(query.order_by(key).limit(limit + 1))).all()  # one more tells whether it goes on
    more = len(rows) > limit
    return Page(rows[:limit], _encode(getattr(rows[limit - 1], key.key)) if more else None)
