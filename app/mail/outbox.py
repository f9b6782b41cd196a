"""The outbox: `post` puts a mail into it within the caller's transaction, `deliver` hands it over later.

A mail is sent at least once, and twice only when the process dies between the server's "accepted" and our deletion of
the row; both copies then have the same Message-ID. Several workers never send the same mail at once: each takes a mail
by putting off its due time.
"""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import structlog
from sqlalchemy import delete, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app import clock
from app.mail.message import compose, fill
from app.mail.models import Mail
from app.mail.senders import Send

log = structlog.get_logger(__name__)

FIRST_PAUSE = timedelta(minutes=1)  # longer than any attempt takes; doubled with each
ATTEMPTS = 12  # for nearly three days


def post(session: AsyncSession, recipient: str, template: Path, **values: str) -> None:
    """Write a mail that is sent if, and only if, the transaction is committed."""
    subject, body = fill(template, **values)
    session.add(Mail(recipient=recipient, subject=subject, body=body, due_at=clock.now()))


async def deliver(sessions: async_sessionmaker[AsyncSession], send: Send, sender: str) -> int:
    """Send what is due; return how many were handed over."""
    sent = 0
    while mail := await _take(sessions):
        try:
            await send(compose(mail, sender))
        except Exception as error:  # noqa: BLE001 - whatever keeps one mail back must not keep back the others
            log.warning("mail failed", mail_id=str(mail.id), attempt=mail.attempts, error=type(error).__name__)
            if mail.attempts >= ATTEMPTS:
                log.error("mail given up", mail_id=str(mail.id))  # noqa: TRY400 - an SMTP error names the recipient
                await _remove(sessions, mail.id)
        else:
            await _remove(sessions, mail.id)
            log.info("mail sent", mail_id=str(mail.id))
            sent += 1
    return sent


async def _take(sessions: async_sessionmaker[AsyncSession]) -> Mail | None:
    now = clock.now()
    due = select(Mail.id).where(Mail.due_at <= now).order_by(Mail.due_at).limit(1).with_for_update(skip_locked=True)
    pause = FIRST_PAUSE * func.pow(2, Mail.attempts)
    taken = update(Mail).where(Mail.id == due.scalar_subquery()).returning(Mail)
    async with sessions.begin() as session:
        return await session.scalar(taken.values(attempts=Mail.attempts + 1, due_at=literal(now) + pause))


async def _remove(sessions: async_sessionmaker[AsyncSession], mail_id: UUID) -> None:
    async with sessions.begin() as session:
        await session.execute(delete(Mail).where(Mail.id == mail_id))
