"""What requests cost the database: statements are counted, and foreign keys have an index, and go along with users."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cable import Cable
from fastapi import FastAPI
from httpx2 import AsyncClient
from people import PASSWORD, Person, join
from serving import serving
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Lookup
from app.models import SCHEMA
from app.users.models import Role, User

# A foreign key is covered by an index that begins with its columns, in any order. Without one, deleting a user reads
# the whole table that refers to users.
UNINDEXED = text(
    """
    SELECT c.conrelid::regclass::text || '.' || c.conname
    FROM pg_constraint c
    WHERE c.contype = 'f' AND c.connamespace = CAST(:schema AS text)::regnamespace AND NOT EXISTS (
        SELECT FROM pg_index i
        WHERE i.indrelid = c.conrelid AND i.indpred IS NULL AND i.indisvalid
          AND (i.indkey::int2[])[0:cardinality(c.conkey) - 1] @> c.conkey
    )
    """
)
# A foreign key to users that says nothing of a deleted one: deleting an account would be answered with 409 for ever.
KEEPING_USERS = text(
    """
    SELECT conrelid::regclass::text || '.' || conname
    FROM pg_constraint
    WHERE contype = 'f' AND confrelid = CAST(:users AS text)::regclass AND confdeltype IN ('a', 'r')
    """
)


@pytest.fixture
async def root(app: FastAPI, client: AsyncClient) -> Person:
    return await join(app, client, "root@example.com", "Root", Role.ADMIN)


@contextmanager
def counted(app: FastAPI) -> Iterator[list[str]]:
    """Collect the statements that are sent to the database meanwhile, by SQLAlchemy or as lookups."""
    engine, lookups, statements = app.state.sessions.kw["bind"].sync_engine, app.state.lookups, list[str]()
    fetch = lookups.fetch

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    def fetch_noted(lookup: Lookup, **values: object) -> object:
        statements.append(lookup.compiled[0])
        return fetch(lookup, **values)

    event.listen(engine, "before_cursor_execute", note)
    lookups.fetch = fetch_noted
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)
        lookups.fetch = fetch


async def test_reading_oneself_is_one_query(app: FastAPI, root: Person) -> None:
    with counted(app) as statements:
        answer = await root.send("GET", "/users/me")

    assert answer.status_code == 200
    assert len(statements) == 1, statements


async def test_a_page_of_100_users_is_two_queries(app: FastAPI, root: Person, session: AsyncSession) -> None:
    session.add_all(User(email=f"user{number}@example.com", name="User") for number in range(120))
    await session.commit()

    with counted(app) as statements:
        answer = await root.send("GET", "/users?limit=100")

    assert len(answer.json()["items"]) == 100
    assert len(statements) == 2, statements


@pytest.mark.parametrize(
    ("method", "path", "round_trips"),
    [
        ("GET", "/users/me", 1),
        ("GET", "/users", 4),  # who asks, BEGIN, the page, COMMIT
        ("GET", "/users/{id}", 4),
        (
            "POST",
            "/auth/login",
            9,
        ),  # the account, 2 limits; both taken back, BEGIN, is it unchanged, the session, COMMIT
    ],
)
async def test_a_request_asks_the_server_no_more_often(cable: Cable, method: str, path: str, round_trips: int) -> None:
    """Counted on the wire: transactions and tests of connections cost time as statements do."""
    async with serving(cable.url) as (app, client):
        root = await join(app, client, role=Role.ADMIN)
        body = {"email": root.email, "password": PASSWORD} if method == "POST" else None
        path = path.format(id=root.id)
        await root.send(method, path, json=body)  # the first time connections are made and statements prepared
        cable.round_trips = 0
        answer = await root.send(method, path, json=body)

        assert answer.status_code == 200
        assert cable.round_trips == round_trips


async def test_every_foreign_key_has_an_index(session: AsyncSession) -> None:
    keys = text(
        "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND connamespace = CAST(:schema AS text)::regnamespace"
    )

    assert await session.scalar(keys, {"schema": f'"{SCHEMA}"'})
    assert (await session.scalars(UNINDEXED, {"schema": f'"{SCHEMA}"'})).all() == []


async def test_no_foreign_key_keeps_a_user_from_being_deleted(session: AsyncSession) -> None:
    """ForeignKey(User.id, ondelete="CASCADE"), or "SET NULL": what is theirs goes along, or is nobody's."""
    assert (await session.scalars(KEEPING_USERS, {"users": f'"{SCHEMA}".users'})).all() == []
