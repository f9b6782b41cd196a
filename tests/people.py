"""People who use the service in tests: they sign up, read their mail and log in."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import delete, select, update

from app.auth import passwords
from app.mail.models import Mail
from app.users.models import Role, User

PASSWORD = "four words are easy"


@dataclass
class Person:
    """Somebody who is logged in."""

    client: AsyncClient
    id: str
    email: str
    access: str
    refresh: str

    async def send(self, method: str, path: str, **options: Any) -> Response:
        headers = {"authorization": f"Bearer {self.access}"} | options.pop("headers", {})
        return await self.client.request(method, path, headers=headers, **options)


async def read_mails(app: FastAPI, email: str) -> list[Mail]:
    """Take the mails to an address out of the outbox, the oldest first."""
    async with app.state.sessions.begin() as session:
        mails = (await session.scalars(select(Mail).where(Mail.recipient == email).order_by(Mail.id))).all()
        await session.execute(delete(Mail).where(Mail.recipient == email))
    return list(mails)


async def read_token(app: FastAPI, email: str) -> str:
    """Return the token of the link in the last mail."""
    found = re.search(r"#token=(\S+)", (await read_mails(app, email))[-1].body)
    assert found
    return found[1]


async def log_in(client: AsyncClient, email: str, password: str = PASSWORD) -> dict[str, Any]:
    answer = await client.post("/auth/login", json={"email": email, "password": password})
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


async def join(
    app: FastAPI, client: AsyncClient, email: str = "ada@example.com", name: str = "Ada", role: Role = Role.USER
) -> Person:
    """Sign up, follow the link and log in."""
    answer = await client.post("/auth/sign-up", json={"email": email, "name": name, "password": PASSWORD})
    assert answer.status_code == 202, answer.text
    confirmed = await client.post("/auth/confirm-sign-up", json={"token": await read_token(app, email)})
    assert confirmed.status_code == 201, confirmed.text
    async with app.state.sessions.begin() as session:
        await session.execute(update(User).where(User.email == email).values(role=role))
    tokens = await log_in(client, email)
    return Person(client, confirmed.json()["id"], email, tokens["access_token"], tokens["refresh_token"])


@pytest.fixture
def cheap_hashing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """For hundreds of passwords: they are hashed as ever, but in no time."""
    monkeypatch.setattr(passwords, "HASHER", PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),)))
    passwords._decoy.cache_clear()
    yield
    passwords._decoy.cache_clear()
