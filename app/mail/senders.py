"""Ways to hand a mail over: SMTP in production, terminal and folder in development. Your own is one function more."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

import aiosmtplib

from app.config import ROOT, Settings

Send = Callable[[EmailMessage], Awaitable[object]]

SMTP_SECONDS = 30


def sender(settings: Settings) -> Send:
    if settings.smtp_url:
        return _by_smtp(settings.smtp_url.get_secret_value())
    return _into_folder(settings.mail_folder or ROOT / ".mail", show=settings.environment == "development")


def _by_smtp(url: str) -> Send:
    parts = urlsplit(url)
    tls = parts.scheme == "smtps"
    return partial(
        aiosmtplib.send,
        hostname=parts.hostname,
        port=parts.port or (465 if tls else 587),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        use_tls=tls,
        start_tls=False if tls else None,  # None: where the server offers it
        timeout=SMTP_SECONDS,
    )


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
