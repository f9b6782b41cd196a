"""What people do with their accounts. Rules and their reasons: docs/accounts.md.

Most commit by themselves, in short transactions: no connection of the pool waits while a password is hashed,
and what was counted against an attacker stays counted when the answer is an error. Where existence must not show, both
cases run the same statements, and only the mail differs.
"""

from datetime import datetime, timedelta
from secrets import token_urlsafe
from typing import Annotated, NamedTuple
from urllib.parse import parse_qs
from uuid import UUID

import structlog
from fastapi import APIRouter, Header, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from sqlalchemy import ColumnElement, Text, bindparam, delete, exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app import clock
from app.auth import schemas
from app.auth.links import SIGN_UP_HOURS, invalid_link, mail, may_mail, new_email_token, owner_of, use_email_token
from app.auth.models import Attempt, Credential, EmailToken, LoginSession, SignUp
from app.auth.passwords import refusal
from app.auth.schemas import NewAccount, Sent, Tokens
from app.auth.sessions import ThisVisit, Visit, clear_cookies, digest, end_sessions, open_session
from app.auth.throttle import Limit, admit, folded, succeed, take_back
from app.database import Lookup, Session
from app.errors import Problem, invalid_field, problems
from app.users import service as users
from app.users.access import Caller, CurrentUser
from app.users.models import User
from app.users.schemas import UserAdministration, UserRead

log = structlog.get_logger(__name__)
router = APIRouter(prefix="/auth", tags=["auth"], responses=problems(503))

KNOWN_NETWORK = timedelta(days=90)
CLEAN_UP_ROWS = 5_000

# Wrong passwords. The last one would let anybody keep the owner out by failing on purpose, so it does not count for
# networks from which the owner has logged in before; and a password reset always opens the door.
LOGIN_HERE = Limit("login to one account from one network", 10, timedelta(minutes=15))
LOGIN_NETWORK = Limit("login from one network", 100, timedelta(minutes=15))
LOGIN_ACCOUNT = Limit("login to one account", 100, timedelta(hours=1))
CHANGE_EMAIL = Limit("change of address of one account", 10, timedelta(hours=1))  # each is a mail to anybody
FORGOT_NETWORK = Limit("forgotten password from one network", 100, timedelta(hours=1))

IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")]


class Account(NamedTuple):
    id: UUID
    password_hash: str
    changed_at: datetime  # the password; a hash that is renewed is none that has changed
    known_network: bool  # the owner has logged in from there


HERE = exists().where(LoginSession.user_id == User.id, LoginSession.network == bindparam("network"))
ACCOUNT = Lookup(
    select(User.id, Credential.password_hash, Credential.changed_at, HERE)
    .join(Credential)
    .where(users.has_email(bindparam("email", type_=Text)), User.active)
)


@router.post("/sign-up", status_code=202, responses=problems(409, 429))
async def sign_up(new: NewAccount, visit: ThisVisit, idempotency_key: IdempotencyKey = None) -> Sent:
    """A link to confirm the address is mailed. The answer does not tell whether it has an account."""
    _check_new(visit, new.password, new)
    limit = Limit("sign-up from one network", visit.settings.sign_ups_per_hour, timedelta(hours=1))
    await admit(visit.attempts, limit.of(visit.network))
    password_hash = await visit.passwords.hash(new.password)
    token, key_hash = token_urlsafe(32), digest(idempotency_key) if idempotency_key else None
    row = insert(SignUp).values(email=new.email, name=new.name, password_hash=password_hash, token_hash=digest(token))
    row = row.values(idempotency_hash=key_hash, expires_at=clock.now() + timedelta(hours=SIGN_UP_HOURS))
    row = row.on_conflict_do_nothing(index_elements=[SignUp.idempotency_hash])
    expired = SignUp.idempotency_hash == key_hash, SignUp.expires_at <= clock.now()
    async with visit.sessions.begin() as session:
        if key_hash:
            await session.execute(delete(SignUp).where(*expired))
        first = await session.scalar(row.returning(SignUp.id))
        taken = await session.scalar(select(exists().where(users.has_email(new.email))))
        if first and await may_mail(visit, new.email, "sign up"):  # a repetition makes no mail, and counts for none
            mail(session, visit, new.email, new.name, "sign_up_known" if taken else "sign_up", token)
    if not first:
        await _check_repetition(visit, new, SignUp.idempotency_hash == key_hash)
    return Sent()


async def _check_repetition(visit: Visit, new: NewAccount, has_key: ColumnElement[bool]) -> None:
    async with visit.sessions() as session:
        first = await session.scalar(select(SignUp).where(has_key))
    if first is None:
        raise Problem(409, "The request of this Idempotency-Key has just been used up.", title="Changed meanwhile")
    same, _ = await visit.passwords.verify(new.password, first.password_hash)
    if not same or (first.email, first.name) != (new.email, new.name):
        message = "was sent with another request before"
        raise invalid_field("Idempotency-Key", message, title="Idempotency key reused", where="header")


@router.post("/confirm-sign-up", status_code=201, response_model=UserRead, responses=problems(409))
async def confirm_sign_up(body: schemas.Confirmation, session: Session) -> User:
    confirmed = delete(SignUp).where(SignUp.token_hash == digest(body.token), SignUp.expires_at > clock.now())
    new = await session.scalar(confirmed.returning(SignUp))
    if new is None:
        raise invalid_link()
    user = await users.create_user(session, new.email, new.name)
    session.add(Credential(user_id=user.id, password_hash=new.password_hash, changed_at=clock.now()))
    log.info("account created", user_id=str(user.id))
    return user


@router.post("/login", response_model_exclude_none=True, responses=problems(401, 429))
async def login(body: schemas.Login, visit: ThisVisit) -> Tokens:
    account = await _find_account(visit, body.email)
    limits = _login_limits(visit, body.email, known=bool(account and account.known_network))
    with structlog.contextvars.bound_contextvars(user_id=str(account.id) if account else None):
        fits, renewed = await _try_password(visit, body.password, account, *limits)
        if account and fits:
            await succeed(visit.attempts, *limits)
            async with visit.sessions.begin() as session:
                if await _still_the_same(session, account):
                    if renewed:
                        own = update(Credential).where(Credential.user_id == account.id)
                        await session.execute(own.values(password_hash=renewed))
                    log.info("login")
                    return open_session(session, account.id, visit, cookies=body.cookies)
        log.warning("login failed")
    raise Problem(401, "E-mail address and password do not belong together.", title="Wrong login")


@router.post("/token", include_in_schema=False)
async def login_from_docs(request: Request, visit: ThisVisit) -> Tokens:
    """The form that "Authorize" in /docs sends. For all others there is `login`: OAuth does without passwords now."""
    if not visit.settings.docs:
        raise Problem(404, "Only the documentation uses this.")
    form = parse_qs((await request.body()).decode(errors="replace"))
    name, password = (form.get(field, [""])[0] for field in ("username", "password"))
    try:
        return await login(schemas.Login(email=name, password=password), visit)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None


@router.post("/forgot-password", status_code=202, responses=problems(429))
async def forgot_password(body: schemas.EmailAddress, visit: ThisVisit) -> Sent:
    """A link is mailed; to an address without an account, that there is none."""
    await admit(visit.attempts, FORGOT_NETWORK.of(visit.network))
    if await may_mail(visit, body.email, "reset"):
        async with visit.sessions.begin() as session:
            found = select(User.id, User.email, User.name).where(users.has_email(body.email), User.active)
            found = found.with_for_update(read=True)  # nobody deletes them, or changes their address, until the commit
            user_id, address, name = (await session.execute(found)).one_or_none() or (None, body.email, body.email)
            token = new_email_token(session, user_id, "reset_password")
            mail(session, visit, address, name, "reset" if user_id else "reset_unknown", token)
    return Sent()


@router.post("/reset-password", response_model_exclude_none=True)
async def reset_password(body: schemas.PasswordReset, visit: ThisVisit) -> Tokens:
    """Set a new password with the token of the mail. It ends all sessions and opens one."""
    async with visit.sessions() as session:
        owner = await session.scalar(owner_of(body.token, "reset_password"))
    if owner is None:
        raise invalid_link()
    _check_new(visit, body.new_password, owner, field="new_password")
    password_hash = await visit.passwords.hash(body.new_password)
    async with visit.sessions.begin() as session:
        owner, _ = await use_email_token(session, body.token, "reset_password")
        await _set_password(session, visit, owner, password_hash)
        log.info("password reset", user_id=str(owner.id))
        tokens = open_session(session, owner.id, visit)
    # So the owner gets in, even while others fail to on purpose; what these have failed stays counted.
    await succeed(visit.attempts, LOGIN_HERE.of(visit.network, folded(owner.email)))
    return tokens


@router.post("/change-password", status_code=204, responses=problems(401, 403, 409, 429))
async def change_password(body: schemas.PasswordChange, caller: CurrentUser, visit: ThisVisit) -> None:
    """It ends all other sessions."""
    _check_new(visit, body.new_password, caller, field="new_password")
    account = await _confirm_password(visit, caller, body)
    password_hash = await visit.passwords.hash(body.new_password)
    async with visit.sessions.begin() as session:
        await _check_the_same(session, account)
        await _set_password(session, visit, caller, password_hash, but=caller.session_id)
        log.info("password changed")


@router.post("/change-email", status_code=202, responses=problems(401, 403, 409, 429))
async def change_email(body: schemas.EmailChange, caller: CurrentUser, visit: ThisVisit) -> Sent:
    """A link is mailed to the new address; the old one stays until it is followed."""
    account = await _confirm_password(visit, caller, body)
    await admit(visit.attempts, CHANGE_EMAIL.of(str(caller.id)))
    if await may_mail(visit, body.new_email, "new address"):
        async with visit.sessions.begin() as session:
            await _check_the_same(session, account)
            taken = await session.scalar(select(exists().where(users.has_email(body.new_email), User.id != caller.id)))
            token = new_email_token(session, None if taken else caller.id, "change_email", body.new_email)
            mail(session, visit, body.new_email, caller.name, "new_email_taken" if taken else "new_email", token)
    return Sent()


@router.post("/confirm-email", status_code=204, responses=problems(409))
async def confirm_email(body: schemas.Confirmation, session: Session, visit: ThisVisit) -> None:
    user, new_email = await use_email_token(session, body.token, "change_email")
    mail(session, visit, user.email, user.name, "email_changed")
    with users.unique_email():
        changed = update(User).where(User.id == user.id).values(email=new_email, version=User.version + 1)
        await session.execute(changed)
    await session.execute(delete(EmailToken).where(EmailToken.user_id == user.id))
    log.info("e-mail address changed", user_id=str(user.id))


@router.post("/deactivate", status_code=204, responses=problems(401, 403, 409, 429))
async def deactivate(body: schemas.PasswordOnly, caller: CurrentUser, visit: ThisVisit) -> None:
    """Close the account; an administrator can open it again."""
    account = await _confirm_password(visit, caller, body)
    async with visit.sessions.begin() as session:
        await users.keep_an_administrator(session, caller.id)
        await _check_the_same(session, account)
        await users.change_user(session, caller.id, UserAdministration(active=False))
    log.info("account deactivated")
    clear_cookies(visit.response)


@router.post("/delete-account", status_code=204, responses=problems(401, 403, 409, 429))
async def delete_account(body: schemas.PasswordOnly, caller: CurrentUser, visit: ThisVisit) -> None:
    """Delete the user, and all that is theirs."""
    account = await _confirm_password(visit, caller, body)
    async with visit.sessions.begin() as session:
        await users.keep_an_administrator(session, caller.id)
        await _check_the_same(session, account)
        # Whatever refers to the user goes along: ON DELETE CASCADE.
        await session.execute(delete(User).where(User.id == caller.id))
    log.info("account deleted")
    clear_cookies(visit.response)


async def _confirm_password(visit: Visit, caller: Caller, body: schemas.PasswordOnly) -> Account:
    account, caller_id = await _find_account(visit, caller.email), str(caller.id)
    limits = LOGIN_HERE.of(visit.network, caller_id), LOGIN_ACCOUNT.of(caller_id)
    fits, _ = await _try_password(visit, body.password, account, *limits)
    if not account or not fits:
        log.warning("password wrong")
        raise Problem(403, "This is not your password.", title="Wrong password")
    await succeed(visit.attempts, *limits)
    return account


async def _try_password(
    visit: Visit, password: str, account: Account | None, *limits: Limit
) -> tuple[bool, str | None]:
    await admit(visit.attempts, *limits)
    try:
        return await visit.passwords.verify(password, account.password_hash if account else None)
    except Problem:  # too busy to look at it: who comes again as told must not be locked out
        await take_back(visit.attempts, *limits)
        raise


def _check_new(visit: Visit, password: str, owner: NewAccount | User | Caller, field: str = "password") -> None:
    if refused := refusal(password, visit.settings.password_min_length, owner.email, owner.name):
        raise invalid_field(field, refused)


async def _find_account(visit: Visit, email: str) -> Account | None:
    rows = await visit.attempts.fetch(ACCOUNT, email=email, network=visit.network)
    return Account(*rows[0]) if rows else None


async def _still_the_same(session: AsyncSession, account: Account) -> bool:
    # Locked until the commit: whoever changes the password or deactivates the user waits, and then ends our session.
    # Not shared: two who share it, and then both change it, would wait for each other.
    unchanged = User.id == account.id, User.active, Credential.changed_at == account.changed_at
    query = select(User.id).join(Credential).where(*unchanged).with_for_update(key_share=True)
    return await session.scalar(query) is not None


async def _check_the_same(session: AsyncSession, account: Account) -> None:
    # Else whoever has learned the old password could begin before it is changed, and end after that.
    if not await _still_the_same(session, account):
        raise Problem(409, "The password has been changed meanwhile.", title="Changed meanwhile")


def _login_limits(visit: Visit, email: str, *, known: bool) -> tuple[Limit, ...]:
    address = folded(email)
    limits = LOGIN_HERE.of(visit.network, address), LOGIN_NETWORK.of(visit.network)
    return limits if known else (*limits, LOGIN_ACCOUNT.of(address))


async def _set_password(
    session: AsyncSession, visit: Visit, owner: User | Caller, password_hash: str, *, but: UUID | None = None
) -> None:
    values = {"password_hash": password_hash, "changed_at": clock.now()}
    new = insert(Credential).values(user_id=owner.id, **values)
    await session.execute(new.on_conflict_do_update(index_elements=[Credential.user_id], set_=values))
    await session.execute(delete(EmailToken).where(EmailToken.user_id == owner.id))
    await end_sessions(session, owner.id, but=but)
    mail(session, visit, owner.email, owner.name, "password_changed")


async def clean_up(sessions: async_sessionmaker[AsyncSession]) -> bool:
    """Delete what has expired, and return whether there is more.

    Not all at once: what takes longer than a statement may, as after an attack, would stay and grow for ever. Ended
    sessions stay for a while: they tell from where the owner comes.
    """
    now, deleted = clock.now(), 0
    expired = {
        SignUp.id: SignUp.expires_at < now,
        EmailToken.token_hash: EmailToken.expires_at < now,
        Attempt.key: Attempt.ends_at < now,
        LoginSession.id: LoginSession.expires_at < now - KNOWN_NETWORK,
    }
    for key, is_expired in expired.items():
        some = select(key).where(is_expired).limit(CLEAN_UP_ROWS).with_for_update(skip_locked=True)
        async with sessions.begin() as session:
            done = await session.scalars(delete(key.class_).where(key.in_(some)).returning(key))
            deleted = max(deleted, len(done.all()))
    return deleted == CLEAN_UP_ROWS
