"""`python -m app.auth admin`, which `make admin` calls: how the first administrator comes about."""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from people import PASSWORD, Person, join, log_in
from pydantic import SecretStr
from sqlalchemy import make_url, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.__main__ import make_admin
from app.config import ROOT, Settings
from app.database import SERVER_SETTINGS
from app.models import SCHEMA
from app.users.models import Role, User

EMAIL = "root@example.com"


def run(database: str, typed: str, email: str = EMAIL) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.auth", "admin", email],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": database},
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


async def test_no_user_comes_with_the_migrations(session: AsyncSession) -> None:
    """So there is no password that somebody forgets to change."""
    assert (await session.scalars(select(User))).all() == []


async def test_a_new_user_becomes_administrator(database: str, client: AsyncClient) -> None:
    """With the password from standard input, which is not repeated; and can do what only administrators can."""
    done = run(database, f"{PASSWORD}\n")
    tokens = await log_in(client, EMAIL)

    assert (done.returncode, done.stdout) == (0, f"{EMAIL} is a new user, and an administrator.\n")
    assert PASSWORD not in done.stdout + done.stderr
    root = Person(client, "", EMAIL, tokens["access_token"], tokens["refresh_token"])
    assert (await root.send("GET", "/users")).status_code == 200


async def test_a_user_becomes_administrator_whatever_the_case_of_the_address(
    app: FastAPI, database: str, client: AsyncClient
) -> None:
    """Nothing is asked, the password stays, and the session that is open has the new rights."""
    ada = await join(app, client)
    done = run(database, "", "ADA@example.com")

    assert (done.returncode, done.stdout) == (0, "ADA@example.com is an administrator now.\n")
    assert (await ada.send("GET", "/users/me")).json()["role"] == Role.ADMIN
    await log_in(client, ada.email)


async def test_who_types_slowly_and_whose_clock_is_ahead(
    database: str, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends a transaction that is idle for ten seconds; the first login is on a host of its own."""

    def type_slowly(*_: object) -> str:
        time.sleep(0.5)
        return PASSWORD

    with monkeypatch.context() as meanwhile:
        meanwhile.setitem(SERVER_SETTINGS, "idle_in_transaction_session_timeout", "100")
        meanwhile.setattr("app.auth.__main__.read_password", type_slowly)
        meanwhile.setattr("app.clock.now", lambda: datetime.now(UTC) + timedelta(minutes=2))
        answer = await make_admin(EMAIL, Settings(database_url=SecretStr(database)))
    tokens = await log_in(client, EMAIL)
    root = Person(client, "", EMAIL, tokens["access_token"], tokens["refresh_token"])

    assert answer == f"{EMAIL} is a new user, and an administrator."
    assert (await root.send("GET", "/users")).status_code == 200


async def test_who_signs_up_while_the_password_is_typed(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address is taken then; it is not the database that cannot be used."""

    def sign_up_meanwhile(*_: object) -> str:
        url = make_url(database).set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(url, autocommit=True) as other:
            insert = f'INSERT INTO "{SCHEMA}".users (id, email, name) VALUES (gen_random_uuid(), %s, %s)'
            other.execute(insert.encode(), (EMAIL, "Root"))
        return PASSWORD

    monkeypatch.setattr("app.auth.__main__.read_password", sign_up_meanwhile)
    settings = Settings(database_url=SecretStr(database))

    with pytest.raises(SystemExit, match=r"Another user has this e-mail address\. Run the same command again"):
        await make_admin(EMAIL, settings)
    assert await make_admin(EMAIL, settings) == f"{EMAIL} is an administrator now."


@pytest.mark.parametrize(
    ("email", "typed", "message"),
    [
        ("nonsense", "", "nonsense is not an e-mail address.\n"),
        (EMAIL, "", "The password is refused: at least 15 characters; any will do, a sentence is good.\n"),
        (EMAIL, "admin\n", "The password is refused: at least 15 characters; any will do, a sentence is good.\n"),
        (EMAIL, "123456789987654321\n", "The password is refused: this is among the passwords that are tried first.\n"),
        (EMAIL, f"{EMAIL}\n", "The password is refused: your address, your name and ours are guessed first.\n"),
        (EMAIL, "x" * 1025, "The password is refused: at most 1024 bytes.\n"),
        ("é" * 300 + "@example.com", "", "é" * 300 + "@example.com is not an e-mail address.\n"),
    ],
)
async def test_what_is_refused(database: str, session: AsyncSession, email: str, typed: str, message: str) -> None:
    """In one line, with exit code 1, and nobody is made."""
    done = run(database, typed, email)

    assert (done.returncode, done.stdout, done.stderr) == (1, "", message)
    assert (await session.scalars(select(User))).all() == []


async def test_a_database_that_cannot_be_used(empty_database: str) -> None:
    """One line says what to do, and no traceback is shown."""
    for database, message in (
        (empty_database, "alembic upgrade head"),
        ("postgresql://ada:secret@127.0.0.1:1/name", "The database cannot be used: "),
    ):
        done = run(database, f"{PASSWORD}\n")
        assert (done.returncode, done.stdout) == (1, "")
        assert len(done.stderr.splitlines()) == 1
        assert message in done.stderr
        assert "secret" not in done.stderr


async def test_the_role_is_no_more_than_a_word_in_the_database(session: AsyncSession) -> None:
    """No other can be stored than those that the code knows."""
    roles = await session.scalar(
        text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'ck_users_role'")
    )

    assert roles
    assert all(role.value in roles for role in Role)
