"""What opens a session and what does not, and what ends one."""

import re
from datetime import timedelta
from email.utils import parsedate_to_datetime

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from people import (
    PASSWORD,
    Person,
    cheap_hashing,  # noqa: F401 - a fixture
    join,
    log_in,
    read_token,
)
from serving import serving
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import clock
from app.auth.models import LoginSession
from app.users.models import Role, User

OTHER = "another four words"
COOKIES = {"__host-access", "__host-refresh"}
# Our tokens are random, so no algorithm that a client names is ever believed.
CLAIMS = "eyJzdWIiOiIxIiwiZXhwIjo5OTk5OTk5OTk5fQ"
NONE, HS256, HS512, RS256 = (f"eyJhbGciOiJ{rest}" for rest in ("ub25lIn0", "IUzI1NiJ9", "IUzUxMiJ9", "SUzI1NiJ9"))
JWTS = [f"{NONE}.{CLAIMS}.", *(f"{head}.{CLAIMS}.{'A' * 43}" for head in (HS256, HS512, RS256))]


def removed(answer: Response) -> set[str]:
    """Return which cookies a browser removes: of a __Host- one it takes only what has all that belongs to such."""
    cookies = [cookie.lower().split("; ") for cookie in answer.headers.get_list("set-cookie")]
    return {name.partition("=")[0] for name, *flags in cookies if {"max-age=0", "path=/", "secure"} <= {*flags}}


async def me(client: AsyncClient, authorization: str) -> Response:
    return await client.get("/users/me", headers=[(b"authorization", authorization.encode())])


@pytest.fixture
async def ada(app: FastAPI, client: AsyncClient) -> Person:
    return await join(app, client)


async def test_only_the_access_token_gives_access(app: FastAPI, client: AsyncClient, ada: Person) -> None:
    """No other secret of the same person does, nor one that was cut, lengthened, changed or made up."""
    await client.post("/auth/forgot-password", json={"email": ada.email})
    reset = await read_token(app, ada.email)
    changed = ("B" if ada.access[0] == "A" else "A") + ada.access[1:]
    forged = [
        ada.refresh,
        reset,
        ada.access[:-1],
        ada.access + "A",
        ada.access.swapcase(),
        changed,
        ada.id,
        *JWTS,
        "",
        "é",
    ]

    for token in forged:
        answer = await me(client, f"Bearer {token}")
        assert answer.status_code == 401, token
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        assert answer.headers["cache-control"] == "no-store"
        assert not token or token not in answer.text
    assert (await me(client, f"bearer  {ada.access}")).status_code == 200


@pytest.mark.parametrize("scheme", ["Basic", "Token", "Digest"])
async def test_other_schemes_are_not_ours(client: AsyncClient, ada: Person, scheme: str) -> None:
    assert (await me(client, f"{scheme} {ada.access}")).status_code == 401


async def test_another_scheme_leaves_the_cookies_their_worth(client: AsyncClient, ada: Person) -> None:
    """It may be for a proxy in front of the service that asks for a password of its own."""
    headers = {"authorization": "Basic YTpi", "cookie": f"__Host-access={ada.access}"}

    assert (await client.get("/users/me", headers=headers)).status_code == 200


async def test_without_a_token_the_answer_tells_how(client: AsyncClient) -> None:
    """And does not call invalid what was not sent."""
    answer = await client.get("/users/me")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_only_the_refresh_token_refreshes(app: FastAPI, client: AsyncClient, ada: Person) -> None:
    """Neither the access token, nor the token of a mail, nor half of it; and the session lives on."""
    await client.post("/auth/forgot-password", json={"email": ada.email})
    for token in (ada.access, await read_token(app, ada.email), ada.refresh[:32], "A" * 64, ada.refresh[:-4] + "AAAA"):
        body = {"refresh_token": token}
        assert (await client.post("/auth/refresh", json=body)).status_code == 401

    # A secret that is wrong but has the right family is taken for one that was used before.
    assert (await client.post("/auth/refresh", json={"refresh_token": ada.refresh})).status_code == 401


@pytest.mark.parametrize("purpose", ["confirm-sign-up", "confirm-email", "reset-password"])
async def test_a_link_is_good_for_one_thing(app: FastAPI, client: AsyncClient, ada: Person, purpose: str) -> None:
    """The token of a mail of another kind, or of nobody's, is unknown there."""
    await client.post("/auth/forgot-password", json={"email": ada.email})
    reset = await read_token(app, ada.email)
    await ada.send("POST", "/auth/change-email", json={"password": PASSWORD, "new_email": "new@example.com"})
    change = await read_token(app, "new@example.com")
    new = {"email": "eve@example.com", "name": "Eve", "password": PASSWORD}
    await client.post("/auth/sign-up", json=new)
    sign_up = await read_token(app, "eve@example.com")
    more = {"new_password": OTHER} if purpose == "reset-password" else {}
    right = {"confirm-sign-up": sign_up, "confirm-email": change, "reset-password": reset}

    for kind, token in right.items():
        if kind != purpose:
            assert (await client.post(f"/auth/{purpose}", json={"token": token} | more)).status_code == 400
    answer = await client.post(f"/auth/{purpose}", json={"token": right[purpose]} | more)
    assert answer.status_code in (200, 201, 204)
    assert (await client.post(f"/auth/{purpose}", json={"token": right[purpose]} | more)).status_code == 400


async def test_all_other_sessions_are_ended_at_once(client: AsyncClient, ada: Person, session: AsyncSession) -> None:
    """This one stays; and whoever looks into it later sees when each has ended, whatever was ended after it."""
    others = [await log_in(client, ada.email) for _ in range(2)]

    assert (await ada.send("DELETE", "/auth/sessions")).status_code == 204

    for tokens in others:
        assert (await me(client, f"Bearer {tokens['access_token']}")).status_code == 401
        body = {"refresh_token": tokens["refresh_token"]}
        assert (await client.post("/auth/refresh", json=body)).status_code == 401
    [left] = (await ada.send("GET", "/auth/sessions")).json()["items"]
    assert left["current"]
    ends = select(LoginSession.ended_at).order_by(LoginSession.id)
    before = (await session.scalars(ends)).all()
    await ada.send("DELETE", "/auth/sessions")
    assert (await session.scalars(ends)).all() == before


async def test_a_session_tells_where_it_is_used(client: AsyncClient, ada: Person, session: AsyncSession) -> None:
    """Device and network as the client showed them, cut to what can be read; no secret."""
    agent = "Mozilla/5.0 (Vanilla Ice)" + "x" * 500
    body = {"email": ada.email, "password": PASSWORD}
    sent = f"\x9b{agent}".encode("latin-1")  # begins a command to some terminals
    await client.post("/auth/login", json=body, headers=[(b"user-agent", sent)])

    items = (await ada.send("GET", "/auth/sessions")).json()["items"]

    [other] = [item for item in items if not item["current"]]
    assert (other["device"], other["network"]) == (agent[:199], "127.0.0.1")
    assert set(other) == {"id", "device", "network", "created_at", "last_used_at", "expires_at", "current"}
    stored = (await session.scalars(select(LoginSession))).all()
    assert all(ada.access.encode() not in row.access_hash and len(row.access_hash) == 32 for row in stored)


async def test_the_hundred_sessions_that_were_last_used_are_listed(
    client: AsyncClient, ada: Person, session: AsyncSession
) -> None:
    first = (await session.scalars(select(LoginSession))).one()
    kept = {name: value for name, value in vars(first).items() if name not in ("_sa_instance_state", "id")}
    for n in range(101):
        secret = b"%d" % n
        own = {"family_hash": secret, "access_hash": secret, "last_used_at": first.last_used_at - timedelta(minutes=n)}
        session.add(LoginSession(**kept | own))
    await session.commit()

    items = (await ada.send("GET", "/auth/sessions")).json()["items"]

    used = [item["last_used_at"] for item in items]
    assert len(used) == 100
    assert used == sorted(used, reverse=True)


async def test_who_is_deactivated_by_hand_is_out_at_once(
    client: AsyncClient, ada: Person, session: AsyncSession
) -> None:
    """With SQL, which leaves it at that."""
    await session.execute(update(User).values(active=False))
    await session.commit()

    assert (await me(client, f"Bearer {ada.access}")).status_code == 401
    assert (await client.post("/auth/refresh", json={"refresh_token": ada.refresh})).status_code == 401


async def test_deactivating_oneself(app: FastAPI, client: AsyncClient, ada: Person) -> None:
    """The password is asked for; then every token is void and login impossible, until an administrator opens it."""
    other = await log_in(client, ada.email)
    root = await join(app, client, "root@example.com", role=Role.ADMIN)
    wrong = await ada.send("POST", "/auth/deactivate", json={"password": OTHER})
    right = await ada.send("POST", "/auth/deactivate", json={"password": PASSWORD})

    assert [wrong.status_code, right.status_code] == [403, 204]
    assert removed(right) == COOKIES
    assert [(await me(client, f"Bearer {token}")).status_code for token in (ada.access, other["access_token"])] == [
        401
    ] * 2
    body = {"email": ada.email, "password": PASSWORD}
    assert (await client.post("/auth/login", json=body)).status_code == 401
    assert (await root.send("PATCH", f"/users/{ada.id}", json={"active": True})).status_code == 200
    assert (await me(client, f"Bearer {ada.access}")).status_code == 401
    await log_in(client, ada.email)


async def test_deleting_oneself(app: FastAPI, client: AsyncClient, ada: Person, session: AsyncSession) -> None:
    """The password is asked for; then nothing is left, and the address is free."""
    wrong = await ada.send("POST", "/auth/delete-account", json={"password": OTHER})
    right = await ada.send("POST", "/auth/delete-account", json={"password": PASSWORD})

    assert [wrong.status_code, right.status_code] == [403, 204]
    assert removed(right) == COOKIES
    assert (await me(client, f"Bearer {ada.access}")).status_code == 401
    assert (await session.scalars(select(LoginSession))).all() == []
    await join(app, client, ada.email)


@pytest.mark.usefixtures("cheap_hashing")
async def test_nobody_locks_the_owner_out(database: str) -> None:
    """A hundred wrong passwords from many networks close the account for them, not for where the owner is known.

    That others have logged in there, whoever guesses for one, makes none of them known.
    """
    async with serving(database, trusted_proxies="127.0.0.1") as (app, client):
        ada, eve = await join(app, client), await join(app, client, "eve@example.com")
        wrong = {"email": ada.email, "password": OTHER}
        addresses = [{"x-forwarded-for": f"198.51.100.{n // 9}"} for n in range(103)]
        hers = {"email": eve.email, "password": PASSWORD}
        for address in addresses[::9]:
            assert (await client.post("/auth/login", json=hers, headers=address)).status_code == 200
        answers = [await client.post("/auth/login", json=wrong, headers=address) for address in addresses]
        assert [answer.status_code for answer in answers] == [401] * 100 + [429] * 3
        assert 1800 < int(answers[-1].headers["retry-after"]) <= 3600

        await log_in(client, ada.email)
        await client.post("/auth/forgot-password", json={"email": ada.email}, headers=addresses[-1])
        reset = {"token": await read_token(app, ada.email), "new_password": OTHER}
        assert (await client.post("/auth/reset-password", json=reset, headers=addresses[-1])).status_code == 200


async def test_a_limit_ends(client: AsyncClient, ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the time has passed that the answer named: a quarter of an hour after the first attempt."""
    body = {"email": ada.email, "password": OTHER}
    start, waits = clock.now(), []
    for minutes, times in ((0, 5), (10, 6), (15, 11), (30, 0)):
        monkeypatch.setattr("app.clock.now", lambda now=start + timedelta(minutes=minutes): now)
        answers = [await client.post("/auth/login", json=body) for _ in range(times)]
        waits += [int(answer.headers["retry-after"]) for answer in answers if answer.status_code == 429]

    assert waits == [5 * 60, 15 * 60]
    await log_in(client, ada.email)


async def test_who_gets_in_begins_anew(client: AsyncClient, ada: Person) -> None:
    """What was mistyped before is forgotten."""
    wrong = {"email": ada.email, "password": OTHER}
    for _ in range(2):
        answers = [await client.post("/auth/login", json=wrong) for _ in range(9)]
        assert {answer.status_code for answer in answers} == {401}
        await log_in(client, ada.email)


async def test_spelling_an_address_differently_gains_no_attempts(app: FastAPI, client: AsyncClient) -> None:
    """Whatever the database takes for the same address: for some of its locales İ is an i."""
    await join(app, client, "ida@example.com")
    spellings = ("ida@example.com", "IDA@example.com", "İda@example.com", "İDA@EXAMPLE.COM") * 3
    bodies = ({"email": email, "password": OTHER} for email in spellings)
    answers = [await client.post("/auth/login", json=body) for body in bodies]

    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2


@pytest.mark.parametrize("typed", ["jose\u0301@bücher.example", "José@xn--bcher-kva.example"])
async def test_an_address_is_found_however_it_is_typed(app: FastAPI, client: AsyncClient, typed: str) -> None:
    """One letter or two that look alike, and a domain as people or as machines write it."""
    await join(app, client, "josé@bücher.example")

    await log_in(client, typed)


@pytest.mark.parametrize("email", ["ADA@EXAMPLE.COM", "Ada@example.com"])
async def test_the_case_of_an_address_does_not_matter(client: AsyncClient, ada: Person, email: str) -> None:
    await log_in(client, email)


async def test_a_stolen_cookie_ends_the_session(
    client: AsyncClient, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other tabs of a browser send an old one only for as long as an answer may take."""
    login = await client.post("/auth/login", json={"email": ada.email, "password": PASSWORD, "cookies": True})
    client.cookies.clear()
    sent = {"cookie": "; ".join(c.partition(";")[0] for c in login.headers.get_list("set-cookie")), "x-csrf": "1"}
    renewed = await client.post("/auth/refresh", json={}, headers=sent)
    client.cookies.clear()
    later = clock.now() + timedelta(seconds=5)
    monkeypatch.setattr("app.clock.now", lambda: later)

    reused = await client.post("/auth/refresh", json={}, headers=sent)

    assert reused.json()["type"] == "/problems/invalid-token"
    sent = {"cookie": "; ".join(c.partition(";")[0] for c in renewed.headers.get_list("set-cookie"))}
    assert (await client.get("/users/me", headers=sent)).status_code == 401


async def test_cookies_are_renewed_and_removed(app: FastAPI, client: AsyncClient, ada: Person) -> None:
    """A browser needs nothing but its cookies and the header against CSRF."""
    login = await client.post("/auth/login", json={"email": ada.email, "password": PASSWORD, "cookies": True})
    cookies = {cookie.partition("=")[0]: cookie for cookie in login.headers.get_list("set-cookie")}
    assert set(cookies) == {"__Host-access", "__Host-refresh"}  # which no other host of the domain can set
    assert all("path=/;" in cookie.lower() for cookie in cookies.values())
    assert "max-age=900;" in cookies["__Host-access"].lower()
    [expires] = re.findall("expires=([^;]+)", cookies["__Host-refresh"])
    assert timedelta(days=6.9) < parsedate_to_datetime(expires) - clock.now() <= timedelta(days=7)
    client.cookies.clear()
    sent = {"cookie": "; ".join(cookie.partition(";")[0] for cookie in cookies.values())}

    forbidden = await client.post("/auth/refresh", json={}, headers=sent)
    renewed = await client.post("/auth/refresh", json={}, headers=sent | {"x-csrf": "1"})
    assert [forbidden.status_code, renewed.status_code] == [403, 200]
    assert "refresh_token" not in renewed.json()
    client.cookies.clear()
    other_tab = await client.post("/auth/refresh", json={}, headers=sent | {"x-csrf": "1"})
    assert other_tab.json()["type"] == "/problems/refreshed-meanwhile"
    assert "set-cookie" not in other_tab.headers
    sent = {"cookie": "; ".join(cookie.partition(";")[0] for cookie in renewed.headers.get_list("set-cookie"))}
    gone = await client.post("/auth/logout", headers=sent | {"x-csrf": "1"})
    assert gone.status_code == 204
    assert removed(gone) == COOKIES
    client.cookies.clear()
    assert (await client.get("/users/me", headers=sent)).status_code == 401
