"""Ways to hand a mail over: SMTP in production, terminal and folder in development. Your own is one function more."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import unquote, urlsplit

import aiosmtplib

from app.config import ROOT, Settings

Send = Callable[[EmailMessage], Awaitable[None]]

SMTP_SECONDS = 30


def sender(settings: Settings) -> Send:
    if settings.smtp_url:
        return _by_smtp(settings.smtp_url.get_secret_value())
    return _into_folder(settings.mail_folder or ROOT / ".mail", show=settings.environment == "development")


def _by_smtp(url: str) -> Send:
    parts = urlsplit(url)
    tls = parts.scheme == "smtps"

    async def send(message: EmailMessage) -> None:
        await aiosmtplib.send(
            message,
            hostname=parts.hostname,
            port=parts.port or (465 if tls else 587),
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            use_tls=tls,
            start_tls=None if not tls else False,
            timeout=SMTP_SECONDS,
        )

    return send


def _into_folder(folder: Path, *, show: bool) -> Send:
    def write(message: EmailMessage) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = str(message["Message-ID"]).strip("<>").partition("@")[0]
        (folder / f"{name}.eml").write_bytes(bytes(message))
        if show:
            text = message.get_body(("plain",))
            print(  # noqa: T201 - this is how it is read in development
                f"\nMail to {message['To']}: {message['Subject']}\n\n{text.get_content() if text else ''}",
                file=sys.stderr,
            )

    async def send(message: EmailMessage) -> None:
        await asyncio.to_thread(write, message)

    return send
