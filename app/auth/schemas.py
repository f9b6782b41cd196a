"""What requests may contain, and what answers do."""

from contextlib import suppress
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from app.auth.passwords import MAX_BYTES
from app.users.schemas import Body, Email, Name, valid_email


def _storable(password: str) -> str:
    if len(password.encode()) > MAX_BYTES:
        raise ValueError(f"at most {MAX_BYTES} bytes")
    return password


# How short it may be is a setting, and checked where it is set.
Password = Annotated[
    str,
    Field(min_length=1, max_length=MAX_BYTES, examples=["four words are easy"]),
    Field(json_schema_extra={"format": "password"}),
    AfterValidator(_storable),
]
Token = Annotated[str, Field(min_length=20, max_length=100, pattern=r"^[A-Za-z0-9_-]+$", examples=["A" * 43])]


def _as_kept(email: str) -> str:
    with suppress(ValueError):  # what is no address is as unknown as any other
        return valid_email(email)
    return email


class NewAccount(Body):
    email: Email
    name: Name
    password: Password


class Login(Body):
    email: Annotated[str, Field(max_length=254, examples=["ada@example.com"]), AfterValidator(_as_kept)]
    password: Password
    cookies: Annotated[bool, Field(strict=True)] = False  # the tokens come as such, which scripts cannot read


class Refresh(Body):
    refresh_token: Token | None = None  # None: the one in the cookie


class EmailAddress(Body):
    email: Email


class Confirmation(Body):
    token: Token


class PasswordReset(Confirmation):
    new_password: Password


class PasswordOnly(Body):
    password: Password


class PasswordChange(PasswordOnly):
    new_password: Password


class EmailChange(PasswordOnly):
    new_email: Email


class Tokens(BaseModel):
    """Both are left out where they come as cookies."""

    access_token: str | None = None
    refresh_token: str | None = None
    token_type: str = "Bearer"  # noqa: S105 - a type, not a token
    expires_in: int


class Sent(BaseModel):
    """The same whether or not there is such an account."""

    detail: str = "If this can be done, a mail is on its way."


class SessionRead(BaseModel):
    id: UUID
    device: str
    network: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    current: bool


class SessionList(BaseModel):
    items: list[SessionRead]
