"""The table of users."""

from sqlalchemy import Index, func
from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base, CreatedAt, Key, UpdatedAt


class User(Base):
    __tablename__ = "users"

    id: Mapped[Key]
    email: Mapped[str] = mapped_column()
    name: Mapped[str]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]

    # One account per address, whatever its case. The database decides, so that no race can make two.
    unique_email = Index("uq_users_email_lower", func.lower(email), unique=True)
    __table_args__ = (unique_email,)
