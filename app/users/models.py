"""The table of users."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Enum, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base, CreatedAt, Key, UpdatedAt


class Role(StrEnum):
    USER = "user"
    ADMIN = "admin"


class User(Base):
    __tablename__ = "users"

    id: Mapped[Key]
    email: Mapped[str] = mapped_column()
    name: Mapped[str]
    # As text with a CHECK: a new role is a new CHECK, and not a change of a type that other tables use.
    role: Mapped[Role] = mapped_column(
        Enum(Role, values_callable=list, native_enum=False, create_constraint=True, length=20, name="role"),
        default=Role.USER,
        server_default=Role.USER.value,
    )
    active: Mapped[bool] = mapped_column(default=True, server_default=text("true"))
    # Counts the changes, for clients that must not overwrite what they have not seen.
    version: Mapped[int] = mapped_column(default=1, server_default=text("1"))
    # Sessions from before this moment are over, however they are kept.
    sessions_since: Mapped[datetime] = mapped_column(server_default=func.now())
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]

    # One account per address, whatever its case. The database decides, so that no race can make two.
    unique_email = Index("uq_users_email_lower", func.lower(email), unique=True)
    __table_args__ = (unique_email,)
