"""The tables of accounts and sessions. Secrets are kept as hashes, so that a stolen copy opens nothing."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base, Key
from app.users.models import User


class SignUp(Base):
    """An account that becomes one when its address is confirmed; until then it takes the address from nobody."""

    __tablename__ = "sign_ups"

    id: Mapped[Key]
    email: Mapped[str]
    name: Mapped[str]
    password_hash: Mapped[str]
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    idempotency_hash: Mapped[bytes | None] = mapped_column(unique=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Credential(Base):
    __tablename__ = "credentials"

    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), primary_key=True)
    password_hash: Mapped[str]
    changed_at: Mapped[datetime]


class LoginSession(Base):
    """A login and all that follows from it. Its tokens change; its family is what they have in common."""

    __tablename__ = "sessions"

    id: Mapped[Key]
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    family_hash: Mapped[bytes] = mapped_column(unique=True)
    refresh_hash: Mapped[bytes]
    access_hash: Mapped[bytes] = mapped_column(unique=True)
    access_expires_at: Mapped[datetime]
    idle_expires_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    device: Mapped[str]
    network: Mapped[str]


class EmailToken(Base):
    """What a link in a mail is good for, once. Without a user it is good for nothing (see `forgot_password`)."""

    __tablename__ = "email_tokens"

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    purpose: Mapped[str]
    new_email: Mapped[str | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Attempt(Base):
    """How often something was tried in a window of time."""

    __tablename__ = "attempts"

    key: Mapped[bytes] = mapped_column(primary_key=True)
    count: Mapped[int]
    ends_at: Mapped[datetime] = mapped_column(index=True)
