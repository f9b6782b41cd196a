"""What can be done with users. The session comes first, and its owner commits."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import violates
from app.errors import Conflict, NotFound
from app.paging import Page, fetch_page
from app.users.models import User
from app.users.schemas import UserChange, UserCreate

Result = TypeVar("Result")


class EmailTaken(Conflict):
    title = "Email taken"


async def create_user(session: AsyncSession, new: UserCreate) -> User:
    user = User(**new.model_dump())
    session.add(user)
    with _unique_email():
        await session.flush()
    return user


async def get_user(session: AsyncSession, user_id: UUID) -> User:
    return _found(await session.get(User, user_id))


async def list_users(session: AsyncSession, limit: int, after: UUID | None) -> Page[User]:
    """Oldest first."""
    return await fetch_page(session, select(User), User.id, limit, after)


async def change_user(session: AsyncSession, user_id: UUID, change: UserChange) -> User:
    values = change.model_dump()
    if not values:
        return await get_user(session, user_id)
    # Reading and writing in one statement leaves no moment in which somebody else could delete the row.
    statement = update(User).where(User.id == user_id).values(values).returning(User)
    with _unique_email():
        return _found(await session.scalar(statement))


async def delete_user(session: AsyncSession, user_id: UUID) -> None:
    _found(await session.scalar(delete(User).where(User.id == user_id).returning(User.id)))


def _found(result: Result | None) -> Result:
    if result is None:
        raise NotFound("There is no such user.")
    return result


@contextmanager
def _unique_email() -> Iterator[None]:
    # Asking first whether the address is free would still let two requests at once through.
    try:
        yield
    except IntegrityError as error:
        if violates(error, "uq_users_email_lower"):
            raise EmailTaken("Another user has this e-mail address.") from error
        raise
