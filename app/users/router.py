"""Users over HTTP: oneself, and for administrators everybody."""

import re
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import StringConstraints

from app.database import Session
from app.errors import HEADER, Problem, problems
from app.paging import Limit, Page
from app.users import service
from app.users.access import Administrator, Caller, CurrentUser
from app.users.models import User
from app.users.schemas import UserAdministration, UserChange, UserRead

router = APIRouter(prefix="/users", tags=["users"], responses=problems(401, 503))

TAGGED: dict[int | str, dict[str, Any]] = {200: {"headers": {"ETag": HEADER}}}
Search = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$"), Query()]


async def _expected_versions(if_match: Annotated[str | None, Header(max_length=200)] = None) -> list[int] | None:
    """Return the versions that the client would change; None when it would change any."""
    if if_match is None or if_match.strip() == "*":
        return None
    # What is no tag of ours matches nothing, and neither does a weak one.
    tags = (re.fullmatch(r'\s*"([1-9][0-9]{0,8})"\s*', tag) for tag in if_match.split(","))
    return [int(tag[1]) for tag in tags if tag]


ExpectedVersions = Annotated[list[int] | None, Depends(_expected_versions)]


async def _visible_user(user_id: UUID, caller: CurrentUser) -> UUID:
    # To all others a user whom they may not see does not exist.
    if caller.id != user_id and not caller.is_admin:
        raise Problem(404, "There is no such user.")
    return user_id


VisibleUser = Annotated[UUID, Depends(_visible_user)]


def _tagged(response: Response, user: User | Caller) -> User | Caller:
    response.headers["ETag"] = f'"{user.version}"'
    return user


@router.get("/me", response_model=UserRead, responses=TAGGED)
async def get_me(caller: CurrentUser, response: Response) -> User | Caller:
    return _tagged(response, caller)


@router.patch("/me", response_model=UserRead, responses=TAGGED | problems(403, 404, 412))
async def change_me(
    change: UserChange, versions: ExpectedVersions, caller: CurrentUser, session: Session, response: Response
) -> User | Caller:
    return _tagged(response, await service.change_user(session, caller.id, change, versions))


@router.get("", responses=problems(403))
async def list_users(
    _: Administrator, session: Session, limit: Limit = 20, cursor: UUID | None = None, search: Search | None = None
) -> Page[UserRead]:
    return await service.list_users(session, limit, cursor, search)


@router.get("/{user_id}", response_model=UserRead, responses=TAGGED | problems(404))
async def get_user(user_id: VisibleUser, session: Session, response: Response) -> User | Caller:
    return _tagged(response, await service.get_user(session, user_id))


@router.patch("/{user_id}", response_model=UserRead, responses=TAGGED | problems(403, 404, 409, 412))
async def administer_user(
    user_id: VisibleUser,
    admin: Administrator,
    change: UserAdministration,
    versions: ExpectedVersions,
    session: Session,
    response: Response,
) -> User | Caller:
    return _tagged(response, await service.administer_user(session, admin, user_id, change, versions))
