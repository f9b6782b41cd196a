"""`check` answers at once as long as nothing has changed, and never otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import handrail.unchanged
from handrail.config import Project, load_project
from handrail.unchanged import PASSED, Unchanged
from small_project import SmallProject

REVISION = """
revision = "0001"
down_revision = None


def upgrade():
    pass
"""
INSTALLED = "site-packages/{}-1.0.dist-info/METADATA"


@pytest.fixture
def shop(new_project: Callable[..., SmallProject], monkeypatch: pytest.MonkeyPatch) -> SmallProject:
    """A project with models, a revision and an installed package, for which `check` has found nothing."""
    project = new_project()
    project.write("shop/models.py", "from shop.base import Base\n")
    project.write("shop/orders/models.py", "one = 1\n")
    project.write("alembic/versions/0001.py", REVISION)
    project.write("settings.py", "")
    project.write(INSTALLED.format("package"), "")
    monkeypatch.syspath_prepend(str(project.root / "site-packages"))
    Unchanged.of(loaded(project)).remember()
    return project


def loaded(project: SmallProject) -> Project:
    return load_project(project.root)


def known(project: SmallProject) -> bool:
    return Unchanged.of(loaded(project)).passed


def test_nothing_changed(shop: SmallProject) -> None:
    assert known(shop)

    shop.write("shop/__pycache__/models.cpython-311.pyc", "compiled")
    shop.write(".git/HEAD", "other")
    os.utime(shop.root / "shop/models.py", (0, 0))

    assert known(shop)


CHANGES: dict[str, Callable[[SmallProject], object]] = {
    "a model": lambda shop: shop.write("shop/models.py", "from shop.base import Bose\n"),
    "a model in a folder below": lambda shop: shop.write("shop/orders/models.py", "one = 2\n"),
    "a new model file": lambda shop: shop.write("shop/new.py", ""),
    "a new file in a new folder": lambda shop: shop.write("shop/more/new.py", ""),
    "a deleted file": lambda shop: (shop.root / "shop/orders/models.py").unlink(),
    "a renamed file": lambda shop: (shop.root / "shop/models.py").rename(shop.root / "shop/model.py"),
    "a module beside the package": lambda shop: shop.write("settings.py", "x = 1"),
    "a revision": lambda shop: shop.write("alembic/versions/0001.py", REVISION + "# changed"),
    "a new revision": lambda shop: shop.write("alembic/versions/0002.py", ""),
    "a file that a revision reads": lambda shop: shop.write("alembic/functions.sql", "SELECT 1"),
    "env.py": lambda shop: shop.write("alembic/env.py", "x = 1"),
    "alembic.ini": lambda shop: shop.write("alembic.ini", ""),
    "pyproject.toml": lambda shop: shop.write("pyproject.toml", '[tool.handrail]\nmetadata = "shop.base:Other"\n'),
    ".env": lambda shop: shop.write(".env", "FEATURE=on"),
    "a new package": lambda shop: shop.write(INSTALLED.format("another"), ""),
    "another version of a package": lambda shop: (shop.root / "site-packages/package-1.0.dist-info").rename(
        shop.root / "site-packages/package-1.1.dist-info"
    ),
    "the same version, installed anew": lambda shop: os.utime(shop.root / "site-packages/package-1.0.dist-info"),
    "a package that is gone": lambda shop: (shop.root / INSTALLED.format("package")).unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_is_noticed(shop: SmallProject, change: str) -> None:
    CHANGES[change](shop)

    assert not known(shop)


@pytest.mark.parametrize("name", ["DATABASE_URL", "HANDRAIL_SCRATCH_URL", "FEATURE_FLAG", "PYTHONPATH"])
def test_variables_count(shop: SmallProject, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Models may read any of them."""
    monkeypatch.setenv(name, "other")

    assert not known(shop)


def test_variables_of_the_terminal_do_not_count(shop: SmallProject, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "SHLVL", "PWD", "TERM_PROGRAM", "SSH_TTY", "_"):
        monkeypatch.setenv(name, "other")

    assert known(shop)


def test_code_that_is_imported_from_elsewhere_counts(
    shop: SmallProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of packages that are installed in place: their folder is in Python's path, or in a finder of setuptools."""
    for folder in ("in_path", "by_finder"):
        (tmp_path / folder).mkdir()
    finder = f"MAPPING = {{'shared': '{tmp_path / 'by_finder'}'}}\n"
    shop.write("site-packages/__editable___shared_finder.py", finder)
    monkeypatch.syspath_prepend(str(tmp_path / "in_path"))
    for folder in ("in_path", "by_finder"):
        Unchanged.of(loaded(shop)).remember()
        assert known(shop)

        (tmp_path / folder / "shared.py").write_text("x = 1")

        assert not known(shop)


def test_what_modules_do_to_the_environment_is_no_change(shop: SmallProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """An application that loads `.env` into its variables is the rule rather than the exception."""
    shop.write(".env", "FEATURE=on")
    before = Unchanged.of(loaded(shop))
    with monkeypatch.context() as changed:
        changed.setenv("FEATURE", "on")
        changed.syspath_prepend(str(shop.root / "shop"))
        before.remember()

    assert known(shop)


def test_an_edit_during_the_check_is_not_taken_for_checked(shop: SmallProject) -> None:
    original = (shop.root / "shop/models.py").read_text(encoding="utf-8")
    shop.write("shop/models.py", "first = 1")
    before = Unchanged.of(loaded(shop))
    shop.write("shop/models.py", original)
    shop.write("shop/models.py", "second = 2")
    before.remember()
    shop.write("shop/models.py", "first = 1")

    assert not known(shop)


def test_links_in_a_circle_end(shop: SmallProject) -> None:
    (shop.root / "shop/again").symlink_to(shop.root / "shop", target_is_directory=True)
    Unchanged.of(loaded(shop)).remember()

    assert known(shop)


def test_where_there_is_too_much_to_look_at_nothing_is_known(
    shop: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handrail.unchanged, "MANY", 10)
    Unchanged.of(loaded(shop)).remember()

    assert not known(shop)


def test_from_the_root_folder_the_machine_is_not_searched(shop: SmallProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m` puts the folder in which it was started into Python's path; looking at all of `/` takes seconds."""
    monkeypatch.setattr(sys, "path", ["/", *sys.path])
    looked_at: list[str] = []

    def note(folder: str, _above: set[str]) -> list[tuple[str, bytes]]:
        looked_at.append(folder)
        return []

    monkeypatch.setattr(handrail.unchanged, "_sources", note)

    assert not known(shop)
    assert looked_at == []


PROBE = """
import sys
from handrail.cli import main
sys.argv = ["handrail", "check"]
try:
    main()
finally:
    print(sorted({name.partition(".")[0] for name in sys.modules} & {"sqlalchemy", "alembic", "asyncpg", "shop"}))
"""
REMEMBER = """
from handrail.config import load_project
from handrail.unchanged import Unchanged
Unchanged.of(load_project()).remember()
"""


def python(shop: SmallProject, code: str) -> subprocess.CompletedProcess[str]:
    environment = SmallProject.base_environment() | shop.environment
    return subprocess.run(
        [sys.executable, "-c", code], cwd=shop.root, env=environment, capture_output=True, text=True, check=False
    )


def test_handrail_check_imports_nothing_when_nothing_has_changed(shop: SmallProject) -> None:
    remembered = python(shop, REMEMBER)
    assert remembered.returncode == 0, remembered.stderr

    done = python(shop, PROBE)

    assert (done.returncode, done.stdout.splitlines()) == (0, [PASSED, "[]"])


def test_the_state_is_the_same_in_every_process(shop: SmallProject, tmp_path: Path) -> None:
    """Whatever order Python gives to sets in it."""
    for number in range(4):
        (tmp_path / f"path{number}").mkdir()
        (tmp_path / f"path{number}/module.py").write_text(str(number))
    shop.environment["PYTHONPATH"] = os.pathsep.join(str(tmp_path / f"path{number}") for number in range(4))
    show = REMEMBER.replace("Unchanged.of(load_project()).remember()", "print(Unchanged.of(load_project()).state)")

    assert len({python(shop, show).stdout for _ in range(4)}) == 1


def test_handrail_check_is_alembic_check_otherwise(shop: SmallProject, empty_database: str) -> None:
    """With the same answer and the same exit code."""
    shop.environment["DATABASE_URL"] = empty_database
    shop.write("shop/models.py", "from shop.base import Base\nfrom sqlalchemy import Column, Integer, Table\n")
    assert python(shop, PROBE).stdout.splitlines()[0] == PASSED
    with (shop.root / "shop/models.py").open("a", encoding="utf-8") as models:
        models.write("Table('new', Base.metadata, Column('id', Integer))\n")

    done, alembic = python(shop, PROBE), shop.alembic("check")

    assert done.returncode == alembic.returncode == 255
    assert "new" in alembic.stdout
    assert [line for line in done.stdout.splitlines() if not line.startswith("[")] == alembic.stdout.splitlines()
