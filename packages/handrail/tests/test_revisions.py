"""Revision files read as text give the same answer as Alembic, or none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from handrail.config import load_project
from handrail.revisions import heads
from small_project import REPOSITORY, SmallProject


@pytest.fixture
def shop(new_project: Callable[..., SmallProject]) -> SmallProject:
    return new_project()


def write(shop: SmallProject, name: str, revision: str, down: str) -> Path:
    return shop.write(f"alembic/versions/{name}.py", f"revision = {revision}\ndown_revision = {down}\n")


def test_the_starters_own_head() -> None:
    scripts = ScriptDirectory.from_config(Config(REPOSITORY / "alembic.ini"))

    assert heads(load_project(REPOSITORY)) == set(scripts.get_heads())


def test_branches_and_merges(shop: SmallProject) -> None:
    write(shop, "a", "'a'", "None")
    write(shop, "b", "'b'", "'a'")
    write(shop, "c", '"c"', '"a"  # a branch')
    assert heads(load_project(shop.root)) == {"b", "c"}

    write(shop, "d", "'d'", "('b', 'c')")
    assert heads(load_project(shop.root)) == {"d"}


def test_files_as_alembic_writes_them(shop: SmallProject) -> None:
    shop.succeeds("revision", "-m", "one")
    shop.succeeds("revision", "-m", "two")

    scripts = ScriptDirectory.from_config(Config(shop.root / "alembic.ini"))
    assert heads(load_project(shop.root)) == set(scripts.get_heads())


def test_an_example_in_a_text_is_not_an_assignment(shop: SmallProject) -> None:
    path = write(shop, "a", "'a'", "None")
    path.write_text(path.read_text() + '\nEXAMPLE = """\nrevision = "z"\ndown_revision = "y"\n"""\n')

    assert heads(load_project(shop.root)) == {"a"}


def test_a_file_in_another_encoding_is_left_to_alembic(shop: SmallProject) -> None:
    write(shop, "a", "'a'", "None").write_bytes(
        b"# -*- coding: latin-1 -*-\n# \xe9\nrevision = 'a'\ndown_revision = None\n"
    )

    assert heads(load_project(shop.root)) is None


@pytest.mark.parametrize("down", ["previous()", "(\n    'a',\n    'b',\n)", "\\\n'a'"])
def test_what_cannot_be_read_is_left_to_alembic(shop: SmallProject, down: str) -> None:
    write(shop, "a", "'a'", "None")
    write(shop, "c", "'c'", down)

    assert heads(load_project(shop.root)) is None


def test_several_version_locations_are_left_to_alembic(shop: SmallProject) -> None:
    ini = (shop.root / "alembic.ini").read_text()
    shop.write("alembic.ini", ini.replace("[alembic]\n", "[alembic]\nversion_locations = %(here)s/one\n"))

    assert heads(load_project(shop.root)) is None


def test_no_revisions_yet(shop: SmallProject) -> None:
    assert heads(load_project(shop.root)) == set()
