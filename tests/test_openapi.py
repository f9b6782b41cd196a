"""The OpenAPI document is true: whatever is sent, no answer is a fault, and none is one that it does not announce.

The requests come from schemathesis, which makes them from the document: right ones, and wrong ones of every kind.
`make fuzz` sends many more than `make test`.
"""

import asyncio
import os
from collections.abc import Callable
from ipaddress import ip_address
from itertools import count
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from people import PASSWORD, Person, join
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
