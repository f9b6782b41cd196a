"""What the README promises, typed into a fresh copy: edit, revision, upgrade, use, downgrade, check."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starter_copy import Starter

ITEM = """\
from sqlalchemy.orm import Mapped

from app.models import Base, CreatedAt, Key


class Item(Base):
    __tablename__ = "items"

    id: Mapped[Key]
    title: Mapped[str]
    created_at: Mapped[CreatedAt]
"""
ITEMS_ROUTER = """\
from fastapi import APIRouter

from app.database import Session
from app.items.models import Item

router = APIRouter(prefix="/items")


@router.post("", status_code=201)
async def create_item(title: str, session: Session) -> str:
    item = Item(title=title)
    session.add(item)
    await session.flush()
    return str(item.id)
"""


def test_edit_a_model(starter_with_database: Starter) -> None:
    """A new column: generated, read, applied, used through the API, undone, and clean again."""
    starter = starter_with_database
    starter.alembic("upgrade head")
    starter.edit(
        "app/users/models.py", "    name: Mapped[str]\n", "    name: Mapped[str]\n    city: Mapped[str | None]\n"
    )
    starter.edit(
        "app/users/schemas.py",
        "    name: Name | MISSING = MISSING\n",
        "    name: Name | MISSING = MISSING\n    city: str | MISSING = MISSING\n",
    )

    starter.alembic('revision --autogenerate -m "add city to users"')
    upgrade, downgrade = starter.newest_revision()
    assert upgrade.count("op.") == 1
    assert (
        'op.add_column("users", sa.Column("city", sa.Text(), nullable=True), schema="starter-fastapi-project")'
        in upgrade
    )
    assert downgrade.count("op.") == 1
    assert 'op.drop_column("users", "city", schema="starter-fastapi-project")' in downgrade

    starter.alembic("upgrade head")
    assert "No new upgrade operations detected" in starter.alembic("check")
    with starter.serving("uvicorn app.main:app", DATABASE_URL=url_of(starter)) as service:
        assert service.request("GET", "/health/ready")[0] == 200
        starter.make_admin()
        token = service.log_in()
        assert service.request("PATCH", "/users/me", {"city": "London"}, token)[0] == 200
        assert service.request("GET", "/users/me", token=token)[0] == 200

        starter.alembic("downgrade -1")
        status, problem = service.request("GET", "/health/ready")
        assert status == 503
        assert "alembic upgrade head" in problem["detail"]

    # Models and revisions agree, wherever this database is; `current` tells that.
    assert "No new upgrade operations detected" in starter.alembic("check")
    assert "(head)" not in starter.alembic("current")
    starter.alembic("upgrade head")
    assert "No new upgrade operations detected" in starter.alembic("check")


def test_add_a_feature(starter_on_a_server: Starter) -> None:
    """A new folder with a model that nobody imports yet is seen; then its router is used."""
    starter = starter_on_a_server
    starter.alembic("upgrade head")
    (starter.root / "app/items").mkdir()
    (starter.root / "app/items/models.py").write_text(ITEM, encoding="utf-8")

    starter.alembic('revision --autogenerate -m "create items table"')
    upgrade, downgrade = starter.newest_revision()
    assert 'op.create_table(\n        "items"' in upgrade
    assert "users" not in upgrade + downgrade
    starter.alembic("upgrade head")

    (starter.root / "app/items/router.py").write_text(ITEMS_ROUTER, encoding="utf-8")
    starter.edit(
        "app/main.py",
        "from app.users import router as users\n",
        "from app.items import router as items\nfrom app.users import router as users\n",
    )
    starter.edit(
        "app/main.py",
        "    app.include_router(users.router)\n",
        "    app.include_router(users.router)\n    app.include_router(items.router)\n",
    )
    with starter.serving("uvicorn app.main:app", DATABASE_URL=url_of(starter)) as service:
        assert service.request("POST", "/items?title=Lamp")[0] == 201

    starter.alembic("downgrade -1")
    starter.alembic("upgrade head")
    assert "No new upgrade operations detected" in starter.alembic("check")


def test_remove_accounts(starter_on_a_server: Starter) -> None:
    """Without their folder and its two lines, `check` names their tables; one revision more and it is content."""
    starter = starter_on_a_server
    starter.alembic("upgrade head")
    starter.run("rm -r app/auth")
    starter.edit("app/main.py", "from app.auth import router as auth\n", "")
    starter.edit("app/main.py", "    app.include_router(auth.router)\n", "")

    assert ".credentials" in starter.shell("alembic check").stdout
    starter.alembic('revision --autogenerate -m "remove accounts"')
    upgrade, downgrade = starter.newest_revision()
    assert upgrade.count("op.drop_table") == downgrade.count("op.create_table") == 5
    [revision] = starter.root.glob("alembic/versions/*remove_accounts*.py")
    allowed = r"\g<0>\n    # handrail: allow \1 — accounts are kept elsewhere"
    revision.write_text(re.sub(r"# handrail: (drops-table .*)", allowed, revision.read_text("utf-8")), "utf-8")

    starter.alembic("upgrade head")
    assert "No new upgrade operations detected" in starter.alembic("check")
    with starter.serving("uvicorn app.main:app") as service:
        assert [service.request("GET", path)[0] for path in ("/health/ready", "/users/me")] == [200, 401]


def test_an_enum_lives_in_our_schema(starter_on_a_server: Starter) -> None:
    """A role that has rights in our schema only can migrate and use it; and what was generated passes the linter."""
    starter = starter_on_a_server
    starter.edit(
        "app/users/models.py", "    name: Mapped[str]\n", "    name: Mapped[str]\n    colour: Mapped[Colour | None]\n"
    )
    starter.edit(
        "app/users/models.py", "class User(Base):", "class Colour(enum.Enum):\n    red = 1\n\n\nclass User(Base):"
    )
    starter.edit(
        "app/users/models.py", "from sqlalchemy import Enum, Index", "import enum\n\nfrom sqlalchemy import Enum, Index"
    )

    starter.alembic('revision --autogenerate -m "add colour"')
    starter.alembic('revision -m "still empty"')

    assert 'CREATE TYPE "starter-fastapi-project".colour' in starter.run("cat alembic/versions/*colour.py")
    starter.run("ruff check alembic && ruff format --check alembic")


def test_tables_of_others_are_left_alone(starter_on_a_server: Starter) -> None:
    """Nothing in `public` or in another schema is touched, and ours are not proposed twice; edits of ours are said."""
    starter = starter_on_a_server
    starter.alembic("upgrade head")
    url = url_of(starter)
    for statement in (
        "CREATE TABLE public.users (id int)",
        "CREATE TABLE public.alembic_version (version_num text)",
        "CREATE SCHEMA accounting",
        "CREATE TABLE accounting.users (id int)",
        'ALTER TABLE "starter-fastapi-project".users ADD COLUMN by_hand int',
        "ALTER DATABASE {database} SET search_path = 'starter-fastapi-project', accounting, public",
    ):
        execute(url, statement)

    assert "No new upgrade operations detected" in starter.alembic("check")
    said = starter.shell('alembic revision --autogenerate -m "nothing"').stderr
    assert "nothing was written" in said
    assert "Your database was changed by hand since f4625ec5c157" in said


def test_the_own_tests_pass_in_a_copy(starter: Starter) -> None:
    """What every user keeps runs where only the user's own files are, on a PostgreSQL of its own; here a part of it."""
    files = " ".join(f"tests/test_{name}.py" for name in ("config", "errors", "migrations"))
    output = starter.run(f"pytest -q -p no:cacheprovider {files}")

    assert " passed" in output
    assert "failed" not in output


def url_of(starter: Starter) -> str:
    """Return the URL of the copy's database."""
    return starter.environment.get("DATABASE_URL") or starter.run("handrail db url").strip()


def execute(url: str, statement: str) -> None:
    """Run a statement as an administrator of the database."""
    from handrail.connection import parse_url
    from handrail.scratch import ScratchServer

    parsed = parse_url(url)
    ScratchServer(parsed).execute(statement.format(database=f'"{parsed.database}"'))
