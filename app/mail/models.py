"""The outbox: mails that have been written and not yet handed over."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base, CreatedAt, Key


class Mail(Base):
    """A row is deleted as soon as the mail is handed over: links in it open accounts."""

    __tablename__ = "outbox"

    id: Mapped[Key]
    recipient: Mapped[str]
    subject: Mapped[str]
    body: Mapped[str]
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime] = mapped_column(index=True)
    created_at: Mapped[CreatedAt]
