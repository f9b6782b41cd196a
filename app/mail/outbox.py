"""The outbox: `post` puts a mail into it, `deliver` hands it over with a `sender`. The guarantees: docs/accounts.md."""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from email.message import EmailMessage
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import unquote, urlsplit

import structlog
from sqlalchemy import delete, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app import clock
from app.config import ROOT, Settings
from app.mail.models import Mail

log = structlog.get_logger(__name__)

Send = Callable[[EmailMessage], Awaitable[object]]

LAYOUT = Template((Path(__file__).parent / "layout.html").read_text(encoding="utf-8"))
FIRST_PAUSE = timedelta(minutes=1)  # longer than any attempt takes; doubled with each
ATTEMPTS = 13  # for nearly three days
SEND_SECONDS = 50


def post(session: AsyncSession, recipient: str, template: Path, **values: str) -> None:
    """Write a mail that is sent if, and only if, the transaction is committed."""
    # The subject is the template's first line, which holds nothing that somebody has typed.
    subject, _, body = Template(template.read_text(encoding="utf-8")).substitute(values).partition("\n\n")
    session.add(Mail(recipient=recipient, subject=subject, body=body, due_at=clock.now()))


async def deliver(sessions: async_sessionmaker[AsyncSession], send: Send, mail_from: str) -> bool:
    """Send the mail that is due first; return whether there was one."""
    mail = await _take(sessions)
    if mail is None:
        return False
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await send(_compose(mail, mail_from))
        log.info("mail sent", mail_id=str(mail.id))
    except Exception as error:  # noqa: BLE001 - whatever keeps one mail back must not keep back the others
        log.warning("mail failed", mail_id=str(mail.id), attempt=mail.attempts, error=type(error).__name__)
        if mail.attempts < ATTEMPTS:
            return True
        log.error("mail given up", mail_id=str(mail.id))  # noqa: TRY400 - an SMTP error names the recipient
    async with sessions.begin() as session:
        await session.execute(delete(Mail).where(Mail.id == mail.id))
    return True


async def _take(sessions: async_sessionmaker[AsyncSession]) -> Mail | None:
    # Putting off its due time keeps other workers from it, and is when it is tried again.
    now = clock.now()
    due = select(Mail.id).where(Mail.due_at <= now).order_by(Mail.due_at).limit(1).with_for_update(skip_locked=True)
    pause = FIRST_PAUSE * func.pow(2, Mail.attempts)
    taken = update(Mail).where(Mail.id == due.scalar_subquery()).returning(Mail)
    async with sessions.begin() as session:
        return await session.scalar(taken.values(attempts=Mail.attempts + 1, due_at=literal(now) + pause))


def _compose(mail: Mail, mail_from: str) -> EmailMessage:
    message, recipient = EmailMessage(), mail.recipient
    if not recipient.isascii():
        from email_validator import validate_email  # with the first: a start need not wait for it

        to = validate_email(recipient, check_deliverability=False)
        recipient = f"{to.local_part}@{to.ascii_domain}"  # few servers take a domain in letters of its own
    message["From"], message["To"], message["Subject"] = mail_from, recipient, mail.subject
    # The same at every attempt, so that a receiver can tell a repetition. Its time is that of the row.
    message["Message-ID"] = f"<{mail.id}@{mail_from.rpartition('@')[2].rstrip('>')}>"
    message["Date"] = mail.created_at
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.body)
    message.add_alternative(_as_html(mail), subtype="html")
    return message


def _as_html(mail: Mail) -> str:
    # Escaped before links are made: names are what somebody has typed.
    paragraphs = [escape(paragraph).replace("\n", "<br>\n") for paragraph in mail.body.strip().split("\n\n")]
    linked = (re.sub(r"https?://[^\s<]+", r'<a href="\g<0>">\g<0></a>', paragraph) for paragraph in paragraphs)
    return LAYOUT.substitute(subject=escape(mail.subject), body="\n".join(f"<p>{text}</p>" for text in linked))


def sender(settings: Settings) -> Send:
    if settings.smtp_url:
        return _by_smtp(settings.smtp_url.get_secret_value(), strict=settings.environment == "production")
    return _into_folder(settings.mail_folder or ROOT / ".mail", show=settings.environment == "development")


def _by_smtp(url: str, *, strict: bool) -> Send:
    """Return what sends with TLS, from the first byte or if the server offers it; if strict it must, for a password."""
    parts = urlsplit(url)
    tls = parts.scheme == "smtps"
    port = parts.port or (465 if tls else 587)
    user, password = (unquote(part) if part else None for part in (parts.username, parts.password))
    must = True if strict and parts.password is not None and not tls else None

    async def send(message: EmailMessage) -> None:
        from aiosmtplib import SMTP, SMTPException  # with the first mail: starting the service should not wait for it

        client = SMTP(hostname=parts.hostname, port=port, username=user, password=password, use_tls=tls, start_tls=must)
        try:
            await client.connect()
            await client.send_message(message)
            with suppress(SMTPException):  # the mail is accepted, whatever the server says now
                await client.quit(timeout=2)
        finally:
            client.close()  # `async with` would say goodbye to a server that hangs, too, and wait for a minute

    return send


def _into_folder(folder: Path, *, show: bool) -> Send:
    def write(message: EmailMessage) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = str(message["Message-ID"]).strip("<>").partition("@")[0]
        (folder / f"{name}.eml").write_bytes(bytes(message))
        if show:
            text = message.get_body(("plain",))
            content = text.get_content() if text else ""
            print(f"\nMail to {message['To']}: {message['Subject']}\n\n{content}", file=sys.stderr)  # noqa: T201

    return lambda message: asyncio.to_thread(write, message)
