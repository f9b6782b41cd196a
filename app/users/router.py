"""Users over HTTP."""

from uuid import UUID

from fastapi import APIRouter, Request, Response, status

from app.database import Session
from app.errors import problems
from app.paging import Cursor, Limit, Page
from app.users import service
from app.users.models import User
from app.users.schemas import UserChange, UserCreate, UserPage, UserRead

router = APIRouter(prefix="/users", tags=["users"], responses=problems(503))


@router.post("", status_code=status.HTTP_201_CREATED, response_model=UserRead, responses=problems(409))
async def create_user(new: UserCreate, session: Session, request: Request, response: Response) -> User:
    user = await service.create_user(session, new)
    response.headers["Location"] = request.url_for("get_user", user_id=user.id).path
    return user


@router.get("", response_model=UserPage)
async def list_users(session: Session, limit: Limit = 20, cursor: Cursor | None = None) -> Page[User]:
    return await service.list_users(session, limit, cursor)


@router.get("/{user_id}", response_model=UserRead, responses=problems(404))
async def get_user(user_id: UUID, session: Session) -> User:
    return await service.get_user(session, user_id)


@router.patch("/{user_id}", response_model=UserRead, responses=problems(404, 409))
async def change_user(user_id: UUID, change: UserChange, session: Session) -> User:
    return await service.change_user(session, user_id, change)


@router.delete("/{user_id}", status_code=status.HTTP_204_NO_CONTENT, responses=problems(404))
async def delete_user(user_id: UUID, session: Session) -> None:
    await service.delete_user(session, user_id)
