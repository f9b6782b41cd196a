"""Who may do what: every route for every kind of caller, in one table. A new route needs a row."""

from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from people import PASSWORD, Person, join

from app.users.models import Role

METHODS = {"get", "post", "put", "patch", "delete"}
LINK = {"token": "A" * 43}  # of no mail
PASSWORDS = {"password": PASSWORD, "new_password": "another four words"}

# Ids in paths are those of the owner, or of the owner's session; `other` is another user, `former` a deactivated one.
CALLERS = ("nobody", "former", "other", "owner", "admin")
# fmt: off
STATUSES = {
    "GET /health/live":                     (200, 200, 200, 200, 200),
    "GET /health/ready":                    (200, 200, 200, 200, 200),
    "GET /users/me":                        (401, 401, 200, 200, 200),
    "PATCH /users/me":                      (401, 401, 200, 200, 200),
    "GET /users":                           (401, 401, 403, 403, 200),
    "GET /users/{user_id}":                 (401, 401, 404, 200, 200),
    "PATCH /users/{user_id}":               (401, 401, 404, 403, 200),
    "POST /auth/sign-up":                   (202, 202, 202, 202, 202),
    "POST /auth/confirm-sign-up":           (400, 400, 400, 400, 400),
    "POST /auth/login":                     (401, 401, 200, 200, 200),
    "POST /auth/refresh":                   (401, 401, 200, 200, 200),
    "POST /auth/logout":                    (401, 401, 204, 204, 204),
    "GET /auth/sessions":                   (401, 401, 200, 200, 200),
    "DELETE /auth/sessions":                (401, 401, 204, 204, 204),
    "DELETE /auth/sessions/{session_id}":   (401, 401, 404, 204, 404),
    "POST /auth/forgot-password":           (202, 202, 202, 202, 202),
    "POST /auth/reset-password":            (400, 400, 400, 400, 400),
    "POST /auth/change-password":           (401, 401, 204, 204, 204),
    "POST /auth/change-email":              (401, 401, 202, 202, 202),
    "POST /auth/confirm-email":             (400, 400, 400, 400, 400),
    "POST /auth/deactivate":                (401, 401, 204, 204, 409),
    "POST /auth/delete-account":            (401, 401, 204, 204, 409),
}
# fmt: on


def body_of(route: str, caller: Person) -> dict[str, Any] | None:
    """Return what the caller sends there: right in form, and about themselves."""
    new = {"email": "new@example.com", "name": "New", "password": PASSWORD}
    bodies: dict[str, dict[str, Any]] = {
        "PATCH /users/me": {"name": "Changed"},
        "PATCH /users/{user_id}": {"name": "Changed"},
        "POST /auth/sign-up": new,
        "POST /auth/confirm-sign-up": LINK,
        "POST /auth/login": {"email": caller.email, "password": PASSWORD},
        "POST /auth/refresh": {"refresh_token": caller.refresh},
        "POST /auth/forgot-password": {"email": caller.email},
        "POST /auth/reset-password": LINK | {"new_password": PASSWORDS["new_password"]},
        "POST /auth/change-password": PASSWORDS,
        "POST /auth/change-email": {"password": PASSWORD, "new_email": "new@example.com"},
        "POST /auth/confirm-email": LINK,
        "POST /auth/deactivate": {"password": PASSWORD},
        "POST /auth/delete-account": {"password": PASSWORD},
    }
    return bodies.get(route)


@pytest.fixture
async def callers(app: FastAPI, client: AsyncClient) -> dict[str, Person]:
    people = {name: await join(app, client, f"{name}@example.com") for name in ("former", "other", "owner")}
    people["admin"] = await join(app, client, "admin@example.com", role=Role.ADMIN)
    people["nobody"] = Person(client, "", "nobody@example.com", "", "A" * 64)
    await people["former"].send("POST", "/auth/deactivate", json={"password": PASSWORD})
    return people


@pytest.mark.parametrize("route", STATUSES)
async def test_every_route_for_every_caller(route: str, callers: dict[str, Person], app: FastAPI) -> None:
    """The status is the expected one, and one that the OpenAPI document names."""
    method, path = route.split()
    sessions = (await callers["owner"].send("GET", "/auth/sessions")).json()["items"]
    address = path.format(user_id=callers["owner"].id, session_id=sessions[0]["id"])
    statuses = []
    for name in CALLERS:
        caller = callers[name]
        send = caller.client.request if name == "nobody" else caller.send
        answer = await send(method, address, json=body_of(route, caller))
        statuses.append(answer.status_code)

    assert tuple(statuses) == STATUSES[route]
    documented = app.openapi()["paths"][path][method.lower()]["responses"]
    assert {str(status) for status in statuses} <= set(documented)


async def test_every_route_has_a_row(app: FastAPI) -> None:
    operations = {(method, path) for path, item in app.openapi()["paths"].items() for method in METHODS & set(item)}

    assert {f"{method.upper()} {path}" for method, path in operations} == set(STATUSES)


async def test_the_document_says_where_a_login_is_needed(app: FastAPI) -> None:
    """Clients that are made from it, and /docs, send the token there."""
    document = app.openapi()
    asks_itself = {"POST /auth/login", "POST /auth/refresh"}  # for a password or a token of another kind
    for route, (nobody, *_) in STATUSES.items():
        method, path = route.split()
        operation = document["paths"][path][method.lower()]
        assert ("security" in operation) == (nobody == 401 and route not in asks_itself), route
    assert document["components"]["securitySchemes"]["login"]["flows"]["password"]["tokenUrl"] == "/auth/token"


async def test_a_deactivated_user_is_told_nothing(callers: dict[str, Person]) -> None:
    """Their right password is answered like a wrong one, and every token that they have is void."""
    former, client = callers["former"], callers["former"].client
    bodies = ({"email": former.email, "password": password} for password in (PASSWORD, "not the password"))
    right, wrong = [await client.post("/auth/login", json=body) for body in bodies]

    assert (right.status_code, right.text) == (wrong.status_code, wrong.text)
    assert (await former.send("GET", "/users/me")).status_code == 401
    assert (await client.post("/auth/refresh", json={"refresh_token": former.refresh})).status_code == 401


@pytest.mark.parametrize("route", ["PATCH /users/me", "POST /auth/sign-up"])
async def test_privileged_and_unknown_fields_are_refused(route: str, callers: dict[str, Person]) -> None:
    """They are named, and nothing is stored."""
    owner, (method, path) = callers["owner"], route.split()
    before = (await owner.send("GET", "/users/me")).json()

    for field in ("id", "role", "active", "version", "sessions_since", "created_at", "is_superuser"):
        answer = await owner.send(method, path, json=(body_of(route, owner) or {}) | {field: "admin"})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["location"] == ["body", field]

    assert (await owner.send("GET", "/users/me")).json() == before
