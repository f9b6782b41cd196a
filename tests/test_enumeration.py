"""Nobody learns whether an address has an account: not from status, body, headers or work done, only by mail."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from people import PASSWORD, Person, join, read_mails
from sqlalchemy import event, update

from app.auth.models import LoginSession
from app.auth.passwords import HASHER

OTHER = "another four words"
OWN_HEADERS = {"x-request-id", "content-length", "date"}


@pytest.fixture
def work(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What takes time: statements, and passwords that are hashed or compared."""
    done = list[str]()

    def note_statement(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        done.append(statement)

    def noted(name: str) -> Callable[..., Any]:
        really = getattr(HASHER, name)

        def note(*arguments: Any) -> Any:
            done.append(name)
            return really(*arguments)

        return note

    for name in ("hash", "verify_and_update"):
        monkeypatch.setattr(HASHER, name, noted(name))
    event.listen(app.state.sessions.kw["bind"].sync_engine, "before_cursor_execute", note_statement)
    return done


async def compare(work: list[str], ask: Callable[[str], Awaitable[Response]], *emails: str) -> Response:
    """Ask about each address; the answers, and what was done for them, must be the same. Return one."""
    seen = []
    answer = await ask("warm@example.com")  # makes what is made only once
    for email in emails:
        work.clear()
        answer = await ask(email)
        headers = {name: value for name, value in answer.headers.items() if name not in OWN_HEADERS}
        seen.append((answer.status_code, answer.text, headers, list(work)))
    for one in seen[1:]:
        assert one == seen[0]
    return answer


async def test_login(app: FastAPI, client: AsyncClient, work: list[str]) -> None:
    """Known, unknown, and no address at all: one comparison each, and the same statements.

    Only in a network where the owner has logged in before a known account takes a statement less.
    """
    ada = await join(app, client)
    async with app.state.sessions.begin() as session:
        await session.execute(update(LoginSession).values(network="elsewhere"))

    async def ask(email: str) -> Response:
        return await client.post("/auth/login", json={"email": email, "password": OTHER})

    answer = await compare(work, ask, ada.email, "eve@example.com", "nonsense", "A" * 200)
    assert answer.status_code == 401
    assert work.count("verify_and_update") == 1


async def test_sign_up(app: FastAPI, client: AsyncClient, work: list[str]) -> None:
    """The work is that of hashing the password; the mail goes to the owner of the address."""
    ada = await join(app, client)

    async def ask(email: str) -> Response:
        return await client.post("/auth/sign-up", json={"email": email, "name": "Eve", "password": OTHER})

    answer = await compare(work, ask, ada.email, "eve@example.com")
    assert answer.status_code == 202
    assert work.count("hash") == 1
    mails = [len(await read_mails(app, email)) for email in (ada.email, "eve@example.com")]
    assert mails == [1, 1]


async def test_forgotten_password(app: FastAPI, client: AsyncClient, work: list[str]) -> None:
    """Known, unknown and deactivated."""
    ada, former = await join(app, client), await join(app, client, "former@example.com")
    await former.send("POST", "/auth/deactivate", json={"password": PASSWORD})

    async def ask(email: str) -> Response:
        return await client.post("/auth/forgot-password", json={"email": email})

    answer = await compare(work, ask, ada.email, "eve@example.com", former.email)
    assert answer.status_code == 202
    links = ["#token=" in (await read_mails(app, who.email))[-1].body for who in (ada, former)]
    assert links == [True, False]


async def test_change_of_address(app: FastAPI, client: AsyncClient, work: list[str]) -> None:
    """Whoever is logged in does not learn it either: an address that is taken is told by mail, to its owner."""
    ada, eve = await join(app, client), await join(app, client, "eve@example.com")

    async def ask(email: str) -> Response:
        return await ada.send("POST", "/auth/change-email", json={"password": PASSWORD, "new_email": email})

    answer = await compare(work, ask, eve.email, "new@example.com")
    assert answer.status_code == 202
    assert "#token=" not in (await read_mails(app, eve.email))[-1].body


@pytest.mark.parametrize("method", ["GET", "PATCH"])
async def test_other_users(app: FastAPI, client: AsyncClient, work: list[str], method: str) -> None:
    """Somebody else's id and one that nobody has."""
    ada, eve = await join(app, client), await join(app, client, "eve@example.com")

    async def ask(user: str) -> Response:
        user_id = eve.id if user == eve.email else "0" * 32
        return await ada.send(method, f"/users/{user_id}", **({"json": {"name": "X"}} if method == "PATCH" else {}))

    answer = await compare(work, ask, eve.email, "nobody")
    assert answer.status_code == 404


async def test_other_sessions(app: FastAPI, client: AsyncClient, work: list[str]) -> None:
    ada, eve = await join(app, client), await join(app, client, "eve@example.com")
    [session] = (await eve.send("GET", "/auth/sessions")).json()["items"]

    async def ask(whose: str) -> Response:
        return await ada.send("DELETE", f"/auth/sessions/{session['id'] if whose == eve.email else '0' * 32}")

    answer = await compare(work, ask, eve.email, "nobody")
    assert answer.status_code == 404
    assert (await eve.send("GET", "/users/me")).status_code == 200


async def test_limits_do_not_tell_either(app: FastAPI, client: AsyncClient) -> None:
    """After too many wrong passwords an account that exists and one that does not are equally closed."""
    ada = await join(app, client)
    statuses = []
    for email in (ada.email, "eve@example.com"):
        answers = [await client.post("/auth/login", json={"email": email, "password": OTHER}) for _ in range(12)]
        statuses.append([answer.status_code for answer in answers])

    assert statuses[0] == statuses[1] == [401] * 10 + [429] * 2


async def test_mails_that_are_withheld_do_not_tell_either(app: FastAPI, client: AsyncClient) -> None:
    """One network makes at most three mails to one address in half an hour, and gets the same answer for more."""
    ada: Person = await join(app, client)
    answers = [await client.post("/auth/forgot-password", json={"email": ada.email}) for _ in range(6)]

    assert {(answer.status_code, answer.text) for answer in answers} == {(202, answers[0].text)}
    assert len(await read_mails(app, ada.email)) == 3
