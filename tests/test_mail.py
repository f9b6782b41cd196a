"""Mails reach people: by SMTP, into the folder, and from the outbox however often the process dies."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtplib import SMTPException
from fastapi import FastAPI
from pydantic import SecretStr
from serving import serving
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import clock
from app.background import every
from app.config import Settings
from app.mail import outbox
from app.mail.models import Mail
from app.mail.outbox import deliver, post, sender

SENDER = "The Service <no-reply@example.com>"


@dataclass
class MailServer:
    """Speaks as much SMTP as a client needs, and keeps what it is given."""

    refuses: str = ""  # the reply to each recipient, where it does
    hangs_at: str = ""  # the command that is never answered, where there is one
    port: int = 0
    logins: list[str] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)

    def sender(self) -> outbox.Send:
        """Return what hands mails over to it."""
        return sender(settings(smtp_url=SecretStr(f"smtp://127.0.0.1:{self.port}")))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n")
        while line := (await reader.readline()).decode().strip():
            writer.write(f"{await self._reply(line, reader, writer)}\r\n".encode())
            if line.upper() == "QUIT":
                break
        writer.close()

    async def _reply(self, line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        if self.hangs_at and line.upper().startswith(self.hangs_at):
            await reader.read()
        match line.upper().split(maxsplit=1):
            case ["EHLO", _]:
                return "250-mail.example.com\r\n250-AUTH PLAIN\r\n250 8BITMIME"
            case ["AUTH", _]:
                self.logins.append(line.rpartition(" ")[2])
                return "235 welcome"
            case ["RCPT", _] if self.refuses:
                return self.refuses
            case ["DATA"]:
                writer.write(b"354 go on\r\n")
                content = (await reader.readuntil(b"\r\n.\r\n")).removesuffix(b".\r\n")
                self.mails.append(message_from_bytes(content, policy=policy.default))
                return "250 accepted"
            case ["QUIT"]:
                return "221 bye"
        return "250 fine"


@pytest.fixture
async def mail_server() -> AsyncIterator[MailServer]:
    server = MailServer()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    yield server
    listening.close()
    await listening.wait_closed()


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "template.txt"
    path.write_text("Hello from $product\n\nDear $name,\n\nfollow this: $link\n", encoding="utf-8")
    return path


@pytest.fixture
async def posted(app: FastAPI, template: Path) -> str:
    """The address of somebody to whom a mail waits in the outbox."""
    async with app.state.sessions.begin() as session:
        words = {"product": "us", "name": "Zoë <b>", "link": "https://www.example.com/#token=abc"}
        post(session, "ada@example.com", template, **words)
    return "ada@example.com"


async def waiting(app: FastAPI) -> int:
    async with app.state.sessions() as session:
        return await session.scalar(select(func.count()).select_from(Mail)) or 0


async def deliver_all(app: FastAPI, send: outbox.Send) -> None:
    while await deliver(app.state.sessions, send, SENDER):
        pass


async def recipients(app: FastAPI) -> list[str]:
    """Send what is due; return to whom it went, one after the other."""
    sent = []

    async def send(message: EmailMessage) -> None:
        sent.append(message["To"])

    await deliver_all(app, send)
    return sent


def settings(**fields: object) -> Settings:
    return Settings.model_validate({"database_url": SecretStr("postgresql:///unused"), **fields})


def move_clock(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    now: datetime = clock.now() + by
    monkeypatch.setattr("app.clock.now", lambda: now)


async def test_smtp(app: FastAPI, posted: str, mail_server: MailServer) -> None:
    """The server gets login, text and HTML; what somebody has typed is text in both."""
    url = SecretStr(f"smtp://ada:p%40ss@127.0.0.1:{mail_server.port}")
    async with app.state.sessions() as session:
        written = await session.scalar(select(func.date_trunc("second", Mail.created_at)))

    await deliver_all(app, sender(settings(smtp_url=url)))

    [mail] = mail_server.mails
    assert mail_server.logins == [b64encode(b"\0ada\0p@ss").decode()]
    assert (mail["From"], mail["To"], mail["Subject"]) == (SENDER, posted, "Hello from us")
    assert (mail["Date"].datetime, mail["Auto-Submitted"]) == (written, "auto-generated")  # no robot answers the latter
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text
    assert html
    assert "Dear Zoë <b>," in text.get_content()
    assert "Zoë &lt;b&gt;" in html.get_content()
    assert 'href="https://www.example.com/#token=abc"' in html.get_content()
    assert await waiting(app) == 0


@pytest.mark.parametrize(("scheme", "first"), [("smtps", b"\x16\x03"), ("smtp", b"EH")])
async def test_smtps_is_tls_from_the_first_byte(scheme: str, first: bytes) -> None:
    """A ClientHello, before the server has said a word; with smtp:// the client waits to be greeted."""
    seen = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if scheme == "smtp":
            writer.write(b"220 mail.example.com ESMTP\r\n")
        seen.set_result(await reader.read(2))
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        url = SecretStr(f"{scheme}://ada:secret@127.0.0.1:{server.sockets[0].getsockname()[1]}")
        fields = {"environment": "production", "public_url": "https://x.example", "mail_from": SENDER}
        with pytest.raises(SMTPException):
            await sender(settings(smtp_url=url, **fields))(EmailMessage())

    assert await seen == first


async def test_a_domain_in_letters_of_its_own_is_written_in_ascii(
    app: FastAPI, template: Path, mail_server: MailServer
) -> None:
    """Most servers refuse it otherwise. The form is that of IDNA 2008: its ß is no ss."""
    async with app.state.sessions.begin() as session:
        post(session, "ada@straße.de", template, product="us", name="Ada", link="")

    await deliver_all(app, mail_server.sender())

    assert [mail["To"] for mail in mail_server.mails] == ["ada@xn--strae-oqa.de"]


async def test_a_refused_mail_is_tried_again_and_given_up_in_the_end(
    app: FastAPI,
    posted: str,
    mail_server: MailServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Twelve times, after 1, 2, 4, ... minutes; the log never names the recipient, though the server does."""
    mail_server.refuses = f"450 {posted} is busy"
    send = mail_server.sender()
    move_clock(monkeypatch, timedelta())  # it stands still from here on
    for attempt in range(1 + 12):
        assert await waiting(app) == 1
        assert await deliver(app.state.sessions, send, SENDER)
        move_clock(monkeypatch, timedelta(minutes=2**attempt, seconds=-1))
        assert not await deliver(app.state.sessions, send, SENDER)  # not due yet
        move_clock(monkeypatch, timedelta(seconds=1))

    assert await waiting(app) == 0
    assert caplog.text.count("mail failed") == 1 + 12
    assert caplog.text.count("mail given up") == 1
    assert posted not in caplog.text


async def test_one_mail_that_fails_keeps_no_other_back(
    app: FastAPI, posted: str, template: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log tells of each what became of it."""
    async with app.state.sessions.begin() as session:
        post(session, "eve@example.com", template, product="us", name="Eve", link="")
    sent = []

    async def send(message: EmailMessage) -> None:
        if message["To"] == posted:
            raise ConnectionError
        sent.append(message["To"])

    await deliver_all(app, send)
    assert sent == ["eve@example.com"]
    assert [caplog.text.count(f"mail {became}") for became in ("sent", "failed")] == [1, 1]
    assert await waiting(app) == 1


async def test_a_mail_that_another_worker_takes_keeps_no_other_back(
    app: FastAPI, posted: str, template: Path, session: AsyncSession
) -> None:
    """Its row is locked at that moment; the next one that is due is sent meanwhile."""
    async with app.state.sessions.begin() as posting:
        post(posting, "eve@example.com", template, product="us", name="Eve", link="")
    await session.execute(select(Mail).where(Mail.recipient == posted).with_for_update())

    assert await recipients(app) == ["eve@example.com"]


async def test_the_mail_that_has_been_due_for_longest_comes_first(app: FastAPI, posted: str, template: Path) -> None:
    async with app.state.sessions.begin() as session:
        post(session, "eve@example.com", template, product="us", name="Eve", link="")
        await session.flush()
        longer = update(Mail).where(Mail.recipient == "eve@example.com").values(due_at=Mail.due_at - timedelta(hours=1))
        await session.execute(longer)

    assert await recipients(app) == ["eve@example.com", posted]


async def test_an_attempt_ends_before_another_worker_makes_the_next(
    app: FastAPI, posted: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """However slowly a server answers: two attempts at once would be two mails."""
    assert outbox.FIRST_PAUSE.total_seconds() > outbox.SEND_SECONDS
    monkeypatch.setattr(outbox, "SEND_SECONDS", 0.01)

    async def hang(message: EmailMessage) -> None:
        await asyncio.Event().wait()

    assert await deliver(app.state.sessions, hang, SENDER)
    assert await waiting(app) == 1
    assert "TimeoutError" in caplog.text


async def test_a_server_that_hangs_is_not_waited_for_any_longer(
    app: FastAPI,
    posted: str,
    mail_server: MailServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not to say goodbye either: the next attempt would begin meanwhile, and whoever is to stop would not end."""
    monkeypatch.setattr(outbox, "SEND_SECONDS", 0.5)
    mail_server.hangs_at = "RCPT"
    send = mail_server.sender()

    async with asyncio.timeout(30):
        assert await deliver(app.state.sessions, send, SENDER)

    assert "TimeoutError" in caplog.text
    assert await waiting(app) == 1


async def test_a_mail_is_sent_once_however_the_server_says_goodbye(
    app: FastAPI, posted: str, mail_server: MailServer
) -> None:
    """Once it has taken the mail, that is no matter."""
    mail_server.hangs_at = "QUIT"

    await deliver_all(app, mail_server.sender())

    assert len(mail_server.mails) == 1
    assert await waiting(app) == 0


async def test_in_production_a_password_is_only_sent_encrypted(
    app: FastAPI, posted: str, mail_server: MailServer
) -> None:
    """Who does not offer that gets neither it nor the mail; it may be somebody in between."""
    url = SecretStr(f"smtp://ada:secret@127.0.0.1:{mail_server.port}")

    await deliver_all(
        app, sender(settings(environment="production", public_url="https://x.example", smtp_url=url, mail_from=SENDER))
    )

    assert (mail_server.logins, mail_server.mails) == ([], [])
    assert await waiting(app) == 1


async def test_what_is_under_way_at_the_end_is_waited_for() -> None:
    """A mail that was handed over and is not yet deleted would be sent once more."""
    begun, may_end = asyncio.Event(), asyncio.Event()
    done = []

    async def work() -> None:
        begun.set()
        await may_end.wait()
        done.append(True)

    async with every(0, work):
        await begun.wait()
        asyncio.get_running_loop().call_soon(may_end.set)
    assert done == [True]


async def test_a_mail_survives_a_crash(app: FastAPI, posted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who dies while sending leaves the mail to the next; both copies have the same Message-ID."""
    ids = []

    async def die(message: EmailMessage) -> None:
        ids.append(message["Message-ID"])
        raise asyncio.CancelledError  # nothing after the call of send is done

    async def send(message: EmailMessage) -> None:
        ids.append(message["Message-ID"])

    with pytest.raises(asyncio.CancelledError):
        await deliver(app.state.sessions, die, SENDER)
    move_clock(monkeypatch, outbox.FIRST_PAUSE)

    await deliver_all(app, send)
    assert ids[0] == ids[1]
    assert await waiting(app) == 0


async def test_several_workers_send_each_mail_once(app: FastAPI, posted: str, template: Path) -> None:
    async with app.state.sessions.begin() as session:
        for n in range(19):
            post(session, f"{n}@example.com", template, product="us", name="Eve", link="")
    sent = []

    async def send(message: EmailMessage) -> None:
        sent.append(message["To"])
        await asyncio.sleep(0)

    await asyncio.gather(*(deliver_all(app, send) for _ in range(4)))

    assert len(sent) == 20
    assert len(set(sent)) == 20


async def test_no_commit_no_mail(app: FastAPI, template: Path) -> None:
    """What is undone is not written to anybody."""

    async def fail() -> None:
        async with app.state.sessions.begin() as session:
            post(session, "ada@example.com", template, product="us", name="Ada", link="")
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert await waiting(app) == 0


@pytest.mark.parametrize("environment", ["development", "production"])
async def test_the_folder(
    app: FastAPI, posted: str, tmp_path: Path, environment: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Mails are files that mail programs open, only for the owner; in development the terminal shows them too."""
    fields = {"environment": environment, "public_url": "https://www.example.com"}
    folder = tmp_path / "mails"

    await deliver_all(app, sender(settings(mail_folder=folder, **fields)))

    [file] = folder.iterdir()
    mail = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert (file.suffix, mail["To"]) == (".eml", posted)
    assert folder.stat().st_mode & 0o077 == 0
    assert ("#token=abc" in capfd.readouterr().err) == (environment == "development")


async def test_the_application_sends_by_itself(database: str, template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to start anything: what a request has posted is sent."""
    sent = asyncio.Event()

    async def send(message: EmailMessage) -> None:
        sent.set()

    monkeypatch.setattr("app.main.MAIL_SECONDS", 0.01)
    monkeypatch.setattr("app.main.sender", lambda _: send)
    async with serving(database) as (app, _):
        async with app.state.sessions.begin() as session:
            post(session, "ada@example.com", template, product="us", name="Ada", link="")
        async with asyncio.timeout(10):
            await sent.wait()
