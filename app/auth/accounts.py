"""What people do with their accounts. Rules and their reasons: docs/accounts.md.

These functions commit by themselves, in short transactions: no connection of the pool waits while a password is hashed,
and what was counted against an attacker stays counted when the answer is an error. Where existence must not show, both
cases run the same statements, and only the mail differs.
"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import clock
from app.auth.models import Attempt, Credential, EmailToken, LoginSession, Purpose, SignUp
from app.auth.passwords import Passwords, check_password
from app.auth.schemas import NewAccount
from app.auth.sessions import Device, NewTokens, digest, end_sessions, new_token, open_session
from app.auth.throttle import Bucket, Limit, Sessions, forget, give_back, take
from app.config import NAME, Settings
from app.errors import BadRequest, Conflict, Forbidden, Invalid, TooManyRequests, Unauthenticated
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


class WrongLogin(Unauthenticated):
    title = "Wrong login"


class WrongPassword(Forbidden):
    title = "Wrong password"


class InvalidLink(BadRequest):
    title = "Invalid link"


class Changed(Conflict):
    title = "Changed meanwhile"


class KeyReused(Invalid):
    title = "Idempotency key reused"


@dataclass(frozen=True)
class Visit:
    """What a request brings along."""

    sessions: Sessions
    passwords: Passwords
    settings: Settings
    device: Device


class Account(NamedTuple):
    user_id: UUID
    password_hash: str
    known_network: bool  # the owner has logged in from there


async def sign_up(visit: Visit, new: NewAccount, idempotency_key: str | None) -> None:
    """Keep what the account will be, and mail a link to confirm it. The same for an address that has an account."""
    check_password(new.password, visit.settings.password_min_length, new.email, new.name)
    limit = Limit("sign-up from one network", visit.settings.sign_ups_per_hour, timedelta(hours=1))
    await take(visit.sessions, limit.of(visit.device.network))
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
        taken = await session.scalar(select(exists().where(func.lower(User.email) == func.lower(new.email))))
        if first and mailable:
            link = f"{visit.settings.public_url}/confirm-sign-up#token={token}"
            post(
                session, new.email, MAILS / ("sign_up_known.txt" if taken else "sign_up.txt"), **_words(new.name, link)
            )
    if not first and idempotency_key:
        await _check_repetition(visit, new, idempotency_key)


async def _check_repetition(visit: Visit, new: NewAccount, idempotency_key: str) -> None:
    async with visit.sessions() as session:
        first = await session.scalar(select(SignUp).where(SignUp.idempotency_hash == digest(idempotency_key)))
    if first is None:
        raise Changed("The request of this Idempotency-Key has just been used up.")
    same, _ = await visit.passwords.verify(new.password, first.password_hash)
    if not same or (first.email, first.name) != (new.email, new.name):
        raise KeyReused("Idempotency-Key", "was sent with another request before")


async def confirm_sign_up(session: AsyncSession, token: str) -> User:
    confirmed = delete(SignUp).where(SignUp.token_hash == digest(token), SignUp.expires_at > clock.now())
    new = await session.scalar(confirmed.returning(SignUp))
    if new is None:
        raise InvalidLink("The link is unknown, used up or expired. Sign up again.")
    user = await users.create_user(session, new.email, new.name)
    session.add(Credential(user_id=user.id, password_hash=new.password_hash, changed_at=clock.now()))
    log.info("account created", user_id=str(user.id))
    return user


async def login(visit: Visit, email: str, password: str) -> NewTokens:
    account = await _find_account(visit, email)
    buckets = _login_buckets(visit, email, known=bool(account and account.known_network))
    with structlog.contextvars.bound_contextvars(user_id=str(account.user_id) if account else None):
        await _take_or_note(visit, buckets)
        fits, renewed = await visit.passwords.verify(password, account.password_hash if account else None)
        if account and fits:
            async with visit.sessions.begin() as session:
                if await _still_the_same(session, account):
                    if renewed:
                        await _replace_hash(session, account, renewed)
                    await _reset(session, buckets)
                    log.info("login")
                    return open_session(session, account.user_id, visit.device, visit.settings)
        log.warning("login failed")
    raise WrongLogin("E-mail address and password do not belong together.")


async def forgot_password(visit: Visit, email: str) -> None:
    """Mail a link; to an address without an account, that there is none."""
    await take(visit.sessions, FORGOT_NETWORK.of(visit.device.network))
    if not await _may_mail(visit, email):
        return
    token = new_token()
    async with visit.sessions.begin() as session:
        found = select(User.id, User.email, User.name).where(func.lower(User.email) == func.lower(email), User.active)
        user_id, address, name = (await session.execute(found)).one_or_none() or (None, email, email)
        session.add(_email_token(token, user_id, Purpose.RESET_PASSWORD))
        link = f"{visit.settings.public_url}/reset-password#token={token}"
        post(session, address, MAILS / ("reset.txt" if user_id else "reset_unknown.txt"), **_words(name, link))


async def reset_password(visit: Visit, token: str, new_password: str) -> NewTokens:
    """Set a new password, end all sessions and open one, which lets the owner in while others fail to."""
    async with visit.sessions() as session:
        owner = await session.scalar(select(User).join(EmailToken).where(*_usable(token, Purpose.RESET_PASSWORD)))
    if owner is None:
        raise InvalidLink("The link is unknown, used up or expired. Ask for another one.")
    check_password(new_password, visit.settings.password_min_length, owner.email, owner.name, field="new_password")
    password_hash = await visit.passwords.hash(new_password)
    async with visit.sessions.begin() as session:
        await _use(session, token, Purpose.RESET_PASSWORD)
        await _set_password(session, owner.id, password_hash)
        await end_sessions(session, owner.id)
        await _reset(session, _login_buckets(visit, owner.email, known=False))
        post(session, owner.email, MAILS / "password_changed.txt", **_words(owner.name))
        log.info("password reset", user_id=str(owner.id))
        return open_session(session, owner.id, visit.device, visit.settings)


async def change_password(visit: Visit, caller: Caller, password: str, new_password: str) -> None:
    check_password(new_password, visit.settings.password_min_length, caller.email, caller.name, field="new_password")
    account = await _confirm_password(visit, caller, password)
    password_hash = await visit.passwords.hash(new_password)
    async with visit.sessions.begin() as session:
        if not await _still_the_same(session, account):
            raise Changed("The password has been changed meanwhile.")
        await _set_password(session, caller.id, password_hash)
        await end_sessions(session, caller.id, but=caller.session_id)
        post(session, caller.email, MAILS / "password_changed.txt", **_words(caller.name))
        log.info("password changed", user_id=str(caller.id))


async def change_email(visit: Visit, caller: Caller, password: str, new_email: str) -> None:
    """Mail a link to the new address; the old one stays until it is followed."""
    await _confirm_password(visit, caller, password)
    if not await _may_mail(visit, new_email):
        return
    token, other = new_token(), func.lower(User.email) == func.lower(new_email)
    async with visit.sessions.begin() as session:
        taken = await session.scalar(select(exists().where(other, User.id != caller.id)))
        session.add(_email_token(token, None if taken else caller.id, Purpose.CHANGE_EMAIL, new_email))
        link = f"{visit.settings.public_url}/confirm-email#token={token}"
        template = MAILS / ("new_email_taken.txt" if taken else "new_email.txt")
        post(session, new_email, template, **_words(caller.name, link))


async def confirm_email(session: AsyncSession, token: str) -> None:
    used = await _use(session, token, Purpose.CHANGE_EMAIL)
    user = await users.get_user(session, used.user_id) if used.user_id else None
    if user is None:
        raise InvalidLink("The link is unknown, used up or expired.")
    post(session, user.email, MAILS / "email_changed.txt", **_words(user.name))
    with users.unique_email():
        changed = update(User).where(User.id == user.id).values(email=used.new_email, version=User.version + 1)
        await session.execute(changed)
    await session.execute(delete(EmailToken).where(EmailToken.user_id == user.id))
    log.info("e-mail address changed", user_id=str(user.id))


async def deactivate(visit: Visit, caller: Caller, password: str) -> None:
    """Close the account; an administrator can open it again."""
    await _confirm_password(visit, caller, password)
    async with visit.sessions.begin() as session:
        await users.deactivate_user(session, caller.id)
    log.info("account deactivated", user_id=str(caller.id))


async def delete_account(visit: Visit, caller: Caller, password: str) -> None:
    """Delete the user, and with them whatever refers to them with ON DELETE CASCADE."""
    await _confirm_password(visit, caller, password)
    async with visit.sessions.begin() as session:
        await users.keep_an_administrator(session, caller.id)
        await session.execute(delete(User).where(User.id == caller.id))
    log.info("account deleted", user_id=str(caller.id))


async def _find_account(visit: Visit, email: str) -> Account | None:
    here = LoginSession.user_id == User.id, LoginSession.network == visit.device.network
    query = select(User.id, Credential.password_hash, exists().where(*here)).join(Credential)
    async with visit.sessions() as session:
        found = await session.execute(query.where(func.lower(User.email) == func.lower(email), User.active))
        row = found.one_or_none()
    return Account(*row) if row else None


async def _still_the_same(session: AsyncSession, account: Account) -> bool:
    # Locked until the commit: whoever changes the password or deactivates the user waits, and then ends our session.
    query = select(User.id).join(Credential).where(User.id == account.user_id, User.active)
    query = query.where(Credential.password_hash == account.password_hash).with_for_update(read=True)
    return await session.scalar(query) is not None


async def _confirm_password(visit: Visit, caller: Caller, password: str) -> Account:
    account, buckets = await _find_account(visit, caller.email), (LOGIN_HERE.of(visit.device.network, str(caller.id)),)
    await _take_or_note(visit, buckets)
    fits, _ = await visit.passwords.verify(password, account.password_hash if account else None)
    if not account or not fits:
        log.warning("password wrong", user_id=str(caller.id))
        raise WrongPassword("This is not your password.")
    async with visit.sessions.begin() as session:
        await _reset(session, buckets)
    return account


def _login_buckets(visit: Visit, email: str, *, known: bool) -> tuple[Bucket, ...]:
    address, network = email.casefold(), visit.device.network
    buckets = LOGIN_HERE.of(network, address), LOGIN_NETWORK.of(network)
    return buckets if known else (*buckets, LOGIN_ACCOUNT.of(address))


async def _take_or_note(visit: Visit, buckets: tuple[Bucket, ...]) -> None:
    try:
        await take(visit.sessions, *buckets)
    except TooManyRequests:
        log.warning("locked out")
        raise


async def _reset(session: AsyncSession, buckets: tuple[Bucket, ...]) -> None:
    # The owner begins anew; the others go on counting what other accounts and networks have failed.
    await forget(session, buckets[0])
    await give_back(session, *buckets[1:])


async def _may_mail(visit: Visit, email: str) -> bool:
    address = email.casefold()
    try:
        await take(visit.sessions, MAIL_HERE.of(visit.device.network, address), MAIL_ADDRESS.of(address))
    except TooManyRequests:
        log.warning("mail withheld")
        return False
    return True


async def _replace_hash(session: AsyncSession, account: Account, password_hash: str) -> None:
    own = Credential.user_id == account.user_id
    await session.execute(update(Credential).where(own).values(password_hash=password_hash))


async def _set_password(session: AsyncSession, user_id: UUID, password_hash: str) -> None:
    values = {"password_hash": password_hash, "changed_at": clock.now()}
    new = insert(Credential).values(user_id=user_id, **values)
    await session.execute(new.on_conflict_do_update(index_elements=[Credential.user_id], set_=values))
    await session.execute(delete(EmailToken).where(EmailToken.user_id == user_id))


def _email_token(token: str, user_id: UUID | None, purpose: Purpose, new_email: str | None = None) -> EmailToken:
    now = clock.now()
    return EmailToken(
        token_hash=digest(token),
        user_id=user_id,
        purpose=purpose.value,
        new_email=new_email,
        created_at=now,
        expires_at=now + timedelta(minutes=LINK_MINUTES),
    )


def _usable(token: str, purpose: Purpose) -> tuple[ColumnElement[bool], ...]:
    # Bound to the password: one that was set after the link was made voids it.
    newer = exists().where(Credential.user_id == EmailToken.user_id, Credential.changed_at > EmailToken.created_at)
    return (
        EmailToken.token_hash == digest(token),
        EmailToken.purpose == purpose.value,
        EmailToken.expires_at > clock.now(),
        ~newer,
    )


async def _use(session: AsyncSession, token: str, purpose: Purpose) -> EmailToken:
    link = delete(EmailToken).where(*_usable(token, purpose)).returning(EmailToken)
    used: EmailToken | None = await session.scalar(link)
    if used is None:
        raise InvalidLink("The link is unknown, used up or expired.")
    return used


def _words(name: str, link: str = "") -> dict[str, str]:
    return {"name": name, "product": NAME, "link": link, "minutes": str(LINK_MINUTES), "hours": str(SIGN_UP_HOURS)}


async def clean_up(sessions: Sessions) -> None:
    """Delete what has expired. Ended sessions stay for a while: they tell from where the owner comes."""
    now = clock.now()
    async with sessions.begin() as session:
        await session.execute(delete(SignUp).where(SignUp.expires_at < now))
        await session.execute(delete(EmailToken).where(EmailToken.expires_at < now))
        await session.execute(delete(Attempt).where(Attempt.ends_at < now))
        await session.execute(delete(LoginSession).where(LoginSession.expires_at < now - KNOWN_NETWORK))
