"""The OpenAPI document is true: whatever is sent, no answer is a fault, and none is one that it does not announce.

The requests come from schemathesis, which makes them from the document: right ones, and wrong ones of every kind.
`make fuzz` sends many more than `make test`.
"""

import asyncio
import json
import os
import re
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from itertools import count, product
from typing import Any, NamedTuple
from urllib.parse import quote, unquote_to_bytes

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from people import (
    PASSWORD,
    Person,
    cheap_hashing,  # noqa: F401 - a fixture
    join,
)
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from serving import listening, serving

from app.config import Settings
from app.main import create_app
from app.users.models import Role

Case = schemathesis.Case[Any]
Operation = APIOperation[Any, Any, Any, Any]

CHECKS: list[CheckFunction] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
DOCUMENT = create_app(Settings.model_validate({"database_url": "postgresql:///unused"})).openapi()
OPERATIONS: dict[str, Operation] = {
    found.ok().label: found.ok()
    for found in schemathesis.openapi.from_dict(DOCUMENT).get_all_operations()
    if isinstance(found, Ok)
}
CASES = os.environ.get("FUZZ_CASES")  # of each operation
# The same ones every time, unless asked for more. A failure is shown as it is found: reading is faster than shrinking.
SIZE = settings(
    max_examples=int(CASES or 20),
    derandomize=CASES is None,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)
FIRST_ADDRESS = ip_address("10.0.0.0")
# A right guess of one of these would end what all other requests need.
ENDS = {"POST /auth/logout", "POST /auth/deactivate", "POST /auth/delete-account"}


def requests_for(operation: Operation) -> st.SearchStrategy[Case]:
    """Right requests, and where anything can be wrong, wrong ones."""
    right, wrong = (operation.as_strategy(generation_mode=mode) for mode in GenerationMode)
    takes_nothing = not (operation.path_parameters or operation.query or operation.headers or operation.body)
    return right if takes_nothing else st.one_of(right, wrong)


def know(case: Case, person: Person) -> None:
    """Put what only this person knows into the places where it belongs."""
    known = {"password": PASSWORD, "email": person.email, "user_id": person.id, "refresh_token": person.refresh}
    for place in (case.body, case.path_parameters):
        if isinstance(place, dict):
            place.update({name: value for name, value in known.items() if name in place})


@pytest.mark.parametrize("label", OPERATIONS)
async def test_every_answer_is_documented_and_none_is_a_fault(
    database: str, label: str, record_property: Callable[[str, object], None]
) -> None:
    addresses, cases, loop = count(1), count(), asyncio.get_running_loop()
    async with serving(database, trusted_proxies="127.0.0.1", sign_ups_per_hour=10**6) as (app, client):

        def somebody() -> Person:
            joining = join(app, client, f"{next(addresses)}@example.com", role=Role.ADMIN)
            return asyncio.run_coroutine_threadsafe(joining, loop).result()

        def send_all(address: str) -> None:
            somebody()  # the last administrator could not leave
            person = somebody()

            @SIZE
            @given(
                case=requests_for(OPERATIONS[label]),
                knows=st.booleans(),
                logged_in=st.sampled_from([True, True, False]),
            )
            def send(case: Case, knows: bool, logged_in: bool) -> None:
                nonlocal person
                next(cases)
                if knows:
                    know(case, person)
                # Each from another address, so that no limit is reached.
                headers = {"x-forwarded-for": str(FIRST_ADDRESS + next(addresses))}
                if logged_in:
                    headers["authorization"] = f"Bearer {person.access}"
                answer = case.call_and_validate(address, headers=headers, checks=CHECKS)
                if label in ENDS and answer.status_code < 300:
                    person = somebody()

            send()

        async with listening(app) as address:
            await asyncio.to_thread(send_all, address)
    record_property("requests", next(cases))


# What a client may put into any field; of text, what follows … comes after a right value.
HOSTILE: list[object] = [
    *("\0", "\0" * 64, "…\0", "\ud800" * 64, "…\ud800", "…\x1b[31m\u2028", "", "x" * 500_000, "\u0130" * 100),
    *(None, True, 0, -1.5, float("nan"), float("inf"), 10**400, [], ["…"], {}, {"…": "…"}),
]
# The same for what is no JSON, percent-encoded, so that nobody mends it on the way.
HOSTILE_TEXT = ["%00", "a%00", "%ed%a0%80", "%ff", "%0d%0a", "x" * 8000, "NaN", "1" + "0" * 400, "-1", "1e400", "[]"]
PASSWORDS = {"password": PASSWORD, "new_password": "another four words", "token": "A" * 43, "refresh_token": "A" * 64}
EMAILS = {"email": "ada@example.com", "new_email": "new@example.com"}
RIGHT: dict[str, Any] = PASSWORDS | EMAILS | {"name": "Ada", "role": "user", "active": True, "cookies": False}
WITH_INPUT = [
    f"{method.upper()} {path}"
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if "requestBody" in operation or "parameters" in operation
]


class Hostile(NamedTuple):
    url: str
    headers: list[tuple[bytes, bytes]]
    content: str | None


def hostile_requests(path: str, operation: dict[str, Any]) -> Iterator[Hostile]:
    """Yield requests of which one field or parameter is hostile, and all else is right."""
    schema = re.search(r"/schemas/(\w+)", str(operation.get("requestBody")))
    fields = DOCUMENT["components"]["schemas"][schema[1]]["properties"] if schema else []
    right = {name: RIGHT.get(name, "a text") for name in fields}
    headers, content = ([(b"content-type", b"application/json")], json.dumps(right)) if right else ([], None)
    for field, value in product(right, HOSTILE):
        text = value.replace("…", str(right[field])) if isinstance(value, str) else value
        yield Hostile(path, headers, json.dumps(right | {field: text}))
    for parameter, text in product(operation.get("parameters", []), HOSTILE_TEXT):
        name = parameter["name"]
        match parameter["in"]:
            case "path":
                yield Hostile(path.replace(f"{{{name}}}", text), headers, content)
            case "query":
                yield Hostile(f"{path}?{name}={text}", headers, content)
            case "header":
                yield Hostile(path, [*headers, (name.encode(), unquote_to_bytes(text))], content)


@pytest.mark.usefixtures("cheap_hashing")
@pytest.mark.parametrize("label", WITH_INPUT)
async def test_hostile_values_are_the_clients_fault(database: str, label: str) -> None:
    """In every field and every parameter, from somebody who is logged in and from nobody."""
    method, path = label.split()
    operation = DOCUMENT["paths"][path][method.lower()]
    expected = {int(status) for status in operation["responses"] if status < "500"}
    addresses, others = count(1), list[str]()
    async with serving(database, trusted_proxies="127.0.0.1", sign_ups_per_hour=10**6) as (app, client):
        root, ada = [await join(app, client, email, role=Role.ADMIN) for email in ("root@example.com", RIGHT["email"])]
        for hostile, person in product(hostile_requests(path, operation), (None, root)):
            url = hostile.url.replace("{user_id}", ada.id).replace("{session_id}", ada.id)
            # Each from another address, so that no limit is reached.
            headers = [*hostile.headers, (b"x-forwarded-for", str(FIRST_ADDRESS + next(addresses)).encode())]
            headers += [(b"authorization", f"Bearer {person.access}".encode())] if person else []
            answer = await client.request(method, url, headers=headers, content=hostile.content)
            if answer.status_code not in expected:
                others.append(f"{answer.status_code}: {hostile}"[:300])

    assert others == []


async def test_a_hostile_form_is_the_clients_fault(database: str) -> None:
    """The one of /docs, which the document does not show."""
    form = {"content-type": "application/x-www-form-urlencoded"}
    async with serving(database) as (_, client):
        for text in HOSTILE_TEXT:
            for body in (f"username={text}&password={quote(PASSWORD)}", f"username=a%40b.c&password={text}", text):
                answer = await client.post("/auth/token", content=body, headers=form)
                assert answer.status_code in (401, 422, 429), body
