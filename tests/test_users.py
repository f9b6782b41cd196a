import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx2 import AsyncClient
from sqlalchemy import delete, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.users import service
from app.users.models import User
from app.users.schemas import UserCreate

ADA = {"email": "ada@example.com", "name": "Ada"}


async def create(client: AsyncClient, **fields: str) -> dict[str, Any]:
    answer = await client.post("/users", json=ADA | fields)
    assert answer.status_code == 201, answer.text
    user: dict[str, Any] = answer.json()
    return user


async def until_blocked(session: AsyncSession) -> None:
    """Return when a statement of another connection waits for a lock."""
    waiting = select(func.count()).select_from(text("pg_locks")).where(text("NOT granted"))
    async with asyncio.timeout(10):
        while not await session.scalar(waiting):
            pass


async def test_create(client: AsyncClient) -> None:
    """A new user gets an id and two equal times, and an address of its own."""
    answer = await client.post("/users", json=ADA)

    user = answer.json()
    assert answer.status_code == 201
    assert user.items() >= ADA.items()
    assert UUID(user["id"]).version == 7
    assert datetime.fromisoformat(user["created_at"]).tzinfo
    assert user["updated_at"] == user["created_at"]
    assert answer.headers["location"] == f"/users/{user['id']}"
    assert (await client.get(answer.headers["location"])).json() == user


async def test_create_normalises(client: AsyncClient) -> None:
    """Spaces around the name go; the domain of an address has no case, the part before it keeps its own."""
    user = await create(client, email="Ada@Example.COM", name="  Ada  ")

    assert (user["email"], user["name"]) == ("Ada@example.com", "Ada")


@pytest.mark.parametrize(
    "body",
    [
        {"name": "Ada"},
        ADA | {"email": None},
        ADA | {"email": "ada"},
        ADA | {"email": "ada@example.com\x00"},
        ADA | {"email": "Ada <ada@example.com>"},
        ADA | {"email": "a" * 250 + "@example.com"},
        ADA | {"name": " "},
        ADA | {"name": "A\x00a"},
        ADA | {"name": "Ada\nAdmin: yes"},
        ADA | {"name": "x" * 201},
        ADA | {"role": "admin"},
        ADA | {"id": str(uuid4())},
        [],
    ],
)
async def test_create_refuses(client: AsyncClient, body: object) -> None:
    """What is missing, malformed, unstorable or unknown is refused, and nothing is created."""
    assert (await client.post("/users", json=body)).status_code == 422
    assert (await client.get("/users")).json()["items"] == []


async def test_email_is_unique_whatever_its_case(client: AsyncClient) -> None:
    """A second user with the same address is refused with an error of its own type."""
    await create(client, email="ada@example.com")

    answer = await client.post("/users", json=ADA | {"email": "ADA@example.com"})

    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/email-taken"


async def test_email_is_unique_in_a_race(client: AsyncClient) -> None:
    """Of twenty equal requests at once, one creates the user, and nineteen are told that it exists."""
    answers = await asyncio.gather(*(client.post("/users", json=ADA) for _ in range(20)))

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19


async def test_get_unknown(client: AsyncClient) -> None:
    """An id that nobody has is not found."""
    assert (await client.get(f"/users/{uuid4()}")).status_code == 404


async def test_list_pages(client: AsyncClient) -> None:
    """Following `next_cursor` meets every user once, the oldest first, and ends."""
    ids = [(await create(client, email=f"{n}@example.com"))["id"] for n in range(5)]

    pages: list[list[str]] = []
    cursor = None
    while not pages or cursor:
        page = (await client.get("/users", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        pages.append([user["id"] for user in page["items"]])
        cursor = page["next_cursor"]

    assert pages == [ids[0:2], ids[2:4], ids[4:5]]


async def test_list_ends_on_a_full_page(client: AsyncClient) -> None:
    """A last page that happens to be full does not promise another one."""
    await create(client)

    assert (await client.get("/users?limit=1")).json()["next_cursor"] is None


async def test_list_continues_after_a_deleted_row(client: AsyncClient) -> None:
    """A cursor stays good when the row that it points to is gone."""
    first, second = await create(client, email="1@example.com"), await create(client, email="2@example.com")
    cursor = (await client.get("/users?limit=1")).json()["next_cursor"]
    await client.delete(f"/users/{first['id']}")

    page = (await client.get("/users", params={"cursor": cursor})).json()

    assert [user["id"] for user in page["items"]] == [second["id"]]


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=-1", "limit=101", f"limit={10**400}", "limit=", "limit=NaN"),
        *("cursor=", "cursor=%00", "cursor=x", f"cursor={'A' * 23}", f"cursor={'é' * 22}", f"cursor={'=' * 9999}"),
    ],
)
async def test_list_refuses(client: AsyncClient, query: str) -> None:
    """Paging that makes no sense is refused."""
    assert (await client.get(f"/users?{query}")).status_code == 422


async def test_change(client: AsyncClient) -> None:
    """Only the fields that are sent change, and the answer already tells the new time."""
    user = await create(client)

    changed = (await client.patch(f"/users/{user['id']}", json={"name": "Countess"})).json()

    assert changed == user | {"name": "Countess", "updated_at": changed["updated_at"]}
    assert changed["updated_at"] > user["updated_at"]
    assert (await client.get(f"/users/{user['id']}")).json() == changed


async def test_change_nothing(client: AsyncClient) -> None:
    """A change without fields leaves the user as it was."""
    user = await create(client)

    assert (await client.patch(f"/users/{user['id']}", json={})).json() == user


@pytest.mark.parametrize("body", [{"email": None}, {"name": None}, {"email": "x"}, {"name": ""}, {"created_at": "now"}])
async def test_change_refuses(client: AsyncClient, body: dict[str, object]) -> None:
    """A field cannot be emptied, and those of the server cannot be set."""
    user = await create(client)

    assert (await client.patch(f"/users/{user['id']}", json=body)).status_code == 422


async def test_change_of_email_case(client: AsyncClient) -> None:
    """A user's own address is not in the way of writing it differently."""
    user = await create(client)

    assert (await client.patch(f"/users/{user['id']}", json={"email": "ADA@example.com"})).status_code == 200


async def test_change_to_a_taken_email(client: AsyncClient) -> None:
    """The address of another user is refused."""
    await create(client, email="grace@example.com")
    user = await create(client)

    assert (await client.patch(f"/users/{user['id']}", json={"email": "Grace@example.com"})).status_code == 409


async def test_only_the_email_makes_a_conflict(session: AsyncSession) -> None:
    """Another constraint that is violated is a fault of ours, and is not passed off as a taken address."""
    nameless = UserCreate.model_construct(email="ada@example.com", name=None)  # type: ignore[arg-type]

    with pytest.raises(IntegrityError):
        await service.create_user(session, nameless)


async def test_delete(client: AsyncClient) -> None:
    """A deleted user is gone, for deleting too, and the address is free again."""
    user = await create(client)

    answers = [await client.delete(f"/users/{user['id']}") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 404]
    await create(client)


@pytest.mark.parametrize(("method", "body"), [("PATCH", {"name": "Countess"}), ("PATCH", {}), ("DELETE", None)])
async def test_unknown(client: AsyncClient, method: str, body: object) -> None:
    """There is nothing to change or delete under an unknown id."""
    assert (await client.request(method, f"/users/{uuid4()}", json=body)).status_code == 404


@pytest.mark.parametrize(("method", "body"), [("PATCH", {"name": "Countess"}), ("DELETE", None)])
async def test_deleted_meanwhile(client: AsyncClient, session: AsyncSession, method: str, body: object) -> None:
    """A request that waits for a row which another one is deleting does not find it."""
    user = await create(client)
    await session.execute(delete(User))

    waiting = asyncio.create_task(client.request(method, f"/users/{user['id']}", json=body))
    await until_blocked(session)
    await session.commit()

    assert (await waiting).status_code == 404
