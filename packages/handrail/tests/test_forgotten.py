"""A table whose class was not imported is never proposed for dropping."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from small_project import ORDERS, SmallProject

GUESTS = """\
from sqlalchemy.orm import Mapped, mapped_column

from shop.base import Base


class Guest(Base):
    __tablename__ = "guests"

    id: Mapped[int] = mapped_column(primary_key=True)
"""


@pytest.fixture
def shop(new_project: Callable[..., SmallProject], empty_database: str) -> SmallProject:
    """A project whose revisions create a table that a model in `shop/guests.py` maps."""
    project = new_project().use(empty_database)
    project.write("shop/models.py", ORDERS)
    project.write("shop/guests.py", GUESTS)
    project.succeeds("revision", "--autogenerate", "-m", "all")
    return project


HIDING_PLACES = {
    "a file that looks like a test": ("shop/ab_test.py", GUESTS),
    "a folder of tests": ("shop/tests/models.py", GUESTS),
    "a script": ("shop/scripts/models.py", GUESTS),
    "a file that can be run": ("shop/guests.py", "#!/usr/bin/env python\n" + GUESTS),
    "another package": ("other/models.py", GUESTS),
    "a core table": ("other/tables.py", "guests = Table('guests', MetaData())\n"),
    "another base": (
        "shop/other.py",
        GUESTS.replace(
            "from shop.base import Base",
            "from sqlalchemy.orm import DeclarativeBase\n\n\nclass Base(DeclarativeBase): ...",
        ),
    ),
    "a branch that did not run": ("shop/guests.py", "if False:\n    " + GUESTS.replace("\n", "\n    ")),
}


@pytest.mark.parametrize("place", HIDING_PLACES)
def test_the_file_that_still_maps_it_is_named(shop: SmallProject, place: str) -> None:
    """Neither `revision` nor `check` proposes anything, and nothing is written."""
    (shop.root / "shop/guests.py").unlink()
    path, source = HIDING_PLACES[place]
    shop.write(path, source)
    before = len(shop.revisions())

    for command in (["revision", "--autogenerate", "-m", "next"], ["check"]):
        message = shop.refuses(*command)
        assert 'the table "guests" would be dropped, but' in message
        assert f"{path}:{source[: source.index('guests')].count(chr(10)) + 1} still maps it" in message
    assert len(shop.revisions()) == before


def test_a_class_that_is_really_gone_is_dropped(shop: SmallProject) -> None:
    (shop.root / "shop/guests.py").unlink()

    shop.succeeds("revision", "--autogenerate", "-m", "no guests")

    assert 'op.drop_table("guests"' in shop.revisions()[-1]


def test_a_virtual_environment_is_not_searched(shop: SmallProject) -> None:
    """Nor are the revisions themselves, which name the table, too."""
    (shop.root / "shop/guests.py").unlink()
    shop.write(".venv/lib/python3.11/site-packages/other/models.py", GUESTS)
    shop.write("build/lib/shop/guests.py", GUESTS)

    shop.succeeds("revision", "--autogenerate", "-m", "no guests")
