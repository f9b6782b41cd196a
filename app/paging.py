"""Lists in pages, each after the last key of the one before (keyset): it costs no more, and skips or repeats no row."""

from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

Read = TypeVar("Read")

Limit = Annotated[int, Query(ge=1, le=100)]


class Page(BaseModel, Generic[Read]):
    """`next_cursor` is the key that the next page comes after; None when this is the last."""

    items: list[Read]
    next_cursor: UUID | None


async def fetch_page(
    session: AsyncSession,
    read: type[BaseModel],
    key: InstrumentedAttribute[UUID],
    limit: int,
    after: UUID | None,
    *where: ColumnElement[bool],
) -> Page[Any]:
    """Return the first `limit` rows after the key `after`, in the order of `key`, which must be unique.

    Of the table it reads only the columns that `read` has as fields; they become a `read` in the answer.
    """
    model, fields = key.class_, list(read.model_fields)
    query = select(*(getattr(model, field) for field in fields)).order_by(key).limit(limit + 1)
    rows = (await session.execute(query.where(*where, *((key > after,) if after else ())))).all()
    more = len(rows) > limit  # the one row more tells whether it goes on
    items = [dict(zip(fields, row, strict=True)) for row in rows[:limit]]
    return Page[Any](items=items, next_cursor=items[-1][key.key] if more else None)
