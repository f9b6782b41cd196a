"""Mails about accounts, and the links in them: each is good for one thing, once, and for a while."""

from datetime import timedelta
from pathlib import Path
from secrets import token_urlsafe
from typing import Literal
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, delete, exists
from sqlalchemy.ext.asyncio import AsyncSession

from app import clock
from app.auth.models import Credential, EmailToken
from app.auth.sessions import Visit, digest
from app.auth.throttle import Limit, folded, take
from app.config import NAME
from app.errors import Problem
from app.mail.outbox import post

log = structlog.get_logger(__name__)

Purpose = Literal["reset_password", "change_email"]

MAILS = Path(__file__).parent / "mails"
SIGN_UP_HOURS = 24
LINK_MINUTES = 30

# Mails to one address; more are not sent, and nobody is told.
MAIL_HERE = Limit("mail to one address because of one network", 3, timedelta(hours=1))
MAIL_ADDRESS = Limit("mail to one address", 20, timedelta(hours=1))


async def may_mail(visit: Visit, email: str) -> bool:
    address = folded(email)
    if await take(visit.attempts, MAIL_HERE.of(visit.network, address), MAIL_ADDRESS.of(address)):
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


def usable(token: str, purpose: Purpose) -> tuple[ColumnElement[bool], ...]:
    # Bound to the password: one that was set after the link was made voids it.
    newer = exists().where(Credential.user_id == EmailToken.user_id, Credential.changed_at > EmailToken.created_at)
    known = EmailToken.token_hash == digest(token), EmailToken.purpose == purpose
    return *known, EmailToken.expires_at > clock.now(), ~newer


async def use_email_token(session: AsyncSession, token: str, purpose: Purpose) -> EmailToken:
    deleted = delete(EmailToken).where(*usable(token, purpose))
    used: EmailToken | None = await session.scalar(deleted.returning(EmailToken))
    if used is None:
        raise invalid_link()
    return used


def invalid_link() -> Problem:
    return Problem(400, "The link is unknown, used up or expired. Ask for another one.", title="Invalid link")
