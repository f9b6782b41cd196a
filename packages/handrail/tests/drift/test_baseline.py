"""`handrail baseline` and `alembic stamp`: what is recorded is true, or it is said that it is not."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from drift.test_drift_command import sql
from faults.shop import revision
from small_project import SmallProject

pytestmark = pytest.mark.one_driver

GOODS = "CREATE TABLE shop.goods (id int PRIMARY KEY, name text)"
NOTES = "CREATE TABLE shop.notes (id int PRIMARY KEY)"


@pytest.fixture
def project(new_project: Callable[..., SmallProject], url: str) -> SmallProject:
    """A project of two revisions, of which none is recorded anywhere."""
    project = new_project()
    project.use(url)
    revision(project, "r1", None, f'op.execute("{GOODS}")', 'op.execute("DROP TABLE shop.goods")')
    revision(project, "r2", "r1", f'op.execute("{NOTES}")', 'op.execute("DROP TABLE shop.notes")')
    return project


def test_a_database_that_holds_what_the_revisions_create_is_taken_over(project: SmallProject, url: str) -> None:
    """However it came about: the version is stamped, and the journal begins."""
    sql(url, "CREATE SCHEMA shop", GOODS, NOTES)

    done = project.handrail("baseline")

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "The database holds what the revisions create: recorded as r2.\n"
    entries = json.loads(project.handrail("log", "--format", "json").stdout)
    assert [entry["direction"] for entry in entries] == ["baseline", "stamp"]
    assert project.handrail("status").returncode == 0
    sql(url, "ALTER TABLE shop.goods ADD COLUMN price int")
    assert "+ column shop.goods.price" in project.handrail("drift").stdout


def test_it_can_be_an_earlier_revision(project: SmallProject, url: str) -> None:
    """Then the others are pending."""
    sql(url, "CREATE SCHEMA shop", GOODS)

    refused = project.handrail("baseline")
    done = project.handrail("baseline", "r1")

    assert refused.returncode == 21, refused.stdout + refused.stderr
    assert "nothing was recorded" in refused.stderr
    assert "- table shop.notes" in refused.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    project.succeeds("upgrade", "head")
    assert project.handrail("drift").returncode == 0


def test_what_differs_is_said_and_nothing_recorded(project: SmallProject, url: str) -> None:
    sql(url, "CREATE SCHEMA shop", GOODS.replace("text", "varchar(10)"), NOTES, "CREATE TABLE shop.mine (id int)")

    done = project.handrail("baseline")

    assert done.returncode == 21
    assert "~ column shop.goods.name: type text -> character varying(10)" in done.stderr
    assert "+ table shop.mine" in done.stderr
    assert project.handrail("baseline", "nonsense").returncode == 14
    assert "revision     (none)" in project.handrail("status").stdout


def test_a_migrated_database_without_its_journal_gets_one(project: SmallProject, url: str) -> None:
    project.succeeds("upgrade", "head")
    sql(url, "DROP TABLE shop.handrail_journal")

    assert project.handrail("baseline").returncode == 0
    told = json.loads(project.handrail("drift", "--format", "json").stdout)
    assert told["compared_with"] == "journal"


def test_another_role_than_the_expected_records_nothing(project: SmallProject, url: str) -> None:
    """The version table and the journal would be its own."""
    sql(url, "CREATE SCHEMA shop", GOODS)
    settings = project.root / "pyproject.toml"
    settings.write_text(settings.read_text(encoding="utf-8") + 'expect_role = "owner"\n', encoding="utf-8")

    done = project.handrail("baseline", "r1")

    assert done.returncode == 6, done.stdout + done.stderr
    assert 'expect_role = "owner"' in done.stderr
    assert "(none)" in project.handrail("status").stdout


def test_a_stamp_that_lies_is_said_to(project: SmallProject, url: str) -> None:
    """It is done all the same, as always."""
    sql(url, "CREATE SCHEMA shop", GOODS)

    lying = project.alembic("stamp", "head")
    lied_to = project.handrail("status")
    true = project.alembic("stamp", "r1")

    assert lying.returncode == 0, lying.stdout + lying.stderr
    assert "WARNING: the version table now says r2" in lying.stderr
    assert "- table shop.notes" in lying.stderr
    assert lied_to.returncode == 1, lied_to.stdout + lied_to.stderr
    assert (
        "stamped, but not so: column shop.notes.id, constraint shop.notes.notes_pkey, table shop.notes"
        in lied_to.stdout
    )
    assert true.returncode == 0, true.stdout + true.stderr
    assert "WARNING" not in true.stderr
    assert "not so" not in project.handrail("status").stdout


def test_autogenerate_mentions_a_database_that_was_edited(project: SmallProject, url: str) -> None:
    """In one line; what is written does not depend on it."""
    project.succeeds("upgrade", "head")
    sql(url, "ALTER TABLE shop.goods ADD COLUMN price int")
    project.write(
        "shop/models.py",
        """\
        from sqlalchemy.orm import Mapped, mapped_column

        from shop.base import Base


        class Goods(Base):
            __tablename__ = "goods"

            id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
            name: Mapped[str | None]
            size: Mapped[int | None]


        class Note(Base):
            __tablename__ = "notes"

            id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        """,
    )

    done = project.alembic("revision", "--autogenerate", "-m", "size")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Your database was changed by hand since r2 (" in done.stderr
    assert "price" not in project.revisions()[-1]
