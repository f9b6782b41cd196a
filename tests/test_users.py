import asyncio
from uuid import uuid4

import pytest
from blocking import until_blocked
from fastapi import FastAPI
from httpx2 import AsyncClient
from people import Person, join
from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.users import service
from app.users.models import Role, User


@pytest.fixture
async def ada(app: FastAPI, client: AsyncClient) -> Person:
    return await join(app, client)


@pytest.fixture
async def root(app: FastAPI, client: AsyncClient) -> Person:
    return await join(app, client, "root@example.com", "Root", Role.ADMIN)


@pytest.mark.parametrize(
    "route", [("GET", "/users/me"), ("PATCH", "/users/me"), ("GET", "/users"), ("GET", "/users/1")]
)
async def test_nobody_gets_in_without_a_login(client: AsyncClient, route: tuple[str, str]) -> None:
    answer = await client.request(*route)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_foreign_is_unknown(ada: Person, root: Person) -> None:
    """To a user, somebody else and nobody are the same."""
    answers = [await ada.send("GET", f"/users/{user_id}") for user_id in (root.id, uuid4())]
    answers += [await ada.send("PATCH", f"/users/{user_id}", json={"name": "X"}) for user_id in (root.id, uuid4())]

    assert {(answer.status_code, answer.text) for answer in answers} == {(404, answers[0].text)}


async def test_only_administrators_list_search_and_change_others(ada: Person, root: Person) -> None:
    assert (await ada.send("GET", "/users")).status_code == 403
    assert (await ada.send("PATCH", f"/users/{ada.id}", json={"role": "admin"})).status_code == 403
    assert len((await root.send("GET", "/users")).json()["items"]) == 2
    assert [user["id"] for user in (await root.send("GET", "/users?search=ADA@")).json()["items"]] == [ada.id]
    assert (await root.send("GET", "/users?search=%25")).json()["items"] == []
    assert (await root.send("PATCH", f"/users/{root.id}", json={"name": "Root"})).status_code == 200
    assert (await root.send("PATCH", f"/users/{ada.id}", json={"role": "admin"})).json()["role"] == "admin"
    assert (await root.send("PATCH", f"/users/{root.id}", json={"role": "user"})).status_code == 409
    for activity in ("yes", 0, None):
        assert (await root.send("PATCH", f"/users/{ada.id}", json={"active": activity})).status_code == 422


@pytest.mark.parametrize(
    "body",
    [{"name": None}, {"name": ""}, {"name": "x" * 201}, {"name": "A\nb"}, {"role": "admin"}, {"email": "a@b.example"}],
)
async def test_change_refuses(ada: Person, body: dict[str, object]) -> None:
    """What is malformed, privileged or changed elsewhere."""
    assert (await ada.send("PATCH", "/users/me", json=body)).status_code == 422


async def test_a_change_of_what_has_changed_meanwhile_is_refused(ada: Person) -> None:
    """The tag of the version that was read is sent along; without it the last one wins."""
    tag = {"if-match": (await ada.send("GET", "/users/me")).headers["etag"]}
    answers = [await ada.send("PATCH", "/users/me", json={"name": name}, headers=tag) for name in ("One", "Two")]

    nothing = await ada.send("PATCH", "/users/me", json={}, headers=tag)  # is no change, and would show the new ETag

    assert [answer.status_code for answer in (*answers, nothing)] == [200, 412, 412]
    assert (await ada.send("GET", "/users/me")).json()["name"] == "One"
    assert (await ada.send("PATCH", "/users/me", json={"name": "Two"})).status_code == 200


@pytest.mark.parametrize(
    ("if_match", "status"),
    [
        *[(tags, 200) for tags in ("*", '"1"', '"0", "1"', ' "7","1" ')],
        *[(tags, 412) for tags in ("x", "", "1", '"01"', 'W/"1"', '"0"', '"1', f'"{10**30}"', '"\u0661"'.encode())],
    ],
)
async def test_which_tags_match(ada: Person, if_match: str | bytes, status: int) -> None:
    """Any of a list, and only what says for sure that nothing has changed."""
    headers = {"if-match": if_match}

    assert (await ada.send("PATCH", "/users/me", json={"name": "X"}, headers=headers)).status_code == status


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=-1", "limit=101", f"limit={10**400}", "limit=", "limit=NaN", "search=%00"),
        *("cursor=", "cursor=%00", "cursor=x", f"cursor={'A' * 23}", f"cursor={'é' * 22}", f"cursor={'=' * 9999}"),
    ],
)
async def test_list_refuses(root: Person, query: str) -> None:
    """Paging that makes no sense is refused."""
    assert (await root.send("GET", f"/users?{query}")).status_code == 422


async def test_list_pages(root: Person, session: AsyncSession) -> None:
    """Following `next_cursor` meets every user once, the oldest first, and ends, also when the last page is full."""
    for n in range(3):
        await service.create_user(session, f"{n}@example.com", str(n))
    await session.commit()
    first = (await root.send("GET", "/users?limit=2")).json()
    second = (await root.send("GET", f"/users?limit=2&cursor={first['next_cursor']}")).json()

    assert [user["name"] for user in (*first["items"], *second["items"])] == ["Root", "0", "1", "2"]
    assert second["next_cursor"] is None


async def test_only_the_email_makes_a_conflict(session: AsyncSession) -> None:
    """Another constraint that is violated is a fault of ours, and is not passed off as a taken address."""
    with pytest.raises(IntegrityError):
        await service.create_user(session, "ada@example.com", None)  # type: ignore[arg-type]


async def test_deleted_meanwhile(ada: Person, session: AsyncSession) -> None:
    """A request that waits for a row which another one is deleting does not find it."""
    await session.execute(delete(User))

    waiting = asyncio.create_task(ada.send("PATCH", "/users/me", json={"name": "Countess"}))
    await until_blocked(session)
    await session.commit()

    assert (await waiting).status_code == 404
