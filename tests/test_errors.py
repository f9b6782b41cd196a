import ast
import asyncio
import gc
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI, HTTPException
from httpx2 import ASGITransport, AsyncClient, Response
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from app import clock
from app.config import ROOT
from app.database import Lookup, Session, connect
from app.errors import TITLES, Problem, problems
from app.main import MAX_BODY_SIZE
from app.users.models import User
from app.users.schemas import Body, Email, Name

JSON = {"content-type": "application/json"}


class NewBook(Body):
    email: Email
    name: Name
    pages: int


@pytest.fixture
def books(app: FastAPI) -> None:
    """A route that takes a body from everybody."""

    @app.post("/books", status_code=201)
    async def add_book(new: NewBook) -> None:
        pass


def problem(answer: Response) -> dict[str, Any]:
    """Return the problem that an answer holds, after checking that it is one."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["title"]
    assert problem["type"]
    return problem


async def test_unknown_path(client: AsyncClient) -> None:
    """An unknown path is a problem like any other."""
    answer = await client.get("/nothing?name=secret")

    assert problem(answer)["type"] == "/problems/not-found"
    assert answer.status_code == 404
    assert "secret" not in answer.text


async def test_trailing_slash(client: AsyncClient) -> None:
    """There is one address for each thing, and no redirect to a host that the client has named."""
    assert (await client.get("/users/", headers={"host": "evil.example"})).status_code == 404


async def test_wrong_method(client: AsyncClient) -> None:
    """A wrong method is answered with all that would do."""
    answer = await client.put("/users/me")

    assert problem(answer)["type"] == "/problems/method-not-allowed"
    assert answer.headers["allow"] == "GET, HEAD, PATCH"


async def test_error_of_a_service(app: FastAPI, client: AsyncClient) -> None:
    """An error that a service raises tells status, type, title and detail."""

    @app.get("/book")
    async def book() -> None:
        raise Problem(404, "It was lent to Ada.", title="Book lost")

    expected = {"type": "/problems/book-lost", "title": "Book lost", "status": 404, "detail": "It was lent to Ada."}
    assert problem(await client.get("/book")) == expected


async def test_error_of_a_library(app: FastAPI, client: AsyncClient) -> None:
    """Statuses without a type of ours keep their headers and get the type that means "no more than the status"."""

    @app.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418, "short and stout", {"x-tea": "none"})

    answer = await client.get("/teapot")

    assert problem(answer)["type"] == "about:blank"
    assert answer.headers["x-tea"] == "none"


@pytest.mark.usefixtures("books")
async def test_invalid_input(client: AsyncClient) -> None:
    """The answer tells where the input is wrong and why, and does not repeat it."""
    body = {"email": "secret@", "name": "secret" * 99, "nickname": "secret", "secret key": 1, "clé": 1}
    answer = await client.post("/books", json=body)

    errors = {tuple(error["location"]): error["message"] for error in problem(answer)["errors"]}
    assert answer.status_code == 422
    assert errors == {
        ("body", "email"): "not a valid e-mail address",
        ("body", "name"): "String should have at most 200 characters",
        ("body", "nickname"): "Extra inputs are not permitted",
        ("body", "pages"): "Field required",
        ("body",): "Extra inputs are not permitted",
    }
    assert "secret" not in answer.text


async def test_input_that_cannot_be_parsed(app: FastAPI, client: AsyncClient) -> None:
    """What the parser tells of the place where it stopped is what was sent."""

    @app.get("/book/{key}")
    async def book(key: UUID) -> None:
        pass

    [error] = problem(await client.get("/book/secret"))["errors"]
    assert error == {"location": ["path", "key"], "message": "Input should be a valid UUID", "type": "uuid_parsing"}


@pytest.mark.usefixtures("books")
async def test_invalid_input_without_end(client: AsyncClient) -> None:
    """Many mistakes do not make a large answer."""
    answer = await client.post("/books", json={f"field{n}": n for n in range(100)})

    assert len(problem(answer)["errors"]) == 20


@pytest.mark.usefixtures("books")
async def test_a_hundred_thousand_unknown_fields_are_one_error(client: AsyncClient) -> None:
    """An error for each would take a second, in which nobody else is answered."""
    answer = await client.post("/books", json=dict.fromkeys(map(str, range(100_000)), 1))

    assert answer.status_code == 422
    [error] = problem(answer)["errors"]
    assert error == {"location": ["body"], "message": "too many fields", "type": "value_error"}


HOSTILE_JSON = {
    "empty": (b"", 422),
    "cut": (b"{", 422),
    "null": (b"null", 422),
    "NaN": (b"NaN", 422),
    "NaN and infinity": (b'{"email": NaN, "name": Infinity}', 422),
    "NUL": (b'{"email": "\\u0000@example.com", "name": "\\u0000"}', 422),
    "surrogate": (b'{"email": "\\ud800@example.com", "name": "\\ud800"}', 422),
    "surrogate key": (b'{"\\ud800": 1}', 422),
    "400 digits": (b'{"email": 1' + b"0" * 400 + b', "name": 1e400}', 422),
    "6000 digits": (b'{"email": 1' + b"0" * 6000 + b"}", 400),
    "deep array": (b"[" * 100_000, 400),
    "deep object": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 400),
    "UTF-16": (b"\xff\xfe{}", 422),
    "Latin-1": (b'{"email": "\xff"}', 400),
}


@pytest.fixture
def no_garbage_collection() -> Iterator[None]:
    """Where the parser has used up the stack, finalizers of other tests' garbage would fail for want of it."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("books", "no_garbage_collection")
@pytest.mark.parametrize(("content", "status"), HOSTILE_JSON.values(), ids=HOSTILE_JSON)
async def test_hostile_json(client: AsyncClient, content: bytes, status: int) -> None:
    """Whatever is sent as JSON, the fault is the client's."""
    answer = await client.post("/books", content=content, headers=JSON)

    assert problem(answer)["status"] == status


@pytest.mark.usefixtures("books")
@pytest.mark.parametrize("kind", [None, "text/plain", "application/xml", "multipart/form-data", "nonsense", "é"])
async def test_wrong_content_type(client: AsyncClient, kind: str | None) -> None:
    """A body counts as JSON only when it says so."""
    headers = [(b"content-type", kind.encode())] if kind else []
    answer = await client.post(
        "/books",
        content=b'{"email": "ada@example.com", "name": "Ada", "pages": 1}',
        headers=headers,
    )

    assert problem(answer)["status"] == 422


@pytest.mark.usefixtures("books")
@pytest.mark.parametrize("path", ["/books", "/nothing"])
async def test_body_too_large(client: AsyncClient, path: str) -> None:
    """A body that announces to be too large is refused before it is read."""

    async def unread() -> AsyncIterator[bytes]:
        yield b"{"
        raise AssertionError("the body was read")

    answer = await client.post(path, content=unread(), headers=JSON | {"content-length": str(MAX_BODY_SIZE + 1)})

    assert problem(answer)["type"] == "/problems/content-too-large"
    assert answer.status_code == 413


async def test_that_a_body_is_too_large_is_documented_everywhere(app: FastAPI, client: AsyncClient) -> None:
    """Also where none is wanted: whoever sends one is refused before anybody has looked which route it is."""
    answer = await client.request("GET", "/health/live", content=b" " * (MAX_BODY_SIZE + 1))
    operations = [operation for path in app.openapi()["paths"].values() for operation in path.values()]

    assert answer.status_code == 413
    assert all("413" in operation["responses"] for operation in operations)


async def test_errors_are_documented_with_their_headers_and_an_example(app: FastAPI) -> None:
    @app.get("/limited", responses=problems(429))
    async def limited() -> None:
        pass

    answers = app.openapi()["paths"]["/limited"]["get"]["responses"]

    assert list(answers["429"]["headers"]) == ["Retry-After"]
    example = answers["429"]["content"]["application/problem+json"]["example"]
    assert example == {"type": "/problems/too-many-requests", "title": "Too many requests", "status": 429}


@pytest.mark.usefixtures("books")
async def test_body_too_large_in_chunks(client: AsyncClient) -> None:
    """A body of unknown size is refused as soon as it is too large."""

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65536

    answer = await client.post("/books", content=endless(), headers=JSON)

    assert problem(answer)["status"] == 413


async def test_fault(app: FastAPI, client: AsyncClient) -> None:
    """A fault of ours is answered without a word about it, and passed on to the server, which logs it."""

    @app.get("/fault")
    async def fault() -> None:
        raise KeyError("secret")

    with pytest.raises(KeyError):
        await client.get("/fault")
    async with AsyncClient(
        transport=ASGITransport(app, raise_app_exceptions=False), base_url="http://service"
    ) as client:
        answer = await client.get("/fault")
    expected = {"type": "/problems/internal-server-error", "title": "Internal server error", "status": 500}
    assert problem(answer) == expected
    assert answer.headers["connection"] == "close"  # as the server does


async def test_timeout_of_something_else(app: FastAPI) -> None:
    """Whatever a handler waited for in vain, only the database's and the pool's timeouts are an outage."""

    @app.get("/waits")
    async def waits(session: Session) -> None:
        await session.execute(text("SELECT 1"))
        async with asyncio.timeout(0.01):
            await asyncio.sleep(1)

    async with AsyncClient(
        transport=ASGITransport(app, raise_app_exceptions=False), base_url="http://service"
    ) as client:
        assert problem(await client.get("/waits"))["status"] == 500


@pytest.mark.parametrize(
    ("kind", "value"), [("text", "\x00"), ("text", "\ud800"), ("integer", 2**31), ("bigint", 2**63)]
)
async def test_value_that_cannot_be_stored(app: FastAPI, client: AsyncClient, kind: str, value: object) -> None:
    """What has passed validation, but does not go into the database, is the client's fault too."""

    @app.get("/echo")
    async def echo(session: Session) -> None:
        await session.execute(text(f"SELECT CAST(:value AS {kind})"), {"value": value})

    assert problem(await client.get("/echo"))["status"] == 422


OUTAGES = ("08006", "53100", "57014", "58030", "28P01", "3D000", "40001", "40P01", "55P03", "25006")
REFUSALS = {"23503": 409, "23505": 409, "22021": 422, "22P05": 422, "23502": 500, "22012": 500, "XX000": 500}


@pytest.mark.parametrize(("code", "status"), [*((code, 503) for code in OUTAGES), *REFUSALS.items()])
async def test_what_the_database_says_no_with(app: FastAPI, code: str, status: int) -> None:
    """It cannot serve now, another request was faster, or the value is none; anything else is a fault of ours."""
    refusing = text(f"DO $$BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END$$")

    @app.get("/row")
    async def row(session: Session) -> None:
        await session.execute(refusing)

    @app.get("/lookup")
    async def look_up() -> None:
        await app.state.lookups.fetch(Lookup(refusing))

    async with AsyncClient(
        transport=ASGITransport(app, raise_app_exceptions=False), base_url="http://service"
    ) as client:
        assert problem(await client.get("/row"))["status"] == status
        if status != 409:  # which is what a constraint says, and a lookup breaks none
            assert problem(await client.get("/lookup"))["status"] == status


async def test_connection_that_has_been_closed(app: FastAPI, client: AsyncClient) -> None:
    """The driver notices by itself, and its error is no PostgreSQL error: it is an outage all the same."""

    @app.get("/closed")
    async def closed() -> None:
        connection = await connect(app.state.settings.database_url.get_secret_value())
        await connection.close()
        await connection.fetch("SELECT 1")

    assert problem(await client.get("/closed"))["detail"] == "The database is not available."


async def test_mistake_in_sql(app: FastAPI) -> None:
    """SQL that PostgreSQL does not understand is a fault of ours, and not an outage."""

    @app.get("/sql")
    async def sql(session: Session) -> None:
        await session.execute(text("SELECT secret"))

    async with AsyncClient(
        transport=ASGITransport(app, raise_app_exceptions=False), base_url="http://service"
    ) as client:
        answer = await client.get("/sql")
    assert problem(answer)["status"] == 500
    assert "secret" not in answer.text


async def test_no_personal_data_in_logs(app: FastAPI, client: AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    """Failing statements are reported without their parameters, whether answered or passed on to the server."""

    @app.post("/users", status_code=201)
    async def add(session: Session) -> None:
        session.add(User(email="secret@example.com", name="secret", sessions_since=clock.now()))

    @app.get("/sql")
    async def sql(session: Session) -> None:
        await session.execute(text("SELECT nothing WHERE 'x' = :name"), {"name": "secret"})

    caplog.set_level(logging.DEBUG)
    assert [(await client.post("/users")).status_code for _ in range(2)] == [201, 409]
    with pytest.raises(ProgrammingError) as fault:
        await client.get("/sql")
    assert "secret" not in caplog.text + str(fault.value)


async def test_openapi(app: FastAPI) -> None:
    """The document shows every error as a problem, and FastAPI's own form of errors nowhere."""
    document = app.openapi()

    assert app.openapi() is document
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    errors = [r for o in operations for status, r in o["responses"].items() if not status.startswith("2")]
    assert {kind for response in errors for kind in response["content"]} == {"application/problem+json"}
    assert "HTTPValidationError" not in str(document)
    assert {o["operationId"] for o in operations} >= {"list_users", "get_user", "ready"}


def documented_types() -> set[tuple[str, int]]:
    """Return type and status of each row of docs/errors.md, except the one for all other statuses."""
    page = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
    return {
        (kind, int(status)) for kind, status in re.findall(r"^\| `(/problems/\S+)` \| (\d{3}) \|", page, re.MULTILINE)
    }


def raised_types() -> set[tuple[str, int]]:
    """Return type and status of each problem that the code makes."""
    answers = ((Problem(status, title=title).answer(), status) for title, status in titles())
    return {(json.loads(bytes(answer.body))["type"], status) for answer, status in answers}


def titles() -> Iterator[tuple[str, int]]:
    """Yield title and status of each, of statuses alone and with titles of their own."""
    yield from ((title, status) for status, title in TITLES.items())
    for file in (ROOT / "app").rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            titles = [word.value for word in call.keywords if word.arg == "title"] if isinstance(call, ast.Call) else []
            for title in titles:
                if isinstance(call, ast.Call) and isinstance(title, ast.Constant):
                    status = call.args[0].value if isinstance(call.args[0], ast.Constant) else None
                    yield str(title.value), status if isinstance(status, int) else 422


def test_every_type_is_documented() -> None:
    """With its status: those of statuses alone, and those with a title of their own."""
    assert raised_types() == documented_types()
