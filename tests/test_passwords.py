"""Which passwords are accepted, and how they are kept."""

import asyncio
import os
import sys
import threading
import time

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from people import PASSWORD, join, log_in, read_token
from pwdlib.hashers.argon2 import Argon2Hasher
from serving import serving
from sqlalchemy import select, update
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from app.auth import passwords
from app.auth.models import Credential
from app.auth.passwords import Passwords, refusal
from app.config import NAME

ADA = {"email": "ada@example.com", "name": "Ada Lovelace"}


async def sign_up(client: AsyncClient, password: str, **more: str) -> int:
    answer = await client.post("/auth/sign-up", json=ADA | {"password": password} | more)
    return answer.status_code


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that were hashed or compared meanwhile; it is done all the same."""
    seen, really_hash, really_verify = list[str](), Passwords.hash, Passwords.verify

    async def note_hash(self: Passwords, password: str) -> str:
        seen.append(password)
        return await really_hash(self, password)

    async def note_verify(self: Passwords, password: str, known_hash: str | None) -> tuple[bool, str | None]:
        seen.append(password)
        return await really_verify(self, password, known_hash)

    monkeypatch.setattr(Passwords, "hash", note_hash)
    monkeypatch.setattr(Passwords, "verify", note_verify)
    return seen


async def test_fourteen_characters_are_too_few_and_fifteen_are_enough(client: AsyncClient) -> None:
    assert await sign_up(client, "qzvkwmtrplxhjd") == 422
    assert await sign_up(client, "qzvkwmtrplxhjdn") == 202


@pytest.mark.parametrize(
    "password", ["q z v k w m t r p l", "QZVKWMTRPLXHJDN", "8150273649281736", "пароль из пяти слов"]
)
async def test_no_composition_is_asked_for(client: AsyncClient, password: str) -> None:
    """Fifteen characters of one kind will do."""
    assert await sign_up(client, password) == 202


@pytest.mark.parametrize("min_length", [8, 15])
async def test_none_of_the_best_known_passwords_is_accepted(database: str, hashed: list[str], min_length: int) -> None:
    """The 3,000 best known that are long enough, in whatever case; none is even hashed."""
    known = [password for password in FREQUENCY_LISTS["passwords"] if len(password) >= min_length][:3000]
    async with serving(database, password_min_length=min_length, sign_ups_per_hour=10_000) as (_, client):
        refused = [await sign_up(client, password) for password in (*known[:100], *map(str.upper, known[-50:]))]

    assert set(refused) == {422}
    assert len(known) == {8: 3000, 15: 31}[min_length]
    assert [password for password in known if not refusal(password, min_length)] == []
    assert hashed == []


@pytest.mark.parametrize("password", ["a" * 20, " " * 20, "ab" * 9, "Aa" * 9, "121212121212343434"])
async def test_the_same_few_characters_are_refused(client: AsyncClient, password: str) -> None:
    assert await sign_up(client, password) == 422


@pytest.mark.parametrize(
    "password",
    [
        *("passwordpassword", "PasswordPassword", "iloveyouiloveyou", "qwertyuiopasdfghjkl", "password123456789"),
        *("123456789012345", "1234567890123456", "1q2w3e4r5t6y7u8i9o0p"),
    ],
)
async def test_two_of_the_best_known_in_a_row_are_refused(client: AsyncClient, password: str) -> None:
    assert await sign_up(client, password) == 422


def test_to_judge_a_password_takes_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although compatibility decomposition makes 18 letters of one, and each part of it might be well known."""
    seen, known = list[int](), passwords._well_known()

    class Noting(frozenset[str]):
        def __contains__(self, word: object) -> bool:
            seen.append(len(str(word)))
            return super().__contains__(word)

    monkeypatch.setattr(passwords, "_well_known", lambda: Noting(known))

    assert refusal("ﷺ" * 341, 15) is None
    assert sum(seen) < 10_000
    assert max(map(len, known)) == passwords.LONGEST


@pytest.mark.parametrize(
    "password",
    [
        *(
            f"{NAME} {NAME} {NAME}",
            f"{NAME.upper()}-{NAME}1",
            "ada@example.com",
            "ADA@EXAMPLE.COM!",
            "example.com.ada",
        ),
        *("ada lovelace ada", "Ada Lovelace 1815", "lovelace@ada.ada"),
    ],
)
async def test_own_address_own_name_and_the_product_are_refused(client: AsyncClient, password: str) -> None:
    assert await sign_up(client, password) == 422


async def test_a_sentence_with_the_own_name_is_accepted(client: AsyncClient) -> None:
    """What is refused is a password that consists of little else."""
    assert await sign_up(client, "ada counts the horses of the king") == 202


async def test_the_rules_hold_for_every_new_password(app: FastAPI, client: AsyncClient) -> None:
    """Changed or forgotten; what is refused does not use up the link."""
    ada = await join(app, client)
    await client.post("/auth/forgot-password", json={"email": ada.email})
    reset = {"token": await read_token(app, ada.email)}
    for password in ("too short", f"{NAME} {NAME} {NAME}", "ada@example.com"):
        change = {"password": PASSWORD, "new_password": password}
        for answer in (
            await ada.send("POST", "/auth/change-password", json=change),
            await client.post("/auth/reset-password", json=reset | {"new_password": password}),
        ):
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["location"] == ["body", "new_password"]
            assert password not in answer.text

    answer = await client.post("/auth/reset-password", json=reset | {"new_password": "another four words"})
    assert answer.status_code == 200


async def test_every_byte_counts(app: FastAPI, client: AsyncClient) -> None:
    """Those after the 72nd, the case of letters, and a space at the end."""
    password = f"{'four words are easy to keep ' * 3}end "
    assert len(password.encode()) > 73
    await join(app, client)
    ada = await join(app, client, "eve@example.com")
    await ada.send("POST", "/auth/change-password", json={"password": PASSWORD, "new_password": password})

    for wrong in (password[:72], password[:73], password.swapcase(), password.strip(), password + " "):
        answer = await client.post("/auth/login", json={"email": ada.email, "password": wrong})
        assert answer.status_code == 401
    await log_in(client, ada.email, password)


@pytest.mark.parametrize("password", ["x7Kq2" * 12, "abcde" + "é" * 509, "🐎 battery staple 正しい馬"])
async def test_long_and_foreign_passwords_are_accepted(app: FastAPI, client: AsyncClient, password: str) -> None:
    """Up to 1,024 bytes, in any alphabet."""
    ada = await join(app, client)
    await ada.send("POST", "/auth/change-password", json={"password": PASSWORD, "new_password": password})

    await log_in(client, ada.email, password)


@pytest.mark.parametrize("password", ["x" * 1025, "é" * 513, "x" * 1_000_000, ""])
async def test_what_is_too_long_is_not_even_hashed(client: AsyncClient, hashed: list[str], password: str) -> None:
    login = await client.post("/auth/login", json={"email": ADA["email"], "password": password})

    assert [login.status_code, await sign_up(client, password)] == [422, 422]
    assert hashed == []


async def test_unicode_typed_in_two_ways_is_one_password(app: FastAPI, client: AsyncClient) -> None:
    """Keyboards differ in whether é is one character or two."""
    ada = await join(app, client)
    new = {"password": PASSWORD, "new_password": "caf\u00e9 caf\u00e9 caf\u00e9 caf\u00e9"}
    await ada.send("POST", "/auth/change-password", json=new)

    await log_in(client, ada.email, "cafe\u0301 cafe\u0301 cafe\u0301 cafe\u0301")


async def test_a_hash_is_renewed_when_the_parameters_have_changed(app: FastAPI, client: AsyncClient) -> None:
    """At the next login, and the password stays what it was. A wrong password renews nothing."""
    ada = await join(app, client)
    old = Argon2Hasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(PASSWORD)
    async with app.state.sessions.begin() as session:
        await session.execute(update(Credential).values(password_hash=old))

    async def kept() -> str:
        async with app.state.sessions() as session:
            return str(await session.scalar(select(Credential.password_hash)))

    await client.post("/auth/login", json={"email": ada.email, "password": "not the password"})
    assert await kept() == old
    await log_in(client, ada.email)
    renewed = await kept()
    assert "m=19456,t=2,p=1" in renewed
    await log_in(client, ada.email)
    assert await kept() == renewed


async def test_passwords_are_kept_as_argon2id(app: FastAPI, client: AsyncClient) -> None:
    """Each with a salt of its own."""
    for email in ("ada@example.com", "eve@example.com"):
        await join(app, client, email)

    async with app.state.sessions() as session:
        hashes = (await session.scalars(select(Credential.password_hash))).all()
    assert len(set(hashes)) == 2
    assert all(kept.startswith("$argon2id$") for kept in hashes)


@pytest.mark.parametrize(("busy", "rest"), [(0, 0), (0.01, 0.04 / 3), (0.02, 0.04), (0.03, 0.12)])
def test_the_busier_the_process_the_longer_hashing_rests(busy: float, rest: float) -> None:
    """After one of 40 ms: it gets the share of the time that the others leave."""
    assert passwords._rest(0.04, busy) == pytest.approx(rest)


@pytest.mark.parametrize("threads", [1, 2])
async def test_a_rest_delays_later_hashes_and_not_this_answer(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    """For so long that all threads together begin five a second at most."""
    monkeypatch.setattr("os.cpu_count", lambda: threads + 1)
    monkeypatch.setattr(passwords, "_rest", lambda _seconds, _busy: 60)
    hashing = Passwords()

    tasks = [asyncio.create_task(hashing._run(time.monotonic)) for _ in range(threads + 1)]
    first, *_ = await asyncio.gather(*tasks[:threads])
    waits = not tasks[-1].done()

    assert waits
    assert await tasks[-1] - first >= threads * passwords.MAX_REST


async def test_who_comes_when_fifty_wait_is_told_to_come_again(
    app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who wait get their turn; with more, nobody would still be there when theirs comes."""
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    app.state.passwords = Passwords()
    turn = threading.Event()
    monkeypatch.setattr(passwords.HASHER, "hash", lambda _: turn.wait(60) and "hash")
    waiting = [asyncio.create_task(app.state.passwords.hash(PASSWORD)) for _ in range(1 + 50)]
    await asyncio.sleep(0)  # each begins: one is hashed
    try:
        async with asyncio.timeout(10):
            login = {"email": ADA["email"], "password": PASSWORD}
            answers = [await client.post("/auth/login", json=login) for _ in range(11)]  # 10 wrong ones would lock out
            answers.append(await client.post("/auth/sign-up", json=ADA | {"password": PASSWORD}))
    finally:
        turn.set()

    assert [answer.status_code for answer in answers] == [503] * 12
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
    assert await asyncio.gather(*waiting) == ["hash"] * 51
    assert await sign_up(client, PASSWORD) == 202


@pytest.mark.skipif(sys.platform != "linux", reason="only there a thread has a priority")
async def test_hashing_gives_way_to_all_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever priority the tests have, that of the thread is set, and low."""
    really_set, given = os.setpriority, dict[int, int]()

    def note(kind: int, thread: int, priority: int) -> None:
        really_set(kind, thread, priority)
        given[thread] = priority

    monkeypatch.setattr("os.setpriority", note)
    thread = await Passwords()._run(threading.get_native_id)

    assert given == {thread: os.getpriority(os.PRIO_PROCESS, thread)}
    assert given[thread] >= 15


@pytest.mark.skipif(sys.platform != "linux", reason="only there a thread has a priority")
async def test_a_low_priority_that_cannot_be_set_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who runs at a lower one already may not raise it."""

    def refuse(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr("os.setpriority", refuse)

    assert (await Passwords().hash(PASSWORD)).startswith("$argon2id$")
