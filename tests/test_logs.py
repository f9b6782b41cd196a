"""What is logged: one JSON line per request and per event, from which nobody learns a secret or is misled."""

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, redirect_stderr
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
import structlog
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from people import PASSWORD, join, read_token
from serving import PRODUCTION, listening, serving

from app.database import Session
from app.mail.models import Mail
from app.users.models import Role

EMAIL, NAME, OTHER = "secretive@example.com", "Secretive Person", "another four words"
CHANGES: list[dict[str, object]] = [{"role": "admin"}, {"role": "user"}, {"active": False}, {"active": True}]


@dataclass
class Service:
    """A running application, and what it writes to standard error."""

    app: FastAPI
    client: AsyncClient
    written: StringIO

    def text(self) -> str:
        """Return what was written since the last look."""
        text = self.written.getvalue()
        self.written.truncate(0)
        self.written.seek(0)
        return text

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines, each of which must be JSON."""
        return [json.loads(line) for line in self.text().splitlines()]

    def events(self) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["event"] not in ("request", "mail sent")]


@asynccontextmanager
async def heard(database: str, **settings: object) -> AsyncIterator[Service]:
    """Start the application; only it is heard, and not the tests' own HTTP client."""
    root, client_log = logging.getLogger(), logging.getLogger("httpx2")
    handlers, client_log.disabled = root.handlers, True
    try:
        with redirect_stderr(StringIO()) as written:
            async with serving(database, "203.0.113.9", **PRODUCTION | settings) as (app, client):
                root.handlers = root.handlers[:1]
                yield Service(app, client, written)
    finally:
        root.handlers, client_log.disabled = handlers, False


@pytest.fixture
async def production(database: str) -> AsyncIterator[Service]:
    async with heard(database) as service:
        yield service


async def test_a_request_is_one_line(production: Service) -> None:
    """With UTC time, the route and not the path, status, duration, address, request id and, once known, the user."""
    app, client = production.app, production.client
    ada = await join(app, client, EMAIL)
    production.lines()

    answer = await ada.send("GET", f"/users/{ada.id}")

    [line] = production.lines()
    assert datetime.fromisoformat(line["timestamp"]).tzinfo == UTC
    assert line["ms"] > 0
    shown = {key: line[key] for key in ("event", "level", "method", "route", "status", "ip", "user_id", "request_id")}
    assert shown == {
        "event": "request",
        "level": "info",
        "method": "GET",
        "route": "/users/{user_id}",
        "status": 200,
        "ip": "203.0.113.9",
        "user_id": ada.id,
        "request_id": answer.headers["x-request-id"],
    }


async def test_a_line_names_the_whole_route(production: Service) -> None:
    """Also where routers are made of others."""
    await production.client.post("/auth/login", json={})
    await production.client.get("/auth/sessions")

    assert [line["route"] for line in production.lines()] == ["/auth/login", "/auth/sessions"]


async def test_security_events_are_logged(production: Service) -> None:
    """Each is one line with time, user, from where and the id of the answer, and without the address."""
    app, client = production.app, production.client
    ada = await join(app, client, EMAIL)
    root = await join(app, client, "root@example.com", role=Role.ADMIN)
    joined = [(line["event"], line["user_id"]) for line in production.events() if "sessions" not in line["event"]]
    assert joined == [(event, who.id) for who in (ada, root) for event in ("account created", "login")]

    async def post(path: str, **body: object) -> Response:
        answer = await ada.send("POST", f"/auth/{path}", json=body)
        ada.access = answer.json()["access_token"] if path == "login" and answer.is_success else ada.access
        return answer

    async def follow(path: str, email: str, **more: object) -> Response:
        return await post(path, token=await read_token(app, email), **more)

    def administer(**change: object) -> Awaitable[Response]:
        return root.send("PATCH", f"/users/{ada.id}", json=change)

    def log_in(password: str) -> Awaitable[Response]:
        return post("login", email=EMAIL, password=password)

    new, refresh = f"new.{EMAIL}", {"refresh_token": ada.refresh}
    happens: list[tuple[Callable[[], Awaitable[Response]], list[str]]] = [
        (lambda: post("refresh", **refresh), []),
        (lambda: post("refresh", **refresh), ["refresh token reused"]),
        (lambda: log_in(PASSWORD), ["login"]),
        (lambda: post("logout"), ["session ended"]),
        (lambda: log_in(PASSWORD), ["login"]),
        (lambda: post("change-password", password=OTHER, new_password=OTHER), ["password wrong"]),
        (
            lambda: post("change-password", password=PASSWORD, new_password=OTHER),
            ["sessions ended", "password changed"],
        ),
        *[(lambda: log_in(PASSWORD), ["login failed"])] * 10,
        (lambda: log_in(PASSWORD), ["locked out"]),
        (lambda: post("forgot-password", email=EMAIL), []),
        (lambda: follow("reset-password", EMAIL, new_password=PASSWORD), ["sessions ended", "password reset"]),
        (lambda: log_in(PASSWORD), ["login"]),
        *((lambda change=change: administer(**change), ["user administered"]) for change in CHANGES),
        (lambda: log_in(PASSWORD), ["login"]),
        (lambda: post("deactivate", password=PASSWORD), ["account deactivated"]),
        (lambda: administer(active=True), ["user administered"]),
        (lambda: log_in(PASSWORD), ["login"]),
        (lambda: post("change-email", password=PASSWORD, new_email=new), []),
        (lambda: follow("confirm-email", new), ["e-mail address changed"]),
        (lambda: post("delete-account", password=PASSWORD), ["account deleted"]),
    ]
    administered = []
    for request, expected in happens:
        answer = await request()
        lines = production.events()
        assert [line["event"] for line in lines] == expected
        for line in lines:
            assert datetime.fromisoformat(line["timestamp"]).tzinfo == UTC
            assert line["ip"] == "203.0.113.9"
            assert line["request_id"] == answer.headers["x-request-id"]
            assert line["user_id"] == ada.id
            assert "@" not in str(line)
        administered += [line for line in lines if "by" in line]

    assert {line["by"] for line in administered} == {root.id}
    shown = [{name: line[name] for name in ("role", "active") if name in line} for line in administered]
    assert shown == [*CHANGES, {"active": True}]


async def test_who_is_locked_out_while_logged_in_is_named(production: Service) -> None:
    """As for a login: whoever has got hold of a session guesses the password of a user whom we know."""
    ada = await join(production.app, production.client, EMAIL)
    for _ in range(11):
        await ada.send("POST", "/auth/deactivate", json={"password": OTHER})

    last = production.events()[-1]
    assert (last["event"], last.get("user_id")) == ("locked out", ada.id)


async def test_no_line_holds_an_address_a_name_a_token_or_a_password(production: Service) -> None:
    """Neither from bodies nor from headers or addresses, in success, failure and fault."""
    app, client = production.app, production.client

    @app.get("/fault")
    async def fault() -> None:
        raise KeyError("internal")

    ada = await join(app, client, EMAIL, NAME)
    second = (await client.post("/auth/refresh", json={"refresh_token": ada.refresh})).json()
    await client.post("/auth/refresh", json={"refresh_token": ada.refresh})
    await client.post("/auth/forgot-password", json={"email": EMAIL})
    reset = {"token": await read_token(app, EMAIL), "new_password": OTHER}
    tokens = (await client.post("/auth/reset-password", json=reset)).json()
    await client.post("/auth/login", json={"email": EMAIL, "password": f"{PASSWORD}!"})
    await client.get(f"/users/me?email={EMAIL}&token={ada.access}", headers={"authorization": f"Bearer {ada.access}"})
    await client.get(f"/users/{EMAIL}", headers={"cookie": f"__Host-access={tokens['access_token']}"})
    await client.get(f"/{EMAIL}/{PASSWORD}", headers={"user-agent": EMAIL, "referer": f"http://x/{EMAIL}"})
    await client.get("/fault", headers={"authorization": f"Bearer {tokens['access_token']}"})

    written = production.text()
    secrets = [
        EMAIL,
        NAME,
        PASSWORD,
        OTHER,
        reset["token"],
        *second.values(),
        *tokens.values(),
        ada.access,
        ada.refresh,
    ]
    assert written.count("\n") > 15
    for secret in secrets:
        if isinstance(secret, str) and secret != "Bearer":
            assert secret not in written
            assert secret.partition("@")[0] not in written


@pytest.mark.parametrize("environment", ["development", "production"])
async def test_the_trace_of_a_refused_row_does_not_hold_its_values(database: str, environment: str) -> None:
    """PostgreSQL tells them in the DETAIL of the error, which is part of its text."""
    async with heard(database, environment=environment) as service:

        @service.app.get("/fault")
        async def fault(session: Session) -> None:
            session.add(Mail(recipient=EMAIL, subject=f"{NAME}\n\n{NAME}", body=None, due_at=datetime.now(UTC)))
            await session.flush()

        async with listening(service.app) as address, AsyncClient() as client:
            assert (await client.get(f"{address}/fault")).status_code == 500
        written = service.text()

    assert "NotNullViolationError" in written
    assert EMAIL not in written
    assert NAME not in written


@pytest.mark.parametrize("environment", ["development", "production"])
async def test_nobody_forges_a_line(database: str, environment: str) -> None:
    """Line breaks in what a client sends, or in what is logged, begin no line."""
    forged = 'x\r\n{"event": "login", "user_id": "forged"}\u2028\x1b[31m'
    async with heard(database, environment=environment) as service:
        client = service.client
        await client.post("/auth/login", json={"email": forged, "password": forged})
        await client.post("/auth/sign-up", json={"email": forged, "name": forged, "password": PASSWORD})
        await client.get("/%0d%0aforged", headers=[(b"user-agent", b"a\nforged"), (b"x-request-id", b"a\nforged")])
        assert "forged" not in service.text()
        structlog.get_logger("app").info("event", text=forged)
        logging.getLogger("library").warning("said %r", forged)
        assert len(service.text().splitlines()) == 2


async def test_a_fault_is_one_line_that_is_found_by_the_id_of_the_answer(production: Service) -> None:
    """The server writes it, trace and all."""

    @production.app.get("/fault")
    async def fault() -> None:
        raise KeyError("internal")

    async with listening(production.app) as address, AsyncClient() as client:
        answer = await client.get(f"{address}/fault")

    [line] = [line for line in production.lines() if line["level"] == "error"]
    assert line["request_id"] == answer.headers["x-request-id"]
    assert "KeyError" in line["exception"]


async def test_events_have_the_id_that_the_client_is_told(production: Service) -> None:
    answer = await production.client.post(
        "/auth/login", json={"email": EMAIL, "password": OTHER}, headers={"x-request-id": "abc"}
    )

    assert answer.headers["x-request-id"] == "abc"
    assert [(line["event"], line["request_id"]) for line in production.lines()] == [
        ("login failed", "abc"),
        ("request", "abc"),
    ]


async def test_ids_of_our_own_sort_by_time(client: AsyncClient) -> None:
    ids = [UUID((await client.get("/health/live")).headers["x-request-id"]) for _ in range(3)]

    assert ids == sorted(ids)
