"""Sessions: opened by a login, carried on by refresh tokens, recognised by access tokens, and ended.

How tokens are kept and how reuse is noticed, with the reasons: docs/accounts.md.
"""

from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from hmac import compare_digest
from secrets import token_urlsafe
from typing import Annotated, NamedTuple
from uuid import UUID

import structlog
from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import BindParameter, ColumnElement, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import aliased

from app import clock
from app.auth.models import LoginSession
from app.auth.passwords import Passwords
from app.auth.schemas import Refresh, SessionList, SessionRead, Tokens
from app.auth.throttle import network_of
from app.config import Settings
from app.database import Lookup, Lookups, Session
from app.errors import Problem, problems
from app.users.access import COLUMNS, Caller, CurrentUser
from app.users.models import Role, User

log = structlog.get_logger(__name__)
router = APIRouter(prefix="/auth", tags=["auth"], responses=problems(503))

FAMILY_LENGTH = 22  # characters: 16 random bytes
DEVICE_LENGTH = 200
TABS = timedelta(seconds=5)  # in which other tabs may send a cookie that one has exchanged: its answer is on the way
# A browser takes __Host- from this host alone: another one of the domain cannot put its own session in their place.
ACCESS_COOKIE, REFRESH_COOKIE = "__Host-access", "__Host-refresh"
CSRF_HEADER = "X-CSRF"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
TRY_ANOTHER = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class Visit(NamedTuple):
    """What a request brings along, and the answer that may get cookies."""

    sessions: async_sessionmaker[AsyncSession]
    attempts: Lookups
    passwords: Passwords
    settings: Settings
    network: str
    device: str
    response: Response


async def _visit_of(request: Request, response: Response) -> Visit:
    state, network = request.app.state, network_of(request.scope["state"]["address"])
    device = "".join(filter(str.isprintable, request.headers.get("user-agent", "")[:DEVICE_LENGTH]))
    return Visit(state.sessions, state.attempts, state.passwords, state.settings, network, device, response)


ThisVisit = Annotated[Visit, Depends(_visit_of)]


def digest(secret: str) -> bytes:
    """Return what is stored of a random secret; it needs no slow hash, because nobody can guess it."""
    return sha256(secret.encode()).digest()


def open_session(session: AsyncSession, user_id: UUID, visit: Visit, *, cookies: bool = False) -> Tokens:
    now, family = clock.now(), token_urlsafe(16)
    end = now + timedelta(days=visit.settings.session_days)
    login = LoginSession(user_id=user_id, family_hash=digest(family), created_at=now, expires_at=end)
    login.device, login.network = visit.device, visit.network
    session.add(login)
    return _issue(login, family, visit, cookies=cookies)


def _issue(login: LoginSession, family: str, visit: Visit, *, cookies: bool) -> Tokens:
    now, settings, access, secret = clock.now(), visit.settings, token_urlsafe(32), token_urlsafe(32)
    login.access_hash, login.refresh_hash, login.last_used_at = digest(access), digest(secret), now
    login.access_expires_at = min(now + timedelta(minutes=settings.access_minutes), login.expires_at)
    login.idle_expires_at = min(now + timedelta(days=settings.session_idle_days), login.expires_at)
    seconds = int((login.access_expires_at - now).total_seconds())
    if cookies:
        put = partial(visit.response.set_cookie, httponly=True, secure=True, samesite="lax")
        put(ACCESS_COOKIE, access, max_age=seconds)
        put(REFRESH_COOKIE, family + secret, expires=login.idle_expires_at)
        return Tokens(expires_in=seconds)
    return Tokens(access_token=access, refresh_token=family + secret, expires_in=seconds)


def clear_cookies(response: Response) -> None:
    for name in (ACCESS_COOKIE, REFRESH_COOKIE):
        response.delete_cookie(name, httponly=True, secure=True, samesite="lax")


def _alive(now: datetime | BindParameter[datetime]) -> tuple[ColumnElement[bool], ...]:
    return (
        LoginSession.ended_at.is_(None),
        LoginSession.idle_expires_at > now,  # which is never later than its end
        LoginSession.created_at >= User.sessions_since,
        User.active.is_(True),
    )


CALLER = Lookup(
    select(*COLUMNS, LoginSession.id)
    .join(User, User.id == LoginSession.user_id)
    .where(LoginSession.access_hash == bindparam("access_hash"), LoginSession.access_expires_at > bindparam("now"))
    .where(*_alive(bindparam("now")))
)


async def identify(request: Request) -> Caller | None:
    """Return who sends the request; None without a token. One round trip to the database, and no transaction."""
    token = _read_access_token(request)
    if token is None:
        return None
    rows = await request.app.state.lookups.fetch(CALLER, access_hash=digest(token), now=clock.now())
    if not rows:
        raise _invalid_token()
    user_id, email, name, role, *rest = rows[0]
    return Caller(user_id, email, name, Role(role), *rest)


def _read_access_token(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":  # another one may be for a proxy in front of us
        return token.strip()
    return _read_cookie(request, ACCESS_COOKIE)


def _read_cookie(request: Request, name: str) -> str | None:
    cookie = request.cookies.get(name)
    # A page of another site can make a browser send our cookies, but no header of its own without our CORS permission.
    if cookie is not None and request.method not in SAFE_METHODS and not request.headers.get(CSRF_HEADER):
        detail = f"With cookies, a request that changes something needs the header {CSRF_HEADER}: 1."
        raise Problem(403, detail, title="CSRF header missing")
    return cookie


def _invalid_token() -> Problem:
    return Problem(401, "The token is unknown, used up or expired.", title="Invalid token", headers=TRY_ANOTHER)


@router.post("/refresh", response_model_exclude_none=True, responses=problems(401, 403))
async def refresh(body: Refresh, visit: ThisVisit, request: Request) -> Tokens:
    """Exchange a refresh token for new tokens. Each works once: a second use ends the session."""
    now, cookies = clock.now(), body.refresh_token is None
    token = body.refresh_token or _read_cookie(request, REFRESH_COOKIE) or ""
    family, secret = token[:FAMILY_LENGTH], token[FAMILY_LENGTH:]
    # As it is when we look; the row itself comes when we have waited for whoever exchanges the token, as they left it.
    seen = aliased(LoginSession)
    good = select(seen.refresh_hash == digest(secret)).where(seen.id == LoginSession.id).scalar_subquery()
    found = select(LoginSession, good).join(User).where(LoginSession.family_hash == digest(family), *_alive(now))
    async with visit.sessions.begin() as session:
        login, was_good = (await session.execute(found.with_for_update(of=LoginSession))).one_or_none() or (None, False)
        if login and compare_digest(login.refresh_hash, digest(secret)):
            return _issue(login, family, visit, cookies=cookies)
        if login and (was_good or now < login.last_used_at + (TABS if cookies else timedelta(0))):
            # Both were under way when the token was exchanged, as from two tabs of a browser: no theft, and no tokens.
            detail = "Another request has just exchanged this token. Use what it got."
            raise Problem(401, detail, title="Refreshed meanwhile", headers=TRY_ANOTHER)
        if login:
            login.ended_at = now
            log.warning("refresh token reused", user_id=str(login.user_id), session_id=str(login.id))
    raise _invalid_token()  # after the commit: a session ended by reuse must stay ended


@router.get("/sessions", responses=problems(401))
async def list_sessions(caller: CurrentUser, session: Session) -> SessionList:
    """Where I am logged in, last used first; `last_used_at` is exact to the life of an access token."""
    own = select(LoginSession).join(User).where(LoginSession.user_id == caller.id, *_alive(clock.now()))
    logins = await session.scalars(own.order_by(LoginSession.last_used_at.desc()).limit(100))
    items = [SessionRead.model_validate(vars(login) | {"current": login.id == caller.session_id}) for login in logins]
    return SessionList(items=items)


@router.post("/logout", status_code=204, responses=problems(401, 403, 404))
async def logout(caller: CurrentUser, session: Session, response: Response) -> None:
    await end_session(caller.session_id, caller, session)
    clear_cookies(response)


@router.delete("/sessions/{session_id}", status_code=204, responses=problems(401, 403, 404))
async def end_session(session_id: UUID, caller: CurrentUser, session: Session) -> None:
    own = LoginSession.user_id == caller.id, LoginSession.id == session_id, LoginSession.ended_at.is_(None)
    statement = update(LoginSession).where(*own).values(ended_at=clock.now()).returning(LoginSession.id)
    if await session.scalar(statement) is None:
        raise Problem(404, "There is no such session.")
    log.info("session ended", session_id=str(session_id))


@router.delete("/sessions", status_code=204, responses=problems(401, 403))
async def end_other_sessions(caller: CurrentUser, session: Session) -> None:
    await end_sessions(session, caller.id, but=caller.session_id)


async def end_sessions(session: AsyncSession, user_id: UUID, *, but: UUID | None = None) -> None:
    """End all sessions of a user, except one."""
    theirs = LoginSession.user_id == user_id, LoginSession.ended_at.is_(None), LoginSession.id.is_distinct_from(but)
    await session.execute(update(LoginSession).where(*theirs).values(ended_at=clock.now()))
    log.info("sessions ended", user_id=str(user_id), but=str(but) if but else None)
