import asyncio
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from blocking import until
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from people import (
    PASSWORD,
    Person,
    cheap_hashing,  # noqa: F401 - a fixture
    join,
    log_in,
    read_mails,
    read_token,
)
from serving import serving
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import clock
from app.auth import accounts
from app.auth.links import LINK_MINUTES, MAILS
from app.auth.models import Attempt, Credential, EmailToken, LoginSession, SignUp
from app.auth.throttle import Limit
from app.config import ROOT
from app.mail.models import Mail
from app.models import Base
from app.users.models import Role, User

ADA = {"email": "ada@example.com", "name": "Ada", "password": PASSWORD}
OTHER = "another four words"


def move_clock(monkeypatch: pytest.MonkeyPatch, **by: float) -> None:
    now: datetime = clock.now() + timedelta(**by)
    monkeypatch.setattr("app.clock.now", lambda: now)


def test_the_page_tells_of_every_mail_and_what_is_in_it() -> None:
    """The second column says to whom; the third whether there is a name, and a link that works for so long."""
    page = (ROOT / "docs/accounts.md").read_text(encoding="utf-8")
    told = {
        file: ("name" in holds, "link" in holds)
        for file, holds in re.findall(r"^\| `(\w+\.txt)` \|.*\|(.*)\|$", page, re.MULTILINE)
    }
    texts = {file.name: file.read_text(encoding="utf-8") for file in MAILS.iterdir()}

    assert told == {name: ("$name" in text, "$token" in text) for name, text in texts.items()}


async def test_nobody_writes_to_others_by_signing_up(app: FastAPI, client: AsyncClient) -> None:
    """A name is whatever somebody typed, and the address may be anybody's: the mail to it does not repeat the name."""
    ada = await join(app, client)
    name = "You have won: https://evil.example"
    await client.post("/auth/sign-up", json=ADA | {"email": "eve@example.com", "name": name})
    await ada.send("PATCH", "/users/me", json={"name": name})
    await ada.send("POST", "/auth/change-email", json={"password": PASSWORD, "new_email": "eve@example.com"})

    mails = await read_mails(app, "eve@example.com")

    assert ["evil.example" in mail.body for mail in mails] == [False, False]


async def test_sign_up_does_not_tell_whether_the_address_is_known(app: FastAPI, client: AsyncClient) -> None:
    """Status and body are the same; only the owner of the address learns it, by mail."""
    new = await client.post("/auth/sign-up", json=ADA)
    first = await read_mails(app, ADA["email"])
    await join(app, client)

    known = await client.post("/auth/sign-up", json=ADA | {"email": "ADA@example.com"})

    assert (new.status_code, new.json()) == (known.status_code, known.json())
    assert "#token=" in first[-1].body
    assert "#token=" not in (await read_mails(app, "ADA@example.com"))[-1].body


async def test_an_idempotency_key_makes_one_sign_up_of_two(app: FastAPI, client: AsyncClient) -> None:
    key = {"idempotency-key": "one"}
    answers = [await client.post("/auth/sign-up", json=ADA, headers=key) for _ in range(2)]
    changes = {"name": "Eve"}, {"password": OTHER}, {"email": "eve@example.com"}
    others = [await client.post("/auth/sign-up", json=ADA | change, headers=key) for change in changes]

    assert [answer.status_code for answer in (*answers, *others)] == [202, 202, 422, 422, 422]
    assert all(other.json()["errors"][0]["location"] == ["header", "Idempotency-Key"] for other in others)
    assert len(await read_mails(app, ADA["email"])) == 1


async def test_repetitions_of_a_sign_up_use_up_no_mails(app: FastAPI, client: AsyncClient) -> None:
    """Three mails in half an hour are three mails, however often a client had to send one sign-up."""
    for _ in range(4):
        await client.post("/auth/sign-up", json=ADA, headers={"idempotency-key": "one"})
    await client.post("/auth/sign-up", json=ADA)

    assert len(await read_mails(app, ADA["email"])) == 2


async def test_an_idempotency_key_counts_for_24_hours(
    app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the same request is another sign-up, also where what has expired is not yet cleaned up."""
    key = {"idempotency-key": "one"}
    await client.post("/auth/sign-up", json=ADA, headers=key)
    move_clock(monkeypatch, hours=24)
    await client.post("/auth/sign-up", json=ADA, headers=key)

    assert len(await read_mails(app, ADA["email"])) == 2


async def test_a_sign_up_is_confirmed_within_24_hours(
    app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where what has expired is not yet cleaned up."""
    await client.post("/auth/sign-up", json=ADA)
    token = {"token": await read_token(app, ADA["email"])}
    move_clock(monkeypatch, hours=24)

    assert (await client.post("/auth/confirm-sign-up", json=token)).json()["type"] == "/problems/invalid-link"


async def test_a_sign_up_waits_for_none_that_has_expired(
    app: FastAPI, client: AsyncClient, session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """These are cleaned up beside the requests."""
    await client.post("/auth/sign-up", json=ADA)
    move_clock(monkeypatch, hours=25)
    await session.execute(select(SignUp).with_for_update())

    assert (await client.post("/auth/sign-up", json=ADA)).status_code == 202


async def test_the_first_login_may_be_on_a_host_whose_clock_is_behind(
    app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.post("/auth/sign-up", json=ADA)
    await client.post("/auth/confirm-sign-up", json={"token": await read_token(app, ADA["email"])})
    move_clock(monkeypatch, seconds=-2)
    tokens = await log_in(client, ADA["email"])

    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    assert (await client.get("/users/me", headers=bearer)).status_code == 200


async def test_a_refresh_token_works_once_and_its_reuse_ends_the_session(app: FastAPI, client: AsyncClient) -> None:
    ada = await join(app, client)
    second = (await client.post("/auth/refresh", json={"refresh_token": ada.refresh})).json()

    reuse = await client.post("/auth/refresh", json={"refresh_token": ada.refresh})
    after = await client.post("/auth/refresh", json={"refresh_token": second["refresh_token"]})
    ada.access = second["access_token"]

    assert [reuse.status_code, after.status_code] == [401, 401]
    assert (await ada.send("GET", "/users/me")).status_code == 401


async def test_ten_refreshes_at_once_give_one_pair_of_tokens(app: FastAPI, client: AsyncClient) -> None:
    ada = await join(app, client)
    body = {"refresh_token": ada.refresh}

    answers = await asyncio.gather(*(client.post("/auth/refresh", json=body) for _ in range(10)))

    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 9
    assert {answer.json()["title"] for answer in answers if answer.is_error} == {"Refreshed meanwhile"}
    [tokens] = [answer.json() for answer in answers if answer.is_success]
    assert (await client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})).status_code == 200


async def test_access_ends_after_fifteen_minutes(
    app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await join(app, client)
    assert (await ada.send("GET", "/users/me")).status_code == 200
    move_clock(monkeypatch, minutes=15)

    answer = await ada.send("GET", "/users/me")

    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_a_session_ends_after_thirty_days_however_it_is_used(
    app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, statuses = (await join(app, client)).refresh, []
    for _ in range(6):
        move_clock(monkeypatch, days=6)
        answer = await client.post("/auth/refresh", json={"refresh_token": token})
        statuses.append(answer.status_code)
        token = answer.json().get("refresh_token", token)

    assert statuses == [200, 200, 200, 200, 401, 401]


async def test_access_ends_with_its_session(app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client is not told to come back later than that."""
    token, answer = (await join(app, client)).refresh, {}
    for minutes in (0, 0, 0, 0, -5):
        move_clock(monkeypatch, days=6, minutes=minutes)
        answer = (await client.post("/auth/refresh", json={"refresh_token": token})).json()
        token = answer["refresh_token"]

    assert 0 < answer["expires_in"] <= 5 * 60


async def test_a_session_ends_when_it_is_idle_for_a_week(
    app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await join(app, client)
    move_clock(monkeypatch, days=7)

    assert (await client.post("/auth/refresh", json={"refresh_token": ada.refresh})).status_code == 401


async def test_logout_ends_both_tokens(app: FastAPI, client: AsyncClient) -> None:
    ada = await join(app, client)
    assert (await ada.send("POST", "/auth/logout")).status_code == 204

    assert (await ada.send("GET", "/users/me")).status_code == 401
    assert (await client.post("/auth/refresh", json={"refresh_token": ada.refresh})).status_code == 401


async def test_sessions_are_listed_and_ended(app: FastAPI, client: AsyncClient) -> None:
    ada = await join(app, client)
    eve = await join(app, client, "eve@example.com")
    await log_in(client, ada.email)
    items = (await ada.send("GET", "/auth/sessions")).json()["items"]
    other = next(item["id"] for item in items if not item["current"])

    assert [(await who.send("DELETE", f"/auth/sessions/{other}")).status_code for who in (eve, ada, ada)] == [
        404,
        204,
        404,
    ]
    assert len((await ada.send("GET", "/auth/sessions")).json()["items"]) == 1


async def test_a_changed_password_ends_all_other_sessions(app: FastAPI, client: AsyncClient) -> None:
    ada = await join(app, client)
    other = await log_in(client, ada.email)

    wrong = await ada.send("POST", "/auth/change-password", json={"password": OTHER, "new_password": OTHER})
    right = await ada.send("POST", "/auth/change-password", json={"password": PASSWORD, "new_password": OTHER})

    assert [wrong.status_code, right.status_code] == [403, 204]
    assert (await ada.send("GET", "/users/me")).status_code == 200
    assert (await client.post("/auth/refresh", json={"refresh_token": other["refresh_token"]})).status_code == 401
    await log_in(client, ada.email, OTHER)


async def test_a_reset_works_once_and_ends_all_sessions(app: FastAPI, client: AsyncClient) -> None:
    ada = await join(app, client)
    await client.post("/auth/forgot-password", json={"email": ada.email})
    body = {"token": await read_token(app, ada.email), "new_password": OTHER}

    answers = [await client.post("/auth/reset-password", json=body) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 400]
    assert (await ada.send("GET", "/users/me")).status_code == 401
    await log_in(client, ada.email, OTHER)


async def test_a_reset_link_is_void_after_the_password_changed_or_half_an_hour(
    app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await join(app, client)
    await client.post("/auth/forgot-password", json={"email": ada.email})
    first = await read_token(app, ada.email)
    await ada.send("POST", "/auth/change-password", json={"password": PASSWORD, "new_password": OTHER})
    await read_mails(app, ada.email)
    await client.post("/auth/forgot-password", json={"email": ada.email})
    second = await read_token(app, ada.email)
    move_clock(monkeypatch, minutes=30)

    for token in (first, second):
        answer = await client.post("/auth/reset-password", json={"token": token, "new_password": OTHER})
        assert answer.status_code == 400


async def test_a_new_address_is_confirmed_before_it_counts(app: FastAPI, client: AsyncClient) -> None:
    ada = await join(app, client)
    body = {"password": PASSWORD, "new_email": "countess@example.com"}
    assert (await ada.send("POST", "/auth/change-email", json=body | {"password": OTHER})).status_code == 403
    assert (await ada.send("POST", "/auth/change-email", json=body)).status_code == 202
    before = await ada.send("GET", "/users/me")
    assert before.json()["email"] == ada.email

    answer = await client.post("/auth/confirm-email", json={"token": await read_token(app, "countess@example.com")})

    after = await ada.send("GET", "/users/me")
    assert answer.status_code == 204
    assert after.json()["email"] == "countess@example.com"
    assert after.headers["etag"] != before.headers["etag"]


async def test_an_address_can_be_spelled_differently(app: FastAPI, client: AsyncClient) -> None:
    """That it is taken, by the one who asks, is no obstacle."""
    ada = await join(app, client)
    await ada.send("POST", "/auth/change-email", json={"password": PASSWORD, "new_email": "Ada@example.com"})

    answer = await client.post("/auth/confirm-email", json={"token": await read_token(app, "Ada@example.com")})

    assert answer.status_code == 204
    assert (await ada.send("GET", "/users/me")).json()["email"] == "Ada@example.com"


async def test_failures_lock_out_the_guesser_and_nobody_else(app: FastAPI, client: AsyncClient) -> None:
    """The limit is per account and network: another account is not affected."""
    await join(app, client)
    eve = await join(app, client, "eve@example.com")
    wrong = {"email": "ada@example.com", "password": OTHER}

    headers = [{"x-forwarded-for": f"192.0.2.{n}"} for n in range(30)]
    answers = [await client.post("/auth/login", json=wrong, headers=spoofed) for spoofed in headers]

    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 20
    assert int(answers[-1].headers["retry-after"]) > 0
    await log_in(client, eve.email)


@pytest.mark.usefixtures("cheap_hashing")
async def test_a_reset_takes_nothing_back_that_others_have_failed(app: FastAPI, client: AsyncClient) -> None:
    """It was no attempt to log in, and a login takes back only its own.

    Else one would have more than a hundred for others, with an account of one's own.
    """
    ada = await join(app, client)
    answers = []
    for n in range(100):
        answers.append(await client.post("/auth/login", json={"email": f"{n}@example.com", "password": OTHER}))
        if n == 98:
            await log_in(client, ada.email)
    await client.post("/auth/forgot-password", json={"email": ada.email})
    reset = {"token": await read_token(app, ada.email), "new_password": OTHER}
    assert (await client.post("/auth/reset-password", json=reset)).status_code == 200
    answers.append(await client.post("/auth/login", json={"email": "eve@example.com", "password": OTHER}))

    assert [answer.status_code for answer in answers] == [401] * 100 + [429]


async def test_simultaneous_guesses_are_all_counted(app: FastAPI, client: AsyncClient) -> None:
    wrong = {"email": "ada@example.com", "password": OTHER}

    answers = await asyncio.gather(*(client.post("/auth/login", json=wrong) for _ in range(20)))

    assert sorted(answer.status_code for answer in answers) == [401] * 10 + [429] * 10


@pytest.mark.usefixtures("cheap_hashing")
@pytest.mark.parametrize(
    ("path", "body", "status", "attempts", "window"),
    [
        ("/auth/login", {"password": OTHER}, 401, 100, 15 * 60),
        ("/auth/forgot-password", {}, 202, 100, 60 * 60),
        ("/auth/sign-up", {"name": "Eve", "password": OTHER}, 202, 3, 60 * 60),
    ],
)
async def test_a_network_has_so_many_attempts_whatever_the_account(
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    body: dict[str, str],
    status: int,
    attempts: int,
    window: int,
) -> None:
    """The addresses of one IPv6 network are one sender. Other networks are not affected, and the limit ends."""
    async with serving(database, trusted_proxies="127.0.0.1", sign_ups_per_hour=3) as (_, client):

        async def send(network: str, n: int) -> Response:
            sender = {"x-forwarded-for": f"{network}::{n:x}"}
            return await client.post(path, json=body | {"email": f"{n}@example.com"}, headers=sender)

        answers = [await send("2001:db8:0:1", n) for n in range(attempts + 2)]
        other = await send("2001:db8:0:2", 0)
        wait = int(answers[-1].headers["retry-after"])
        move_clock(monkeypatch, seconds=wait)
        later = await send("2001:db8:0:1", attempts)

    assert [answer.status_code for answer in answers] == [status] * attempts + [429] * 2
    assert [other.status_code, later.status_code] == [status] * 2
    assert window - 60 < wait <= window


async def test_all_networks_together_make_ten_mails_to_one_address_in_half_an_hour(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them three. Whoever asks for more gets the same answer, and the owner another link when all are void."""
    async with serving(database, trusted_proxies="127.0.0.1") as (app, client):

        async def ask(network: int) -> Response:
            sender = {"x-forwarded-for": f"198.51.100.{network}"}
            return await client.post("/auth/forgot-password", json={"email": "ada@example.com"}, headers=sender)

        answers = [await ask(n // 3) for n in range(14)]
        mails = await read_mails(app, "ada@example.com")
        move_clock(monkeypatch, minutes=LINK_MINUTES)
        await ask(0)
        later = await read_mails(app, "ada@example.com")

    assert {(answer.status_code, answer.text) for answer in answers} == {(202, answers[0].text)}
    assert [len(mails), len(later)] == [10, 1]


@pytest.mark.usefixtures("cheap_hashing")
async def test_one_account_makes_ten_mails_an_hour_to_others(
    app: FastAPI, client: AsyncClient, session: AsyncSession
) -> None:
    """To change the address is to make us write to anybody; the right password must not make that free."""
    ada = await join(app, client)
    bodies = [{"password": PASSWORD, "new_email": f"{n}@example.com"} for n in range(12)]

    answers = [await ada.send("POST", "/auth/change-email", json=body) for body in bodies]

    eve = await join(app, client, "eve@example.com")
    assert (await eve.send("POST", "/auth/change-email", json=bodies[0])).status_code == 202
    assert [answer.status_code for answer in answers] == [202] * 10 + [429] * 2
    assert 1800 < int(answers[-1].headers["retry-after"]) <= 3600
    assert await count(session, Mail) == 10 + 1


@pytest.mark.usefixtures("cheap_hashing")
async def test_a_stolen_session_has_a_hundred_guesses_wherever_it_is_used(database: str) -> None:
    """The password that confirms a change is one that can be guessed as well."""
    async with serving(database, trusted_proxies="127.0.0.1") as (app, client):
        ada = await join(app, client)
        addresses = [{"x-forwarded-for": f"198.51.100.{n // 9}"} for n in range(102)]
        body = {"password": OTHER}
        answers = [await ada.send("POST", "/auth/deactivate", json=body, headers=address) for address in addresses]

    assert [answer.status_code for answer in answers] == [403] * 100 + [429] * 2
    assert 1800 < int(answers[-1].headers["retry-after"]) <= 3600


@pytest.mark.usefixtures("cheap_hashing")
async def test_workers_count_together(database: str) -> None:
    """What one process has let pass counts in all others."""
    wrong = {"email": "ada@example.com", "password": OTHER}
    async with serving(database) as (_, one), serving(database) as (_, other):
        answers = [await worker.post("/auth/login", json=wrong) for worker in (one, other) * 6]

    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2


async def test_a_deactivated_user_is_out_at_once_and_deleting_is_for_good(app: FastAPI, client: AsyncClient) -> None:
    ada, eve = await join(app, client), await join(app, client, "eve@example.com")
    root = await join(app, client, "root@example.com", role=Role.ADMIN)

    assert (await root.send("PATCH", f"/users/{ada.id}", json={"active": False})).status_code == 200
    assert (await ada.send("GET", "/users/me")).status_code == 401
    assert (await root.send("PATCH", f"/users/{ada.id}", json={"active": True})).status_code == 200
    assert (await ada.send("GET", "/users/me")).status_code == 401
    assert (await eve.send("POST", "/auth/delete-account", json={"password": PASSWORD})).status_code == 204
    assert (await root.send("GET", f"/users/{eve.id}")).status_code == 404


async def test_cookies_need_the_csrf_header(app: FastAPI, client: AsyncClient) -> None:
    ada = await join(app, client)
    answer = await client.post("/auth/login", json={"email": ada.email, "password": PASSWORD, "cookies": True})
    access = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("__Host-access="))
    assert all(word in access.lower() for word in ("httponly", "secure", "samesite=lax"))
    assert "access_token" not in answer.json()
    cookie = {"cookie": access.partition(";")[0]}
    client.cookies.clear()

    assert (await client.get("/users/me", headers=cookie)).status_code == 200
    assert (await client.patch("/users/me", json={"name": "X"}, headers=cookie)).status_code == 403
    assert (await client.delete("/auth/sessions", headers=cookie)).status_code == 403
    assert (await client.patch("/users/me", json={"name": "X"}, headers=cookie | {"x-csrf": "1"})).status_code == 200


async def test_who_sends_others_mail_cannot_keep_the_owner_out(
    app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sign-ups with somebody's address use up mails of their own kind only; the link for a new password still comes."""
    ada = await join(app, client)
    monkeypatch.setattr("app.auth.links.MAIL_ADDRESS", Limit("mail", 2, timedelta(hours=1)))
    for _ in range(4):
        await client.post("/auth/sign-up", json=ADA)
    await read_mails(app, ada.email)

    await client.post("/auth/forgot-password", json={"email": ada.email})

    assert await read_token(app, ada.email)


async def test_a_link_is_worth_nothing_while_its_user_is_deactivated(app: FastAPI, client: AsyncClient) -> None:
    """Else the administrator who opens the account again would open sessions that nobody has seen begin."""
    ada = await join(app, client)
    root = await join(app, client, "root@example.com", "Root", Role.ADMIN)
    await client.post("/auth/forgot-password", json={"email": ada.email})
    reset = {"token": await read_token(app, ada.email), "new_password": "another four words"}
    await ada.send("POST", "/auth/change-email", json={"password": PASSWORD, "new_email": "new@example.com"})
    change = {"token": await read_token(app, "new@example.com")}
    await root.send("PATCH", f"/users/{ada.id}", json={"active": False})

    answers = [await client.post("/auth/reset-password", json=reset)]
    answers += [await client.post("/auth/confirm-email", json=change)]

    assert [answer.status_code for answer in answers] == [400, 400]


async def links_of(app: FastAPI, ada: Person) -> dict[str, str]:
    """Ask for every kind of link that goes to somebody with an account."""
    await ada.client.post("/auth/forgot-password", json={"email": ada.email})
    await ada.send("POST", "/auth/change-email", json={"password": PASSWORD, "new_email": "older@example.com"})
    return {
        "reset-password": await read_token(app, ada.email),
        "confirm-email": await read_token(app, "older@example.com"),
    }


async def use(client: AsyncClient, links: dict[str, str]) -> Sequence[int]:
    more = {"reset-password": {"new_password": "yet another four words"}, "confirm-email": {}}
    answers = [await client.post(f"/auth/{kind}", json={"token": links[kind]} | more[kind]) for kind in links]
    return [answer.status_code for answer in answers]


async def test_a_changed_password_is_told_by_mail_and_voids_older_links(
    app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the clock is behind that of the host which made them."""
    ada = await join(app, client)
    older = await links_of(app, ada)
    move_clock(monkeypatch, seconds=-2)

    await ada.send("POST", "/auth/change-password", json={"password": PASSWORD, "new_password": OTHER})

    [notice] = await read_mails(app, ada.email)
    assert notice.subject.endswith("was changed")
    assert "password of your account was just changed" in notice.body
    assert await use(client, older) == [400, 400]


async def test_a_password_that_is_changed_by_hand_voids_older_links(
    app: FastAPI, client: AsyncClient, session: AsyncSession
) -> None:
    """With SQL, which leaves it at that."""
    ada = await join(app, client)
    older = await links_of(app, ada)
    await session.execute(update(Credential).values(changed_at=clock.now()))
    await session.commit()

    assert await use(client, older) == [400, 400]


async def test_a_reset_password_is_told_by_mail_and_voids_older_links(app: FastAPI, client: AsyncClient) -> None:
    ada = await join(app, client)
    older = await links_of(app, ada)
    await client.post("/auth/forgot-password", json={"email": ada.email})
    reset = {"token": await read_token(app, ada.email), "new_password": OTHER}

    await client.post("/auth/reset-password", json=reset)

    [notice] = await read_mails(app, ada.email)
    assert "password of your account was just changed" in notice.body
    assert await use(client, older) == [400, 400]


async def test_a_changed_address_is_told_to_the_old_one_and_voids_older_links(
    app: FastAPI, client: AsyncClient
) -> None:
    ada = await join(app, client)
    older = await links_of(app, ada)
    await ada.send("POST", "/auth/change-email", json={"password": PASSWORD, "new_email": "new@example.com"})
    new = await read_token(app, "new@example.com")

    assert await use(client, {"confirm-email": new}) == [204]

    [notice] = await read_mails(app, ada.email)
    assert "your account has another e-mail address now" in notice.body
    assert await read_mails(app, "new@example.com") == []
    assert await use(client, older) == [400, 400]


async def test_what_has_expired_is_deleted_and_nothing_else(
    app: FastAPI, client: AsyncClient, session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sessions stay for 90 days more: they tell from which networks the owner comes."""
    await join(app, client)
    now, second = clock.now(), timedelta(seconds=1)
    for moment, when in (("before", now - second), ("after", now + second)):
        kept = when - timedelta(days=90)
        secret, email = moment.encode(), f"{moment}@example.com"
        session.add(SignUp(email=email, name="", password_hash="", token_hash=secret, expires_at=when))
        session.add(EmailToken(token_hash=secret, purpose="reset_password", created_at=now, expires_at=when))
        session.add(Attempt(key=secret, count=1, ends_at=when))
        ada = select(User.id).scalar_subquery()
        login = LoginSession(user_id=ada, family_hash=secret, refresh_hash=secret, access_hash=secret, expires_at=kept)
        login.access_expires_at = login.idle_expires_at = login.created_at = login.last_used_at = kept
        login.device, login.network, login.ended_at = moment, "", kept
        session.add(login)
    await session.commit()
    counts = {table: await count(session, table) for table in (User, Credential, Mail, LoginSession, Attempt)}
    monkeypatch.setattr("app.clock.now", lambda: now)

    await accounts.clean_up(app.state.sessions)

    assert (await session.scalars(select(SignUp.email))).all() == ["after@example.com"]
    assert (await session.scalars(select(EmailToken.token_hash))).all() == [b"after"]
    assert b"before" not in (await session.scalars(select(Attempt.key))).all()
    assert "before" not in (await session.scalars(select(LoginSession.device))).all()
    left = {table: await count(session, table) for table in counts}
    assert left == counts | {table: counts[table] - 1 for table in (LoginSession, Attempt)}


async def test_what_has_expired_is_deleted_in_parts(
    app: FastAPI, session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To delete all at once could take longer than a statement may, and would then never succeed."""
    monkeypatch.setattr(accounts, "CLEAN_UP_ROWS", 2)
    await expire_attempts(session, 5)
    left = []

    while await accounts.clean_up(app.state.sessions):
        left.append(await count(session, Attempt))

    assert left == [3, 1]
    assert await count(session, Attempt) == 0


async def test_what_is_in_use_is_cleaned_up_later(app: FastAPI, session: AsyncSession) -> None:
    """Nobody waits for it, above all not what else has expired."""
    await expire_attempts(session, 2)
    await session.execute(select(Attempt).where(Attempt.key == b"0").with_for_update())

    await accounts.clean_up(app.state.sessions)

    assert (await session.scalars(select(Attempt.key))).all() == [b"0"]


async def test_the_application_cleans_up_by_itself(
    database: str, session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    await expire_attempts(session, 1)
    monkeypatch.setattr("app.auth.router.CLEAN_UP_SECONDS", 0.01)

    async def all_gone() -> bool:
        return await count(session, Attempt) == 0

    async with serving(database):
        await until(all_gone)


async def expire_attempts(session: AsyncSession, number: int) -> None:
    ended = clock.now() - timedelta(days=1)
    session.add_all(Attempt(key=b"%d" % key, count=1, ends_at=ended) for key in range(number))
    await session.commit()


async def count(session: AsyncSession, table: type[Base]) -> int:
    return await session.scalar(select(func.count()).select_from(table)) or 0
