"""What several requests do at once: one wins, the others are told so, and nothing is half done."""

import asyncio
import re
from uuid import UUID

import pytest
from blocking import until_blocked
from fastapi import FastAPI
from httpx2 import AsyncClient
from people import (
    PASSWORD,
    Person,
    cheap_hashing,  # noqa: F401 - a fixture
    join,
    log_in,
    read_mails,
    read_token,
)
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import SecretStr
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import clock, database
from app.auth.__main__ import make_admin
from app.auth.models import Attempt, Credential, EmailToken, LoginSession, SignUp
from app.auth.sessions import digest
from app.config import Settings
from app.models import SCHEMA
from app.users.models import Role, User

ADA = {"email": "ada@example.com", "name": "Ada", "password": PASSWORD}
OTHER = "another four words"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for a row goes on waiting: on a slow machine the others come after the usual three seconds."""
    for name in ("CONNECT_TIMEOUT", "COMMAND_TIMEOUT"):
        monkeypatch.setattr(database, name, 60)
    for name in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
        monkeypatch.setitem(database.SERVER_SETTINGS, name, "60000")


async def count_users(session: AsyncSession) -> int:
    return await session.scalar(select(func.count()).select_from(User)) or 0


async def links(app: FastAPI, *emails: str) -> list[str]:
    mails = [mail for email in emails for mail in await read_mails(app, email)]
    return [found[1] for mail in mails if (found := re.search(r"#token=(\S+)", mail.body))]


async def test_twenty_equal_sign_ups(app: FastAPI, client: AsyncClient, session: AsyncSession) -> None:
    """Each is answered alike, and of all links in whatever spelling of the address one makes the user."""
    spellings = ("ada@example.com", "Ada@example.com", "ADA@EXAMPLE.COM", "ada@EXAMPLE.com") * 5
    answers = await asyncio.gather(*(client.post("/auth/sign-up", json=ADA | {"email": email}) for email in spellings))
    assert {(answer.status_code, answer.text) for answer in answers} == {(202, answers[0].text)}

    tokens = await links(app, "ada@example.com", "Ada@example.com", "ADA@example.com")
    assert len(tokens) == 3  # more are not mailed to one address
    answers = await asyncio.gather(*(client.post("/auth/confirm-sign-up", json={"token": token}) for token in tokens))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    assert {answer.json()["type"] for answer in answers if answer.status_code == 409} == {"/problems/email-taken"}
    assert await count_users(session) == 1
    await log_in(client, "aDA@example.com")


async def test_twenty_confirmations_with_one_link(app: FastAPI, client: AsyncClient, session: AsyncSession) -> None:
    await client.post("/auth/sign-up", json=ADA)
    token = await read_token(app, ADA["email"])

    answers = await asyncio.gather(*(client.post("/auth/confirm-sign-up", json={"token": token}) for _ in range(20)))

    assert sorted(answer.status_code for answer in answers) == [201] + [400] * 19
    assert await count_users(session) == 1


async def test_twenty_sign_ups_with_one_idempotency_key(app: FastAPI, client: AsyncClient) -> None:
    """They are one: each is answered alike, and one mail is written."""
    key = {"idempotency-key": "one"}
    answers = await asyncio.gather(*(client.post("/auth/sign-up", json=ADA, headers=key) for _ in range(20)))

    assert {(answer.status_code, answer.text) for answer in answers} == {(202, answers[0].text)}
    assert len(await read_mails(app, ADA["email"])) == 1


async def test_a_sign_up_is_confirmed_while_it_is_repeated(
    app: FastAPI, client: AsyncClient, session: AsyncSession
) -> None:
    """What was sent with the key before is gone when it is to be compared."""
    key = {"idempotency-key": "one"}
    await client.post("/auth/sign-up", json=ADA, headers=key)
    await session.execute(text(f'LOCK TABLE "{SCHEMA}".users'))

    repeating = asyncio.create_task(client.post("/auth/sign-up", json=ADA, headers=key))
    await until_blocked(session)
    await session.execute(delete(SignUp))
    await session.commit()

    assert (await repeating).json()["type"] == "/problems/changed-meanwhile"


async def test_two_users_take_one_address(app: FastAPI, client: AsyncClient) -> None:
    """It was free when both asked; the database decides when they confirm it."""
    people = [await join(app, client, email) for email in ("ada@example.com", "eve@example.com")]
    tokens = []
    for person, spelling in zip(people, ("new@example.com", "NEW@example.com"), strict=True):
        await person.send("POST", "/auth/change-email", json={"password": PASSWORD, "new_email": spelling})
        tokens.append(await read_token(app, spelling))

    answers = await asyncio.gather(*(client.post("/auth/confirm-email", json={"token": token}) for token in tokens))

    assert sorted(answer.status_code for answer in answers) == [204, 409]


async def test_an_address_is_taken_between_asking_and_confirming(app: FastAPI, client: AsyncClient) -> None:
    ada = await join(app, client)
    await ada.send("POST", "/auth/change-email", json={"password": PASSWORD, "new_email": "new@example.com"})
    token = await read_token(app, "new@example.com")
    await join(app, client, "new@example.com")

    assert (await client.post("/auth/confirm-email", json={"token": token})).status_code == 409
    assert (await ada.send("GET", "/users/me")).json()["email"] == "ada@example.com"


async def test_ten_resets_with_one_link(app: FastAPI, client: AsyncClient) -> None:
    ada = await join(app, client)
    await client.post("/auth/forgot-password", json={"email": ada.email})
    body = {"token": await read_token(app, ada.email), "new_password": OTHER}

    answers = await asyncio.gather(*(client.post("/auth/reset-password", json=body) for _ in range(10)))

    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 9


async def test_ten_changes_of_one_password(app: FastAPI, client: AsyncClient) -> None:
    """The old one is right for the first alone; the others came too late, or count as wrong."""
    ada = await join(app, client)
    new = [f"{OTHER} {n}" for n in range(9)]
    bodies = [{"password": PASSWORD, "new_password": password} for password in new]

    answers = await asyncio.gather(*(ada.send("POST", "/auth/change-password", json=body) for body in bodies))

    statuses = [answer.status_code for answer in answers]
    assert statuses.count(204) == 1
    assert set(statuses) <= {204, 403, 409}
    await log_in(client, ada.email, new[statuses.index(204)])


async def test_changes_of_one_password_in_one_moment(app: FastAPI, client: AsyncClient, session: AsyncSession) -> None:
    """All have checked the old one, and wait for the user; none of them waits for another for ever."""
    ada = await join(app, client)
    await session.execute(select(User).with_for_update())

    bodies = [{"password": PASSWORD, "new_password": f"{OTHER} {n}"} for n in range(3)]
    waiting = [asyncio.create_task(ada.send("POST", "/auth/change-password", json=body)) for body in bodies]
    await until_blocked(session, requests=3)
    await session.rollback()

    assert sorted(answer.status_code for answer in await asyncio.gather(*waiting)) == [204, 409, 409]


async def test_an_outdated_hash_is_renewed_by_several_logins_in_one_moment(
    app: FastAPI, client: AsyncClient, session: AsyncSession
) -> None:
    ada = await join(app, client)
    outdated = Argon2Hasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    await session.execute(update(Credential).values(password_hash=outdated))
    await session.commit()
    await session.execute(select(User).with_for_update())

    waiting = [asyncio.create_task(log_in(client, ada.email)) for _ in range(3)]
    await until_blocked(session, requests=3)
    await session.rollback()

    await asyncio.gather(*waiting)


@pytest.mark.parametrize("purpose", ["reset", "change"])
async def test_a_link_is_followed_while_its_user_is_deleted(
    app: FastAPI, client: AsyncClient, session: AsyncSession, purpose: str
) -> None:
    """Both take the user first, and then what is theirs."""
    ada = await join(app, client)
    if purpose == "reset":
        await client.post("/auth/forgot-password", json={"email": ada.email})
        path, body = "/auth/reset-password", {"token": await read_token(app, ada.email), "new_password": OTHER}
    else:
        await ada.send("POST", "/auth/change-email", json={"password": PASSWORD, "new_email": "new@example.com"})
        path, body = "/auth/confirm-email", {"token": await read_token(app, "new@example.com")}
    await session.execute(select(Credential).with_for_update())

    deleting = asyncio.create_task(ada.send("POST", "/auth/delete-account", json={"password": PASSWORD}))
    await until_blocked(session)
    following = asyncio.create_task(client.post(path, json=body))
    await until_blocked(session, requests=2)
    await session.rollback()

    assert (await deleting).status_code == 204
    assert (await following).status_code == 400


@pytest.mark.parametrize(
    ("path", "more"),
    [("change-email", {"new_email": "eve@example.com"}), ("delete-account", {}), ("deactivate", {})],
)
async def test_the_old_password_opens_nothing_once_it_has_been_changed(
    app: FastAPI, client: AsyncClient, session: AsyncSession, path: str, more: dict[str, str]
) -> None:
    """Also if it was right when it was checked: who had learned it must not come out ahead of the owner."""
    ada = await join(app, client)
    await session.execute(select(User).with_for_update())

    stealing = asyncio.create_task(ada.send("POST", f"/auth/{path}", json={"password": PASSWORD} | more))
    await until_blocked(session)
    await session.execute(update(Credential).values(changed_at=clock.now()))
    await session.commit()

    assert (await stealing).json()["type"] == "/problems/changed-meanwhile"
    assert await session.scalar(select(User.active))
    assert await read_mails(app, "eve@example.com") == []


async def log_in_while_closing(session: AsyncSession, ada: Person, root: Person) -> dict[str, str]:
    """Let a login come first whose account an administrator had begun to close before; return its tokens."""
    await session.execute(select(User).where(User.email == ada.email).with_for_update())
    logging_in = asyncio.create_task(log_in(ada.client, ada.email))
    await until_blocked(session)
    closing = asyncio.create_task(root.send("PATCH", f"/users/{ada.id}", json={"active": False}))
    await until_blocked(session, requests=2)
    await session.rollback()
    tokens = await logging_in
    assert (await closing).status_code == 200
    return tokens


async def test_a_login_while_the_account_is_being_closed_is_over_for_good(
    app: FastAPI, client: AsyncClient, session: AsyncSession
) -> None:
    """It came first, but the administrator's request had begun before: opening the account again must not revive it."""
    root = await join(app, client, "root@example.com", role=Role.ADMIN)
    ada = await join(app, client)

    tokens = await log_in_while_closing(session, ada, root)
    assert (await root.send("PATCH", f"/users/{ada.id}", json={"active": True})).status_code == 200

    late = Person(client, ada.id, ada.email, tokens["access_token"], tokens["refresh_token"])
    assert (await late.send("GET", "/users/me")).status_code == 401
    again = await log_in(client, ada.email)
    late.access = again["access_token"]
    await root.send("PATCH", f"/users/{ada.id}", json={"active": True})
    assert (await late.send("GET", "/users/me")).status_code == 200  # nothing was closed in between


async def test_a_login_opens_no_account_that_is_closed_meanwhile(
    app: FastAPI, client: AsyncClient, session: AsyncSession
) -> None:
    """It would be over at once; but it would be there when the account is opened again."""
    ada = await join(app, client)
    await session.execute(delete(LoginSession))
    await session.execute(update(User).values(active=False))

    body = {"email": ada.email, "password": PASSWORD}
    logging_in = asyncio.create_task(client.post("/auth/login", json=body))
    await until_blocked(session)
    await session.commit()

    assert (await logging_in).status_code == 401
    assert (await session.scalars(select(LoginSession))).all() == []


async def test_two_links_of_one_user_in_one_moment(app: FastAPI, client: AsyncClient, session: AsyncSession) -> None:
    """The first voids the other one; neither waits for the other for ever."""
    ada = await join(app, client)
    await client.post("/auth/forgot-password", json={"email": ada.email})
    reset = {"token": await read_token(app, ada.email), "new_password": OTHER}
    await ada.send("POST", "/auth/change-email", json={"password": PASSWORD, "new_email": "new@example.com"})
    change = {"token": await read_token(app, "new@example.com")}
    await session.execute(select(User).with_for_update())

    first = asyncio.create_task(client.post("/auth/reset-password", json=reset))
    await until_blocked(session)
    second = asyncio.create_task(client.post("/auth/confirm-email", json=change))
    await until_blocked(session, requests=2)
    await session.rollback()

    assert sorted([(await first).status_code, (await second).status_code]) in ([200, 400], [204, 400])


async def test_a_link_for_a_new_password_does_not_go_to_an_address_that_is_being_left(
    app: FastAPI, client: AsyncClient, session: AsyncSession
) -> None:
    """It would open the account to whoever has the old mailbox, after all older links were voided."""
    ada = await join(app, client)
    await session.execute(update(User).values(email="new@example.com"))

    asking = asyncio.create_task(client.post("/auth/forgot-password", json={"email": ada.email}))
    await until_blocked(session)
    await session.commit()

    assert (await asking).status_code == 202
    assert "#token=" not in (await read_mails(app, ada.email))[-1].body


async def test_a_refresh_that_begins_while_another_ends(
    app: FastAPI, client: AsyncClient, session: AsyncSession
) -> None:
    """The other one has its tokens, and is not committed: both are under way. Later it is a reuse."""
    ada = await join(app, client)
    body = {"refresh_token": ada.refresh}
    await session.execute(update(LoginSession).values(refresh_hash=digest("new"), last_used_at=clock.now()))

    late = asyncio.create_task(client.post("/auth/refresh", json=body))
    await until_blocked(session)
    await session.commit()

    assert (await late).json()["type"] == "/problems/refreshed-meanwhile"
    assert (await ada.send("GET", "/users/me")).status_code == 200
    assert (await client.post("/auth/refresh", json=body)).json()["type"] == "/problems/invalid-token"
    assert (await ada.send("GET", "/users/me")).status_code == 401


async def test_a_refresh_waits_for_nobody_who_changes_the_user(
    app: FastAPI, client: AsyncClient, session: AsyncSession
) -> None:
    """They go on to the sessions, of which it has one: each would wait for the other."""
    ada = await join(app, client)
    await session.execute(select(User).with_for_update())

    assert (await client.post("/auth/refresh", json={"refresh_token": ada.refresh})).status_code == 200


async def test_a_login_while_the_account_is_being_closed_does_not_become_an_administrators(
    app: FastAPI, client: AsyncClient, session: AsyncSession, database: str
) -> None:
    """Nor does the command that makes administrators revive it when it opens the account again."""
    ada = await join(app, client)
    root = await join(app, client, "root@example.com", role=Role.ADMIN)

    ada.access = (await log_in_while_closing(session, ada, root))["access_token"]
    await make_admin(ada.email, Settings(database_url=SecretStr(database)))

    assert (await ada.send("GET", "/users/me")).status_code == 401


async def test_changes_of_one_version(app: FastAPI, client: AsyncClient) -> None:
    """Of those who have read the same version one may write."""
    ada = await join(app, client)
    tag = {"if-match": (await ada.send("GET", "/users/me")).headers["etag"]}
    answers = await asyncio.gather(
        *(ada.send("PATCH", "/users/me", json={"name": str(n)}, headers=tag) for n in range(10))
    )

    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 9


async def test_who_changes_one_administrator_waits_for_no_other(
    app: FastAPI, client: AsyncClient, session: AsyncSession
) -> None:
    """Whose rows several of them took in different orders: they waited for each other."""
    root, ada, eve = [await join(app, client, f"{n}@example.com", role=Role.ADMIN) for n in ("root", "ada", "eve")]
    await session.execute(select(User).where(User.id == UUID(ada.id)).with_for_update())

    answer = await root.send("PATCH", f"/users/{eve.id}", json={"role": "user"})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/users/{other}", {"role": "user"}),
        ("PATCH", "/users/{other}", {"active": False}),
        ("POST", "/auth/deactivate", {"password": PASSWORD}),
        ("POST", "/auth/delete-account", {"password": PASSWORD}),
    ],
)
async def test_administrators_who_go_at_once(
    app: FastAPI, client: AsyncClient, session: AsyncSession, method: str, path: str, body: dict[str, object]
) -> None:
    """Whether they end each other or themselves: both requests reach the last step, and one administrator stays."""
    ada, eve = [await join(app, client, f"{name}@example.com", role=Role.ADMIN) for name in ("ada", "eve")]
    await session.execute(select(User.id).with_for_update())

    others = [(ada, eve), (eve, ada)]
    sent = [asyncio.create_task(one.send(method, path.format(other=other.id), json=body)) for one, other in others]
    await until_blocked(session, requests=2)
    await session.rollback()
    statuses = sorted(answer.status_code for answer in await asyncio.gather(*sent))

    assert statuses in ([200, 409], [204, 409])
    administrators = select(func.count()).select_from(User).where(User.role == Role.ADMIN, User.active)
    assert await session.scalar(administrators) == 1


@pytest.mark.parametrize("path", ["/auth/deactivate", "/auth/delete-account"])
async def test_an_administrator_goes_while_another_ends_them(
    app: FastAPI, client: AsyncClient, session: AsyncSession, path: str
) -> None:
    """Both ask first who is left, and then take the row; in another order they would wait for each other."""
    ada, eve = [await join(app, client, f"{name}@example.com", role=Role.ADMIN) for name in ("ada", "eve")]
    await session.execute(select(User.id).with_for_update())

    going = asyncio.create_task(ada.send("POST", path, json={"password": PASSWORD}))
    await until_blocked(session)
    ending = asyncio.create_task(eve.send("PATCH", f"/users/{ada.id}", json={"role": "user"}))
    await until_blocked(session, requests=2)
    await session.rollback()

    assert (await going).status_code == 204
    assert (await ending).status_code in (200, 404)


@pytest.mark.usefixtures("cheap_hashing")
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/users/me", {"name": "Countess"}),
        ("POST", "/auth/change-password", {"password": PASSWORD, "new_password": OTHER}),
        ("POST", "/auth/change-email", {"password": PASSWORD, "new_email": "new@example.com"}),
        ("POST", "/auth/confirm-email", {"token": "{change}"}),
        ("POST", "/auth/forgot-password", {"email": "ada@example.com"}),
        ("POST", "/auth/reset-password", {"token": "{reset}", "new_password": OTHER}),
        ("POST", "/auth/refresh", {"refresh_token": "{refresh}"}),
        ("POST", "/auth/logout", {}),
        ("POST", "/auth/deactivate", {"password": PASSWORD}),
        ("POST", "/auth/delete-account", {"password": PASSWORD}),
        ("POST", "/auth/login", {"email": "ada@example.com", "password": PASSWORD}),
    ],
)
async def test_a_user_is_deleted_meanwhile(
    app: FastAPI, client: AsyncClient, session: AsyncSession, method: str, path: str, body: dict[str, str]
) -> None:
    """While the request waits for the row; it is told so as the document says, and leaves nothing behind."""
    ada = await join(app, client)
    await client.post("/auth/forgot-password", json={"email": ada.email})
    await ada.send("POST", "/auth/change-email", json={"password": PASSWORD, "new_email": "old@example.com"})
    known = {"reset": await read_token(app, ada.email), "change": await read_token(app, "old@example.com")}
    body = {name: value.format(**known, refresh=ada.refresh) for name, value in body.items()}
    await session.execute(delete(User))

    waiting = asyncio.create_task(ada.send(method, path, json=body))
    await until_blocked(session)
    await session.commit()

    documented = [int(status) for status in app.openapi()["paths"][path][method.lower()]["responses"]]
    assert (await waiting).status_code in documented
    assert (await waiting).status_code < 500
    for column in (LoginSession.user_id, EmailToken.user_id, User.id):  # a link may stay that is nobody's
        assert await session.scalar(select(func.count(column))) == 0


async def test_who_waits_to_be_counted_keeps_nobody_else_waiting(
    app: FastAPI, client: AsyncClient, session: AsyncSession
) -> None:
    """Attempts from one network wait for each other; all else goes on."""
    ada = await join(app, client)
    await session.execute(update(Attempt).values(count=Attempt.count))
    login = {"email": ada.email, "password": "not the password"}

    waiting = [asyncio.create_task(client.post("/auth/login", json=login)) for _ in range(8)]
    await until_blocked(session, requests=2)
    answer = await ada.send("GET", "/users/me")
    still_waiting = not any(task.done() for task in waiting)
    await session.rollback()

    assert answer.status_code == 200
    assert still_waiting
    assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {401}
