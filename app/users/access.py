"""Who sends a request, and what for each role is allowed: `CurrentUser` and `Administrator` in a route's parameters."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, NamedTuple
from uuid import UUID

import structlog
from fastapi import Depends, Request
from fastapi.security import OAuth2PasswordBearer

from app.errors import Problem
from app.users.models import Role, User


class Caller(NamedTuple):
    """The user who sends the request, as the database knows them at this moment."""

    id: UUID
    email: str
    name: str
    role: Role
    active: bool
    version: int
    created_at: datetime
    updated_at: datetime
    session_id: UUID

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN


# What an implementation of `identify` reads of the user, in the order of the fields above.
COLUMNS = (User.id, User.email, User.name, User.role, User.active, User.version, User.created_at, User.updated_at)


class LoggedIn(OAuth2PasswordBearer):
    """The dependency that tells who sends a request; in OpenAPI the way to log in, which /docs offers as a form."""

    async def __call__(self, request: Request) -> Caller:  # type: ignore[override]
        # app/auth puts there how a request proves who sends it. Where nothing does, nobody is anybody.
        identify: Callable[[Request], Awaitable[Caller | None]] | None = getattr(request.app.state, "identify", None)
        caller = await identify(request) if identify else None
        if caller is None:
            raise Problem(401, "Log in first.")
        structlog.contextvars.bind_contextvars(user_id=str(caller.id))  # for each line that this request writes
        return caller


CurrentUser = Annotated[Caller, Depends(LoggedIn("/auth/token", scheme_name="login"))]


def require(role: Role) -> Callable[[Caller], Awaitable[Caller]]:
    """Return a dependency that lets only this role pass. Finer permissions go here."""

    async def check(caller: CurrentUser) -> Caller:
        if caller.role is not role:
            raise Problem(403, f"Only for the role {role.value}.")
        return caller

    return check


Administrator = Annotated[Caller, Depends(require(Role.ADMIN))]
