"""What can be done with users. The session comes first, and its owner commits."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import BindParameter, ColumnElement, case, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app import clock
from app.errors import Problem
from app.paging import Page, fetch_page
from app.users.access import Caller
from app.users.models import Role, User
from app.users.schemas import UserAdministration, UserChange, UserRead

log = structlog.get_logger(__name__)

CLOCKS_DIFFER = timedelta(minutes=5)  # so that the first login may be on a host whose clock is behind


async def create_user(session: AsyncSession, email: str, name: str, role: Role = Role.USER) -> User:
    user = User(email=email, name=name, role=role, sessions_since=clock.now() - CLOCKS_DIFFER)
    session.add(user)
    with unique_email():
        await session.flush()
    return user


async def get_user(session: AsyncSession, user_id: UUID) -> User:
    user = await session.get(User, user_id)
    if user is None:
        raise Problem(404, "There is no such user.")
    return user


async def list_users(session: AsyncSession, limit: int, after: UUID | None, search: str | None) -> Page[UserRead]:
    """Oldest first; `search` is a part of the e-mail address or the name."""
    where = [or_(*(c.icontains(search, autoescape=True) for c in (User.email, User.name)))] if search else []
    return await fetch_page(session, UserRead, User.id, limit, after, *where)


async def change_user(
    session: AsyncSession, user_id: UUID, change: UserChange, versions: Collection[int] | None = None
) -> User:
    """Change the fields that are set, of one of these versions where any are given."""
    values = change.model_dump()
    if (active := values.get("active")) is not None:
        # Also when the account is opened again: a login may have come between while it was being closed.
        values["sessions_since"] = case((User.active & active, User.sessions_since), else_=clock.now())
    expected = () if versions is None else (User.version.in_(versions),)
    # Reading and writing in one statement leaves no moment in which somebody else could delete the row.
    statement = update(User).where(User.id == user_id, *expected).returning(User)
    if values and (changed := await session.scalar(statement.values(**values, version=User.version + 1))):
        return changed
    user = await get_user(session, user_id)
    if versions is not None and user.version not in versions:
        raise Problem(412, "The user has been changed since you read it. Read it again.")
    return user


async def keep_an_administrator(session: AsyncSession, user_id: UUID) -> None:
    """Raise when there would be none without this user; nobody else can reduce them until the transaction ends."""
    # Of two who go at once, one waits here, and then sees who is left.
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtext("administrators"))))
    first_two = select(User.id).where(User.role == Role.ADMIN, User.active).limit(2)
    if (await session.scalars(first_two)).all() == [user_id]:
        raise Problem(409, "Somebody else has to become an administrator first.", title="Last administrator")


async def administer_user(
    session: AsyncSession, admin: Caller, user_id: UUID, change: UserAdministration, versions: Collection[int] | None
) -> User:
    """Change somebody else, as an administrator; so there is always one left who can undo it."""
    values = change.model_dump(include={"role", "active"})
    if user_id == admin.id and values:
        raise Problem(409, "Another administrator has to change your role or deactivate you.", title="Own account")
    if values:
        await keep_an_administrator(session, user_id)
    user = await change_user(session, user_id, change, versions)
    for field, value in values.items():
        log.info("user administered", by=str(admin.id), user_id=str(user_id), **{field: value})
    return user


def has_email(email: str | BindParameter[str]) -> ColumnElement[bool]:
    return func.lower(User.email) == func.lower(email)


@contextmanager
def unique_email() -> Iterator[None]:
    """Turn the database's refusal of a second user with the same address into an answer."""
    # Asking first whether the address is free would still let two requests at once through.
    try:
        yield
    except IntegrityError as error:
        if getattr(error.driver_exception, "constraint_name", None) == User.unique_email.name:
            raise Problem(409, "Another user has this e-mail address.", title="Email taken") from error
        raise
