"""What requests may contain, and what answers do."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import MISSING, AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from app.users.models import Role

MAX_FIELDS = 100


def valid_email(value: str) -> str:
    from email_validator import EmailNotValidError, validate_email  # with the first: a start need not wait for it

    try:
        return validate_email(value, check_deliverability=False).normalized
    except EmailNotValidError:
        raise ValueError("not a valid e-mail address") from None  # the library's message repeats the input


Email = Annotated[
    str,
    Field(max_length=254, examples=["ada@example.com"], json_schema_extra={"format": "email"}),
    AfterValidator(valid_email),
]
# No control characters: PostgreSQL cannot store NUL, and the others only serve to forge lines in logs and mails.
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$"),
    Field(examples=["Ada Lovelace"]),
]


class Body(BaseModel):
    """What a request may contain: nothing but the fields of the model."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _is_small(cls, value: object) -> object:
        # An error for each of 100,000 fields would keep everybody else waiting for a second.
        if isinstance(value, dict) and len(value) > MAX_FIELDS:
            raise ValueError("too many fields")
        return value


class UserChange(Body):
    """Fields that are left out stay as they are. None of them may be null."""

    name: Name | MISSING = MISSING


class UserAdministration(UserChange):
    """What an administrator may change of somebody else."""

    role: Role | MISSING = MISSING
    active: Annotated[bool, Field(strict=True)] | MISSING = MISSING


class UserRead(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    email: str
    name: str
    role: Role
    active: bool
    created_at: datetime
    updated_at: datetime
