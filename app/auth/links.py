"""Mails about accounts, and the links in them: each is good for one thing, once, and for a while."""

from datetime import timedelta
from pathlib import Path
from secrets import token_urlsafe
from typing import Literal
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, Select, delete, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from app import clock
from app.auth.models import Credential, EmailToken
from app.auth.sessions import Visit, digest
from app.auth.throttle import Limit, folded, take
from app.config import NAME
from app.errors import Problem
from app.mail.outbox import post
from app.users.models import User

log = structlog.get_logger(__name__)

Purpose = Literal["reset_password", "change_email"]

MAILS = Path(__file__).parent / "mails"
SIGN_UP_HOURS = 24
LINK_MINUTES = 30

# Mails to one address; more are not sent, and nobody is told. Each kind counts for itself: whoever makes us send one
# must not keep another away, above all that which lets an owner in again. No longer than their links are good for: else
# whoever asks for all of them would keep the owner out from when these have expired until there may be more.
MAIL_HERE = Limit("mail to one address because of one network", 3, timedelta(minutes=LINK_MINUTES))
MAIL_ADDRESS = Limit("mail to one address", 10, timedelta(minutes=LINK_MINUTES))


async def may_mail(visit: Visit, email: str, kind: str) -> bool:
    address = folded(email)
    if await take(visit.attempts, MAIL_HERE.of(kind, visit.network, address), MAIL_ADDRESS.of(kind, address)):
        log.warning("mail withheld")
        return False
    return True


def mail(session: AsyncSession, visit: Visit, address: str, name: str, template: str, token: str = "") -> None:
    words = {"product": NAME, "site": visit.settings.public_url, "minutes": str(LINK_MINUTES)}
    post(session, address, MAILS / f"{template}.txt", name=name, token=token, hours=str(SIGN_UP_HOURS), **words)


def new_email_token(session: AsyncSession, user_id: UUID | None, purpose: Purpose, new_email: str | None = None) -> str:
    now, token = clock.now(), token_urlsafe(32)
    what = {"user_id": user_id, "purpose": purpose, "new_email": new_email}
    end = now + timedelta(minutes=LINK_MINUTES)
    session.add(EmailToken(token_hash=digest(token), created_at=now, expires_at=end, **what))
    return token


def _usable(token: str, purpose: Purpose) -> tuple[ColumnElement[bool], ...]:
    # Bound to the password: one that was set after the link was made voids it.
    newer = exists().where(Credential.user_id == EmailToken.user_id, Credential.changed_at > EmailToken.created_at)
    known = EmailToken.token_hash == digest(token), EmailToken.purpose == purpose
    return *known, EmailToken.expires_at > clock.now(), ~newer


async def use_email_token(session: AsyncSession, token: str, purpose: Purpose) -> tuple[User, str | None]:
    """Return whose it is, who stays as they are until the commit, and the new address."""
    # Whoever deletes a user locks them before all that is theirs; in another order the two would wait for each other.
    owner = await session.scalar(owner_of(token, purpose).with_for_update(of=User, key_share=True))
    used = await session.scalar(delete(EmailToken).where(*_usable(token, purpose)).returning(EmailToken))
    if owner is None or used is None:
        raise invalid_link()
    return owner, used.new_email


def owner_of(token: str, purpose: Purpose) -> Select[User]:
    return select(User).join(EmailToken).where(*_usable(token, purpose), User.active)


def invalid_link() -> Problem:
    return Problem(400, "The link is unknown, used up or expired. Ask for another one.", title="Invalid link")
