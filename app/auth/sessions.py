"""Sessions: opened by a login, carried on by refresh tokens, recognised by access tokens, and ended.

Both tokens are random and stored as SHA-256 only, and every request asks the database: what was ended is refused at
once, and there is no signing key to lose. A refresh token begins with the secret of its family, so one that was used
before is told from one that never existed: it ends the session, because one of the two who have it has stolen it.
"""

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import NamedTuple
from uuid import UUID

import structlog
from fastapi import Request
from sqlalchemy import BindParameter, ColumnElement, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import clock
from app.auth.cookies import read_access_token
from app.auth.models import LoginSession
from app.auth.passwords import Passwords
from app.auth.throttle import Sessions, network_of
from app.config import Settings
from app.database import Lookup
from app.errors import Problem
from app.users.access import COLUMNS, Caller
from app.users.models import Role, User

log = structlog.get_logger(__name__)

FAMILY_BYTES = 16
DEVICE_LENGTH = 200
TRY_ANOTHER = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class Visit(NamedTuple):
    """What a request brings along."""

    sessions: Sessions
    passwords: Passwords
    settings: Settings
    network: str
    device: str


class NewTokens(NamedTuple):
    access: str
    refresh: str
    access_seconds: int
    refresh_expires_at: datetime


def invalid_token() -> Problem:
    return Problem(401, "The token is unknown, used up or expired.", title="Invalid token", headers=TRY_ANOTHER)


def new_token() -> str:
    return secrets.token_urlsafe(32)


def digest(secret: str | bytes) -> bytes:
    """Return what is stored of a random secret; it needs no slow hash, because nobody can guess it."""
    return sha256(secret.encode() if isinstance(secret, str) else secret).digest()


async def visit_of(request: Request) -> Visit:
    state, network = request.app.state, network_of(request.scope["state"]["address"])
    agent = request.headers.get("user-agent", "")[:DEVICE_LENGTH]
    device = "".join(character for character in agent if character.isprintable())
    return Visit(state.sessions, state.passwords, state.settings, network, device)


def open_session(session: AsyncSession, user_id: UUID, visit: Visit) -> NewTokens:
    now, family = clock.now(), secrets.token_bytes(FAMILY_BYTES)
    end = now + timedelta(days=visit.settings.session_days)
    login = LoginSession(user_id=user_id, family_hash=digest(family), created_at=now, expires_at=end)
    login.device, login.network = visit.device, visit.network
    session.add(login)
    return _issue(login, family, visit.settings)


def _issue(login: LoginSession, family: bytes, settings: Settings) -> NewTokens:
    now, access, secret = clock.now(), new_token(), secrets.token_bytes(32)
    login.access_hash, login.refresh_hash = digest(access), digest(secret)
    login.last_used_at = now
    login.access_expires_at = min(now + timedelta(minutes=settings.access_minutes), login.expires_at)
    login.idle_expires_at = min(now + timedelta(days=settings.session_idle_days), login.expires_at)
    seconds = int((login.access_expires_at - now).total_seconds())
    return NewTokens(access, urlsafe_b64encode(family + secret).decode(), seconds, login.idle_expires_at)


def _alive(now: datetime | BindParameter[datetime]) -> tuple[ColumnElement[bool], ...]:
    return (
        LoginSession.ended_at.is_(None),
        LoginSession.idle_expires_at > now,
        LoginSession.expires_at > now,
        LoginSession.created_at >= User.sessions_since,
        User.active.is_(True),
    )


async def refresh(visit: Visit, token: str) -> NewTokens:
    """Exchange a refresh token for new tokens. It commits by itself: a session ended by reuse must stay ended."""
    now = clock.now()
    try:
        raw = urlsafe_b64decode(token.encode())
    except ValueError:
        raise invalid_token() from None
    family, secret = raw[:FAMILY_BYTES], raw[FAMILY_BYTES:]
    of_family = select(LoginSession).join(User).where(LoginSession.family_hash == digest(family), *_alive(now))
    async with visit.sessions.begin() as session:
        login = await session.scalar(of_family.with_for_update(of=LoginSession))
        if login and compare_digest(login.refresh_hash, digest(secret)):
            return _issue(login, family, visit.settings)
        if login and now < login.last_used_at:
            # Both were under way when the token was exchanged, as from two tabs of a browser: no theft, and no tokens.
            detail = "Another request has just exchanged this token. Use what it got."
            raise Problem(401, detail, title="Refreshed meanwhile", headers=TRY_ANOTHER)
        if login:
            login.ended_at = now
            log.warning("refresh token reused", user_id=str(login.user_id), session_id=str(login.id))
    raise invalid_token()


CALLER = Lookup(
    select(*COLUMNS, LoginSession.id)
    .join(User, User.id == LoginSession.user_id)
    .where(LoginSession.access_hash == bindparam("access_hash"), LoginSession.access_expires_at > bindparam("now"))
    .where(*_alive(bindparam("now")))
)


async def identify(request: Request) -> Caller | None:
    """Return who sends the request; None without a token. One round trip to the database, and no transaction."""
    token = read_access_token(request)
    if token is None:
        return None
    rows = await request.app.state.lookups.fetch(CALLER, access_hash=digest(token), now=clock.now())
    if not rows:
        raise invalid_token()
    user_id, email, name, role, *rest = rows[0]
    return Caller(user_id, email, name, Role(role), *rest)


async def list_sessions(session: AsyncSession, user_id: UUID) -> Sequence[LoginSession]:
    """Return those that are not over, the last used first."""
    own = select(LoginSession).join(User).where(LoginSession.user_id == user_id, *_alive(clock.now()))
    return (await session.scalars(own.order_by(LoginSession.last_used_at.desc()).limit(100))).all()


async def end_session(session: AsyncSession, user_id: UUID, session_id: UUID) -> None:
    own = LoginSession.user_id == user_id, LoginSession.id == session_id, LoginSession.ended_at.is_(None)
    statement = update(LoginSession).where(*own).values(ended_at=clock.now()).returning(LoginSession.id)
    if await session.scalar(statement) is None:
        raise Problem(404, "There is no such session.")
    log.info("session ended", user_id=str(user_id), session_id=str(session_id))


async def end_sessions(session: AsyncSession, user_id: UUID, *, but: UUID | None = None) -> None:
    """End all sessions of a user, except one."""
    others = (LoginSession.id != but,) if but else ()
    ended = update(LoginSession).where(LoginSession.user_id == user_id, LoginSession.ended_at.is_(None), *others)
    await session.execute(ended.values(ended_at=clock.now()))
    log.info("sessions ended", user_id=str(user_id), but=str(but) if but else None)
