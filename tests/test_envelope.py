"""What every answer carries, who counts as its sender, and which pages of other origins may ask."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi import Response as FastAPIResponse
from httpx2 import ASGITransport, AsyncClient, Response
from people import PASSWORD, join
from serving import PRODUCTION, serving

from app import envelope
from app.database import Session

ELSEWHERE = "https://evil.example"
FRIEND = "https://www.example.com"
JSON = {"content-type": "application/json"}
WRONG = {"email": "ada@example.com", "password": "not the password"}


async def fault() -> None:
    raise KeyError("oops")


async def answers_of_all_kinds(app: FastAPI) -> dict[str, Response]:
    """Ask for what succeeds, and for what fails in each way and at each depth."""

    app.get("/fault")(fault)

    @app.get("/outage")
    async def outage(session: Session) -> None:
        raise TimeoutError

    requests: dict[str, dict[str, Any]] = {
        "success": {"method": "GET", "url": "/health/live"},
        "login needed": {"method": "GET", "url": "/users/me"},
        "invalid token": {"method": "GET", "url": "/users/me", "headers": {"authorization": "Bearer x"}},
        "unknown path": {"method": "GET", "url": "/nothing"},
        "wrong method": {"method": "PUT", "url": "/users/me"},
        "invalid": {"method": "POST", "url": "/auth/login", "json": {}},
        "malformed": {"method": "POST", "url": "/auth/login", "content": b"\xff", "headers": JSON},
        "too large": {"method": "POST", "url": "/auth/login", "headers": JSON, "content": b" " * 2**21},
        "fault": {"method": "GET", "url": "/fault"},
        "timeout": {"method": "GET", "url": "/outage"},
        "preflight": {"method": "OPTIONS", "url": "/users/me"},
        "documentation": {"method": "GET", "url": "/openapi.json"},
    }
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://service") as client:
        return {name: await client.request(**request) for name, request in requests.items()}


async def test_every_answer_has_the_security_headers(app: FastAPI) -> None:
    """Whatever happened, at whatever depth."""
    for kind, answer in (await answers_of_all_kinds(app)).items():
        seconds = answer.headers["strict-transport-security"].partition(";")[0].removeprefix("max-age=")
        assert int(seconds) >= 31_536_000, kind
        assert "includeSubDomains" in answer.headers["strict-transport-security"], kind
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'", kind
        assert answer.headers["x-content-type-options"] == "nosniff", kind
        assert answer.headers["referrer-policy"] == "no-referrer", kind
        assert answer.headers["cache-control"] == "no-store", kind
        assert answer.headers["x-request-id"], kind
        assert "server" not in answer.headers, kind


async def test_what_an_answer_says_itself_has_precedence(app: FastAPI, client: AsyncClient) -> None:
    @app.get("/kept")
    async def kept(response: FastAPIResponse) -> None:
        response.headers["cache-control"] = "max-age=60"

    assert (await client.get("/kept")).headers.get_list("cache-control") == ["max-age=60"]


async def test_every_error_is_a_problem_that_shows_nothing(app: FastAPI) -> None:
    """Its status is the answer's, its content type is right, and neither code nor SQL nor input is in it."""
    for kind, answer in (await answers_of_all_kinds(app)).items():
        if answer.status_code < 400:
            assert answer.headers["content-type"] == "application/json", kind
            continue
        assert answer.headers["content-type"] == "application/problem+json", kind
        assert answer.json()["status"] == answer.status_code, kind
        assert not any(word in answer.text for word in ("Traceback", "oops", "SELECT", "/app/", ".py")), kind


async def test_an_answer_without_a_body_has_no_content_type(app: FastAPI, client: AsyncClient) -> None:
    """Who reads JSON wherever it is announced would fail."""
    answer = await (await join(app, client)).send("POST", "/auth/logout")

    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers


async def test_a_cookie_that_takes_long_to_read_keeps_nobody_waiting(app: FastAPI, client: AsyncClient) -> None:
    """Backslashes, for each of which Python looks through all others. The cookies beside it count as ever."""
    ada = await join(app, client)
    cookies = 'a="' + "\\x" * 30_000 + f'"; __Host-access={ada.access}'
    began = time.process_time()
    answer = await client.get("/users/me", headers={"cookie": cookies})

    assert answer.status_code == 200
    assert time.process_time() - began < 2


@pytest.mark.parametrize("kind", ["success", "login needed", "unknown path", "fault", "too large"])
async def test_every_answer_has_a_request_id_of_its_own(app: FastAPI, kind: str) -> None:
    first, second = [(await answers_of_all_kinds(app))[kind].headers["x-request-id"] for _ in range(2)]

    assert first != second


@pytest.mark.parametrize("given", ["a", "A-b_c.9", "x" * 64])
async def test_a_request_id_that_is_given_comes_back(client: AsyncClient, given: str) -> None:
    assert (await client.get("/health/live", headers={"x-request-id": given})).headers["x-request-id"] == given


@pytest.mark.parametrize("given", [b"", b"x" * 65, b"a b", b"a\tb", b'{"a":1}', "é".encode(), b"a;b", b"<b>"])
async def test_a_request_id_that_could_forge_something_is_replaced(client: AsyncClient, given: bytes) -> None:
    answer = await client.get("/health/live", headers=[(b"x-request-id", given)])

    assert answer.headers["x-request-id"].isalnum()


async def failures(client: AsyncClient, addresses: list[str]) -> list[int]:
    """Fail to log in once from each address that X-Forwarded-For names."""
    headers = [{"x-forwarded-for": address} for address in addresses]
    return [(await client.post("/auth/login", json=WRONG, headers=spoofed)).status_code for spoofed in headers]


async def test_a_hundred_spoofed_addresses_are_one(database: str) -> None:
    """Without a proxy of ours the header says nothing; the limit of one network holds."""
    async with serving(database, "203.0.113.9") as (_, client):
        statuses = await failures(client, [f"198.51.100.{n}" for n in range(100)])

    assert statuses == [401] * 10 + [429] * 90


async def test_who_names_the_own_address_stays_who_they_are(database: str) -> None:
    """And does not become somebody on our machine."""
    async with serving(database, "203.0.113.9") as (_, client):
        statuses = await failures(client, ["203.0.113.9", "198.51.100.1"] * 6)

    assert statuses == [401] * 10 + [429] * 2


async def test_what_a_client_wrote_before_our_proxy_counts_for_nothing(database: str) -> None:
    """The proxy appends whom it saw; only that is believed."""
    async with serving(database, "10.0.0.2", trusted_proxies="10.0.0.0/8") as (_, client):
        statuses = await failures(client, [f"198.51.100.{n}, 203.0.113.9, 10.0.0.3" for n in range(12)])

    assert statuses == [401] * 10 + [429] * 2


async def test_thousands_of_addresses_are_not_even_read(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To read as many as the headers can hold would keep everybody else waiting."""
    read, really_read = list[str](), envelope._address

    def note(text: str) -> envelope.Address:
        read.append(text)
        return really_read(text)

    monkeypatch.setattr(envelope, "_address", note)
    async with serving(database, "10.0.0.2", trusted_proxies="10.0.0.0/8") as (_, client):
        await client.get(
            "/health/live", headers={"x-forwarded-for": ",".join(map(str, range(10_000))) + ", 203.0.113.9"}
        )

    assert read == ["10.0.0.2", " 203.0.113.9"]


async def test_behind_our_proxy_people_are_told_apart(database: str) -> None:
    """Also behind several, one after the other."""
    async with serving(database, "10.0.0.2", trusted_proxies="10.0.0.0/8") as (_, client):
        statuses = await failures(client, [f"198.51.100.{n}{', 10.0.0.3' * (n % 3)}" for n in range(36)])

    assert statuses == [401] * 36


async def test_a_network_of_ipv6_is_one_sender(database: str) -> None:
    """Its owner has more addresses than anybody could count."""
    async with serving(database, "10.0.0.2", trusted_proxies="10.0.0.0/8") as (_, client):
        statuses = await failures(client, [f"2001:db8:0:1::{n:x}" for n in range(12)])

    assert statuses == [401] * 10 + [429] * 2


@pytest.mark.parametrize("origin", [ELSEWHERE, "null", "http://service"])
async def test_no_origin_is_allowed_unless_it_is_named(database: str, origin: str) -> None:
    """Neither in general nor for the ones that are not."""
    asked = {"origin": origin, "access-control-request-method": "PATCH"}
    for origins in ("", FRIEND):
        async with serving(database, cors_origins=origins) as (_, client):
            answers = [await client.options("/users/me", headers=asked), await client.get("/users/me", headers=asked)]
        assert all("access-control-allow-origin" not in answer.headers for answer in answers)
        assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}


async def half_a_megabyte_after_the_other() -> AsyncIterator[bytes]:
    for _ in range(4):
        yield b" " * 2**19


async def test_an_origin_that_is_named_may_use_the_service(database: str) -> None:
    """Preflight, answer and errors say so, and for no other origin is the answer kept in a cache."""
    asked = {"origin": FRIEND, "access-control-request-method": "PATCH", "access-control-request-headers": "x-csrf"}
    async with serving(database, cors_origins=FRIEND) as (app, client):
        app.get("/fault")(fault)
        answers = [await client.options("/users/me", headers=asked), await client.get("/users/me", headers=asked)]
        answers.append(await client.get("/nothing", headers=asked))
        answers.append(await client.post("/auth/login", headers=asked, content=b" " * 2**21))
        answers.append(await client.post("/auth/login", headers=asked, content=half_a_megabyte_after_the_other()))
        answers.append(await client.get("/fault", headers=asked))

    assert [answer.status_code for answer in answers] == [200, 401, 404, 413, 413, 500]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == FRIEND
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert "Origin" in answer.headers["vary"]
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_pages_of_an_origin_that_is_named_send_and_read_all_that_there_is(database: str) -> None:
    """Each method of a route, each header that one takes, and those of answers that tell what to do next."""
    headers = "authorization, content-type, idempotency-key, if-match, x-csrf"
    async with serving(database, cors_origins=FRIEND) as (app, client):
        methods = {method.upper() for path in app.openapi()["paths"].values() for method in path}
        for method in methods | {"PUT"}:
            asked = {"access-control-request-method": method, "access-control-request-headers": headers}
            answer = await client.options("/users/me", headers={"origin": FRIEND} | asked)
            assert answer.status_code == 200, method
        answer = await client.get("/health/live", headers={"origin": FRIEND})

    assert methods == {"GET", "POST", "PATCH", "DELETE"}
    assert answer.headers["access-control-expose-headers"] == "ETag, Location, Retry-After, X-Request-ID"


@pytest.mark.parametrize("path", ["/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json", "/debug", "/metrics"])
async def test_production_shows_no_documentation(database: str, path: str) -> None:
    async with serving(database, **PRODUCTION) as (_, client):
        answer = await client.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert (await client.post("/auth/token", data={"username": "a", "password": PASSWORD})).status_code == 404


async def test_documentation_that_is_switched_on(database: str) -> None:
    """Its page may load what it needs, and its form logs in."""
    async with serving(database, **PRODUCTION, docs="true") as (app, client):
        page, document = await client.get("/docs"), await client.get("/openapi.json")
        ada = await join(app, client)
        form = await client.post("/auth/token", data={"username": ada.email, "password": PASSWORD})

    assert [page.status_code, document.status_code, form.status_code] == [200, 200, 200]
    assert "script-src" in page.headers["content-security-policy"]
    assert form.json()["access_token"]


async def test_the_form_refuses_what_no_login_may_hold(client: AsyncClient) -> None:
    for form in (b"", b"username=ada@example.com", b"username=a&password=" + b"x" * 2000, b"\xff=\xff"):
        assert (await client.post("/auth/token", content=form)).status_code == 422
