"""Lists in pages.

A page continues after the last key of the one before (keyset): its cost does not grow with the number of pages, and
rows that come or go meanwhile make no other row appear twice or not at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from fastapi import Query
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

Row = TypeVar("Row")

Limit = Annotated[int, Query(ge=1, le=100)]


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Rows, and the key that the next page comes after; None when these are the last."""

    items: Sequence[Row]
    next_cursor: UUID | None


async def fetch_page(
    session: AsyncSession, query: Select[Row], key: InstrumentedAttribute[UUID], limit: int, after: UUID | None
) -> Page[Row]:
    """Return the first `limit` rows of `query` after the key `after`, in the order of `key`, which must be unique."""
    if after:
        query = query.where(key > after)
    rows = (await session.scalars(query.order_by(key).limit(limit + 1))).all()  # one more tells whether it goes on
    return Page(rows[:limit], getattr(rows[limit - 1], key.key) if len(rows) > limit else None)
