"""What people do with their accounts. Rules and their reasons: docs/accounts.md.

These functions commit by themselves, in short transactions: no connection of the pool waits while a password is hashed,
and what was counted against an attacker stays counted when the answer is an error. Where existence must not show, both
cases run the same statements, and only the mail differs.
"""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, Row, delete, exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import clock
from app.auth.models import Attempt, Credential, EmailToken, LoginSession, Purpose, SignUp
from app.auth.passwords import refusal
from app.auth.schemas import NewAccount
from app.auth.sessions import NewTokens, Visit, digest, end_sessions, new_token, open_session
from app.auth.throttle import Limit, Sessions, admit, succeed, take
from app.config import NAME
from app.errors import Problem, invalid_field
from app.mail.outbox import post
from app.users import service as users
from app.users.access import Caller
from app.users.models import User

log = structlog.get_logger(__name__)

MAILS = Path(__file__).parent / "mails"
SIGN_UP_HOURS = 24
LINK_MINUTES = 30
KNOWN_NETWORK = timedelta(days=90)

# Wrong passwords. The last one would let anybody keep the owner out by failing on purpose, so it does not count for
# networks from which the owner has logged in before; and a password reset always opens the door.
LOGIN_HERE = Limit("login to one account from one network", 10, timedelta(minutes=15))
LOGIN_NETWORK = Limit("login from one network", 100, timedelta(minutes=15))
LOGIN_ACCOUNT = Limit("login to one account", 100, timedelta(hours=1))
# Mails to one address; more are not sent, and nobody is told.
MAIL_HERE = Limit("mail to one address because of one network", 3, timedelta(hours=1))
MAIL_ADDRESS = Limit("mail to one address", 20, timedelta(hours=1))
FORGOT_NETWORK = Limit("forgotten password from one network", 100, timedelta(hours=1))

Account = Row[UUID, str, bool]  # id, password_hash, known_network: the owner has logged in from there


async def sign_up(visit: Visit, new: NewAccount, idempotency_key: str | None) -> None:
    """Keep what the account will be, and mail a link to confirm it. The same for an address that has an account."""
    _check_new(visit, new.password, new)
    limit = Limit("sign-up from one network", visit.settings.sign_ups_per_hour, timedelta(hours=1))
    await admit(visit.sessions, limit.of(visit.network))
    password_hash = await visit.passwords.hash(new.password)
    mailable, token = await _may_mail(visit, new.email), new_token()
    row = insert(SignUp).values(
        email=new.email,
        name=new.name,
        password_hash=password_hash,
        token_hash=digest(token),
        idempotency_hash=digest(idempotency_key) if idempotency_key else None,
        expires_at=clock.now() + timedelta(hours=SIGN_UP_HOURS),
    )
    row = row.on_conflict_do_nothing(index_elements=[SignUp.idempotency_hash])
    async with visit.sessions.begin() as session:
        first = await session.scalar(row.returning(SignUp.id))
        taken = await session.scalar(select(exists().where(users.has_email(new.email))))
        if first and mailable:
            link = f"{visit.settings.public_url}/confirm-sign-up#token={token}"
            _mail(session, new.email, new.name, "sign_up_known" if taken else "sign_up", link)
    if not first and idempotency_key:
        await _check_repetition(visit, new, idempotency_key)


async def _check_repetition(visit: Visit, new: NewAccount, idempotency_key: str) -> None:
    async with visit.sessions() as session:
        first = await session.scalar(select(SignUp).where(SignUp.idempotency_hash == digest(idempotency_key)))
    if first is None:
        raise Problem(409, "The request of this Idempotency-Key has just been used up.", title="Changed meanwhile")
    same, _ = await visit.passwords.verify(new.password, first.password_hash)
    if not same or (first.email, first.name) != (new.email, new.name):
        reused = "was sent with another request before"
        raise invalid_field("Idempotency-Key", reused, title="Idempotency key reused")


async def confirm_sign_up(session: AsyncSession, token: str) -> User:
    confirmed = delete(SignUp).where(SignUp.token_hash == digest(token), SignUp.expires_at > clock.now())
    new = await session.scalar(confirmed.returning(SignUp))
    if new is None:
        raise _invalid_link()
    user = await users.create_user(session, new.email, new.name)
    session.add(Credential(user_id=user.id, password_hash=new.password_hash, changed_at=clock.now()))
    log.info("account created", user_id=str(user.id))
    return user


async def login(visit: Visit, email: str, password: str) -> NewTokens:
    account = await _find_account(visit, email)
    limits = _login_limits(visit, email, known=bool(account and account.known_network))
    with structlog.contextvars.bound_contextvars(user_id=str(account.id) if account else None):
        await admit(visit.sessions, *limits)
        fits, renewed = await visit.passwords.verify(password, account.password_hash if account else None)
        if account and fits:
            async with visit.sessions.begin() as session:
                if await _still_the_same(session, account):
                    if renewed:
                        own = update(Credential).where(Credential.user_id == account.id)
                        await session.execute(own.values(password_hash=renewed))
                    await succeed(session, *limits)
                    log.info("login")
                    return open_session(session, account.id, visit)
        log.warning("login failed")
    raise Problem(401, "E-mail address and password do not belong together.", title="Wrong login")


async def forgot_password(visit: Visit, email: str) -> None:
    """Mail a link; to an address without an account, that there is none."""
    await admit(visit.sessions, FORGOT_NETWORK.of(visit.network))
    if not await _may_mail(visit, email):
        return
    async with visit.sessions.begin() as session:
        found = select(User.id, User.email, User.name).where(users.has_email(email), User.active)
        user_id, address, name = (await session.execute(found)).one_or_none() or (None, email, email)
        token = _new_email_token(session, user_id, Purpose.RESET_PASSWORD)
        link = f"{visit.settings.public_url}/reset-password#token={token}"
        _mail(session, address, name, "reset" if user_id else "reset_unknown", link)


async def reset_password(visit: Visit, token: str, new_password: str) -> NewTokens:
    """Set a new password, end all sessions and open one, which lets the owner in while others fail to."""
    async with visit.sessions() as session:
        owner = await session.scalar(select(User).join(EmailToken).where(*_usable(token, Purpose.RESET_PASSWORD)))
    if owner is None:
        raise _invalid_link()
    _check_new(visit, new_password, owner, field="new_password")
    password_hash = await visit.passwords.hash(new_password)
    async with visit.sessions.begin() as session:
        await _use(session, token, Purpose.RESET_PASSWORD)
        await _set_password(session, owner, password_hash)
        await succeed(session, *_login_limits(visit, owner.email, known=False))
        log.info("password reset", user_id=str(owner.id))
        return open_session(session, owner.id, visit)


async def change_password(visit: Visit, caller: Caller, password: str, new_password: str) -> None:
    _check_new(visit, new_password, caller, field="new_password")
    account = await confirm_password(visit, caller, password)
    password_hash = await visit.passwords.hash(new_password)
    async with visit.sessions.begin() as session:
        if not await _still_the_same(session, account):
            raise Problem(409, "The password has been changed meanwhile.", title="Changed meanwhile")
        await _set_password(session, caller, password_hash, but=caller.session_id)
        log.info("password changed", user_id=str(caller.id))


async def change_email(visit: Visit, caller: Caller, password: str, new_email: str) -> None:
    """Mail a link to the new address; the old one stays until it is followed."""
    await confirm_password(visit, caller, password)
    if not await _may_mail(visit, new_email):
        return
    async with visit.sessions.begin() as session:
        taken = await session.scalar(select(exists().where(users.has_email(new_email), User.id != caller.id)))
        token = _new_email_token(session, None if taken else caller.id, Purpose.CHANGE_EMAIL, new_email)
        link = f"{visit.settings.public_url}/confirm-email#token={token}"
        _mail(session, new_email, caller.name, "new_email_taken" if taken else "new_email", link)


async def confirm_email(session: AsyncSession, token: str) -> None:
    used = await _use(session, token, Purpose.CHANGE_EMAIL)
    user = await users.get_user(session, used.user_id) if used.user_id else None
    if user is None:
        raise _invalid_link()
    _mail(session, user.email, user.name, "email_changed")
    with users.unique_email():
        changed = update(User).where(User.id == user.id).values(email=used.new_email, version=User.version + 1)
        await session.execute(changed)
    await session.execute(delete(EmailToken).where(EmailToken.user_id == user.id))
    log.info("e-mail address changed", user_id=str(user.id))


async def deactivate(visit: Visit, caller: Caller, password: str) -> None:
    """Close the account; an administrator can open it again."""
    await confirm_password(visit, caller, password)
    async with visit.sessions.begin() as session:
        await users.deactivate_user(session, caller.id)
    log.info("account deactivated", user_id=str(caller.id))


async def delete_account(visit: Visit, caller: Caller, password: str) -> None:
    """Delete the user, and with them whatever refers to them with ON DELETE CASCADE."""
    await confirm_password(visit, caller, password)
    async with visit.sessions.begin() as session:
        await users.keep_an_administrator(session, caller.id)
        await session.execute(delete(User).where(User.id == caller.id))
    log.info("account deleted", user_id=str(caller.id))


async def confirm_password(visit: Visit, caller: Caller, password: str) -> Account:
    account, limit = await _find_account(visit, caller.email), LOGIN_HERE.of(visit.network, str(caller.id))
    await admit(visit.sessions, limit)
    fits, _ = await visit.passwords.verify(password, account.password_hash if account else None)
    if not account or not fits:
        log.warning("password wrong", user_id=str(caller.id))
        raise Problem(403, "This is not your password.", title="Wrong password")
    async with visit.sessions.begin() as session:
        await succeed(session, limit)
    return account


def _check_new(visit: Visit, password: str, owner: NewAccount | User | Caller, field: str = "password") -> None:
    if refused := refusal(password, visit.settings.password_min_length, owner.email, owner.name):
        raise invalid_field(field, refused)


async def _find_account(visit: Visit, email: str) -> Account | None:
    here = exists().where(LoginSession.user_id == User.id, LoginSession.network == visit.network)
    query = select(User.id, Credential.password_hash, here.label("known_network")).join(Credential)
    async with visit.sessions() as session:
        return (await session.execute(query.where(users.has_email(email), User.active))).one_or_none()


async def _still_the_same(session: AsyncSession, account: Account) -> bool:
    # Locked until the commit: whoever changes the password or deactivates the user waits, and then ends our session.
    unchanged = User.id == account.id, User.active, Credential.password_hash == account.password_hash
    query = select(User.id).join(Credential).where(*unchanged).with_for_update(read=True)
    return await session.scalar(query) is not None


def _login_limits(visit: Visit, email: str, *, known: bool) -> tuple[Limit, ...]:
    address = email.casefold()
    limits = LOGIN_HERE.of(visit.network, address), LOGIN_NETWORK.of(visit.network)
    return limits if known else (*limits, LOGIN_ACCOUNT.of(address))


async def _may_mail(visit: Visit, email: str) -> bool:
    address = email.casefold()
    if await take(visit.sessions, MAIL_HERE.of(visit.network, address), MAIL_ADDRESS.of(address)):
        log.warning("mail withheld")
        return False
    return True


def _mail(session: AsyncSession, address: str, name: str, template: str, link: str = "") -> None:
    words = {"product": NAME, "minutes": str(LINK_MINUTES), "hours": str(SIGN_UP_HOURS)}
    post(session, address, MAILS / f"{template}.txt", name=name, link=link, **words)


async def _set_password(
    session: AsyncSession, owner: User | Caller, password_hash: str, *, but: UUID | None = None
) -> None:
    values = {"password_hash": password_hash, "changed_at": clock.now()}
    new = insert(Credential).values(user_id=owner.id, **values)
    await session.execute(new.on_conflict_do_update(index_elements=[Credential.user_id], set_=values))
    await session.execute(delete(EmailToken).where(EmailToken.user_id == owner.id))
    await end_sessions(session, owner.id, but=but)
    _mail(session, owner.email, owner.name, "password_changed")


def _new_email_token(
    session: AsyncSession, user_id: UUID | None, purpose: Purpose, new_email: str | None = None
) -> str:
    now, token = clock.now(), new_token()
    what = {"user_id": user_id, "purpose": purpose.value, "new_email": new_email}
    end = now + timedelta(minutes=LINK_MINUTES)
    session.add(EmailToken(token_hash=digest(token), created_at=now, expires_at=end, **what))
    return token


def _usable(token: str, purpose: Purpose) -> tuple[ColumnElement[bool], ...]:
    # Bound to the password: one that was set after the link was made voids it.
    newer = exists().where(Credential.user_id == EmailToken.user_id, Credential.changed_at > EmailToken.created_at)
    known = EmailToken.token_hash == digest(token), EmailToken.purpose == purpose.value
    return *known, EmailToken.expires_at > clock.now(), ~newer


async def _use(session: AsyncSession, token: str, purpose: Purpose) -> EmailToken:
    used: EmailToken | None = await session.scalar(
        delete(EmailToken).where(*_usable(token, purpose)).returning(EmailToken)
    )
    if used is None:
        raise _invalid_link()
    return used


def _invalid_link() -> Problem:
    return Problem(400, "The link is unknown, used up or expired. Ask for another one.", title="Invalid link")


async def clean_up(sessions: Sessions) -> None:
    """Delete what has expired. Ended sessions stay for a while: they tell from where the owner comes."""
    now = clock.now()
    async with sessions.begin() as session:
        await session.execute(delete(SignUp).where(SignUp.expires_at < now))
        await session.execute(delete(EmailToken).where(EmailToken.expires_at < now))
        await session.execute(delete(Attempt).where(Attempt.ends_at < now))
        await session.execute(delete(LoginSession).where(LoginSession.expires_at < now - KNOWN_NETWORK))
