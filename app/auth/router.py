"""Accounts and sessions over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from urllib.parse import parse_qs
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from app import background
from app.auth import accounts, schemas, sessions
from app.auth.cookies import clear_cookies, read_refresh_token, set_cookies
from app.auth.passwords import Passwords
from app.auth.schemas import Sent, SessionList, SessionRead, Tokens
from app.auth.sessions import NewTokens, Visit
from app.database import Session
from app.errors import Problem, problems
from app.users.access import CurrentUser
from app.users.models import User
from app.users.schemas import UserRead

CLEAN_UP_SECONDS = 3600


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.identify = sessions.identify
    app.state.passwords = Passwords()
    async with background.every(CLEAN_UP_SECONDS, lambda: accounts.clean_up(app.state.sessions)):
        yield
    app.state.passwords.close()


router = APIRouter(prefix="/auth", tags=["auth"], responses=problems(503), lifespan=lifespan)

ThisVisit = Annotated[Visit, Depends(sessions.visit_of)]
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")]


@router.post("/sign-up", status_code=202, responses=problems(409, 429))
async def sign_up(new: schemas.NewAccount, visit: ThisVisit, idempotency_key: IdempotencyKey = None) -> Sent:
    """A link to confirm the address is mailed. The answer does not tell whether it has an account."""
    await accounts.sign_up(visit, new, idempotency_key)
    return Sent()


@router.post("/confirm-sign-up", status_code=201, response_model=UserRead, responses=problems(409))
async def confirm_sign_up(body: schemas.Confirmation, session: Session) -> User:
    return await accounts.confirm_sign_up(session, body.token)


@router.post("/login", response_model_exclude_none=True, responses=problems(401, 429))
async def login(body: schemas.Login, visit: ThisVisit, response: Response) -> Tokens:
    return _answer(response, await accounts.login(visit, body.email, body.password), cookies=body.cookies)


@router.post("/token", include_in_schema=False)
async def login_from_docs(request: Request, visit: ThisVisit, response: Response) -> Tokens:
    """The form that "Authorize" in /docs sends. For all others there is `login`: OAuth does without passwords now."""
    if not visit.settings.shows_docs:
        raise Problem(404, "Only the documentation uses this.")
    form = parse_qs((await request.body()).decode(errors="replace"))
    name, password = (form.get(field, [""])[0] for field in ("username", "password"))
    try:
        return await login(schemas.Login(email=name, password=password), visit, response)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None


@router.post("/refresh", response_model_exclude_none=True, responses=problems(401, 403))
async def refresh(body: schemas.Refresh, visit: ThisVisit, request: Request, response: Response) -> Tokens:
    """Exchange a refresh token for new tokens. Each works once: a second use ends the session."""
    token = body.refresh_token or read_refresh_token(request)
    if token is None:
        raise sessions.invalid_token()
    return _answer(response, await sessions.refresh(visit, token), cookies=body.refresh_token is None)


@router.post("/logout", status_code=204, responses=problems(401, 403, 404))
async def logout(caller: CurrentUser, session: Session, response: Response) -> None:
    await sessions.end_session(session, caller.id, caller.session_id)
    clear_cookies(response)


@router.get("/sessions", responses=problems(401))
async def list_sessions(caller: CurrentUser, session: Session) -> SessionList:
    """Where I am logged in; `last_used_at` is exact to the life of an access token."""
    logins = await sessions.list_sessions(session, caller.id)
    items = [SessionRead.model_validate(vars(login) | {"current": login.id == caller.session_id}) for login in logins]
    return SessionList(items=items)


@router.delete("/sessions", status_code=204, responses=problems(401, 403))
async def end_other_sessions(caller: CurrentUser, session: Session) -> None:
    await sessions.end_sessions(session, caller.id, but=caller.session_id)


@router.delete("/sessions/{session_id}", status_code=204, responses=problems(401, 403, 404))
async def end_session(session_id: UUID, caller: CurrentUser, session: Session) -> None:
    await sessions.end_session(session, caller.id, session_id)


@router.post("/forgot-password", status_code=202, responses=problems(429))
async def forgot_password(body: schemas.EmailAddress, visit: ThisVisit) -> Sent:
    await accounts.forgot_password(visit, body.email)
    return Sent()


@router.post("/reset-password", response_model_exclude_none=True)
async def reset_password(body: schemas.PasswordReset, visit: ThisVisit, response: Response) -> Tokens:
    """Set a new password with the token of the mail. It ends all sessions and opens one."""
    return _answer(response, await accounts.reset_password(visit, body.token, body.new_password), cookies=False)


@router.post("/change-password", status_code=204, responses=problems(401, 403, 409, 429))
async def change_password(body: schemas.PasswordChange, caller: CurrentUser, visit: ThisVisit) -> None:
    """It ends all other sessions."""
    await accounts.change_password(visit, caller, body.password, body.new_password)


@router.post("/change-email", status_code=202, responses=problems(401, 403, 429))
async def change_email(body: schemas.EmailChange, caller: CurrentUser, visit: ThisVisit) -> Sent:
    await accounts.change_email(visit, caller, body.password, body.new_email)
    return Sent()


@router.post("/confirm-email", status_code=204, responses=problems(404, 409))
async def confirm_email(body: schemas.Confirmation, session: Session) -> None:
    await accounts.confirm_email(session, body.token)


@router.post("/deactivate", status_code=204, responses=problems(401, 403, 404, 409, 429))
async def deactivate(body: schemas.PasswordOnly, caller: CurrentUser, visit: ThisVisit, response: Response) -> None:
    await accounts.deactivate(visit, caller, body.password)
    clear_cookies(response)


@router.post("/delete-account", status_code=204, responses=problems(401, 403, 409, 429))
async def delete_account(body: schemas.PasswordOnly, caller: CurrentUser, visit: ThisVisit, response: Response) -> None:
    await accounts.delete_account(visit, caller, body.password)
    clear_cookies(response)


def _answer(response: Response, tokens: NewTokens, *, cookies: bool) -> Tokens:
    if not cookies:
        return Tokens(access_token=tokens.access, refresh_token=tokens.refresh, expires_in=tokens.access_seconds)
    set_cookies(response, tokens.access, tokens.access_seconds, tokens.refresh, tokens.refresh_expires_at)
    return Tokens(expires_in=tokens.access_seconds)
