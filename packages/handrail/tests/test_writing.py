"""Revision files: whole or not there, whoever interrupts or competes."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import forking
from small_project import ORDERS, SmallProject

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
# A formatter that tells when it begins and takes its time, or is told to stop everything the second time.
SLOW = """\
import os, pathlib, signal, sys, time
text = pathlib.Path(sys.argv[1]).read_text()
assert text.endswith("pass\\n") or "op." in text
pathlib.Path("began").touch()
if "--sleep" in sys.argv:
    time.sleep(float(sys.argv[-1]))
elif pathlib.Path("second").exists():
    os.kill(os.getppid(), signal.SIGINT)
    time.sleep(30)
pathlib.Path("second").touch()
"""


@pytest.fixture
def shop(new_project: Callable[..., SmallProject]) -> SmallProject:
    """A project without revisions, whose database is never asked."""
    project = new_project()
    project.environment["DATABASE_URL"] = NOWHERE
    project.write("shop/models.py", ORDERS)
    project.write("slow.py", SLOW)
    return project


def with_hook(project: SmallProject, *arguments: str) -> None:
    """Let Alembic run our formatter after writing a revision."""
    ini = (project.root / "alembic.ini").read_text().partition("[post_write_hooks]")[0]
    options = " ".join(["slow.py", "REVISION_SCRIPT_FILENAME", *arguments])
    hook = f"hooks = slow\nslow.type = exec\nslow.executable = {sys.executable}\nslow.options = {options}\n"
    project.write("alembic.ini", f"{ini}[post_write_hooks]\n{hook}")


def start(project: SmallProject, *arguments: str) -> forking.Command:
    """Start an alembic command, and return when its formatter is at work."""
    began = project.root / "began"
    began.unlink(missing_ok=True)
    process = project.start("alembic", *arguments)
    deadline = time.monotonic() + 60
    while not began.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


def left(project: SmallProject) -> list[str]:
    """Return what is in the folder of the revisions."""
    return sorted(path.name for path in Path(project.root, "alembic/versions").iterdir() if path.name != "__pycache__")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_command_leaves_no_revision(shop: SmallProject, number: signal.Signals) -> None:
    with_hook(shop, "--sleep", "3")
    process = start(shop, "revision", "-m", "interrupted")

    process.send_signal(number)
    process.communicate(timeout=60)

    assert not [name for name in left(shop) if name.endswith(".py")]
    assert shop.succeeds("heads") == ""
    with_hook(shop, "--sleep", "0")
    shop.succeeds("revision", "-m", "again", "--rev-id", "a1")
    assert [name[-len("_a1_again.py") :] for name in left(shop)] == ["_a1_again.py"]


def test_an_interruption_between_two_files_leaves_none(shop: SmallProject) -> None:
    shop.succeeds("revision", "--autogenerate", "-m", "first", "--rev-id", "a1")
    before = left(shop)
    with_hook(shop)
    shop.write(
        "shop/models.py", ORDERS.replace("index=True", "index=True, unique=True").replace(", unique=True)", ")", 1)
    )
    process = shop.alembic("revision", "--autogenerate", "-m", "two steps")

    assert (shop.root / "second").exists(), process.stdout + process.stderr
    assert process.returncode != 0
    assert left(shop) == before


def test_of_two_commands_at_once_the_second_says_what_to_do(shop: SmallProject) -> None:
    with_hook(shop, "--sleep", "2")
    first = start(shop, "revision", "-m", "first", "--rev-id", "a1")
    with_hook(shop, "--sleep", "0")

    message = shop.refuses("revision", "-m", "second", "--rev-id", "b2")

    first.communicate(timeout=60)
    assert first.returncode == 0
    assert "meanwhile another command has written a1" in message
    assert "Run the same command again." in message
    assert shop.succeeds("heads").split() == ["a1", "(head)"]
    shop.succeeds("revision", "-m", "second", "--rev-id", "b2")
    assert shop.succeeds("heads").split() == ["b2", "(head)"]


def test_a_folder_that_cannot_be_written(shop: SmallProject) -> None:
    """Of somebody else, or of a volume that is mounted read-only; here there is a file where the folder would be."""
    shop.write(".handrail_cache", "")

    message = shop.refuses("revision", "-m", "first")

    assert "nothing was written: " in message
    assert ".handrail_cache: " in message
    assert "let your user write there" in message
    assert not left(shop)


def test_nobody_sees_half_a_revision(shop: SmallProject) -> None:
    with_hook(shop, "--sleep", "2")
    process = start(shop, "revision", "-m", "first", "--rev-id", "a1")

    assert shop.succeeds("heads") == ""
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert shop.succeeds("heads").split() == ["a1", "(head)"]


def test_a_staged_revision_is_named_by_its_first_line_and_explained_in_short_ones(
    new_project: Callable[..., SmallProject],
) -> None:
    """The explanation in the docstring takes no part in the file's name, and fits into any formatter's lines."""
    project = new_project()
    project.write("shop/models.py", ORDERS.replace(", index=True", ""))
    project.succeeds("revision", "--autogenerate", "-m", "orders")
    project.write("shop/models.py", ORDERS)

    project.succeeds("revision", "--autogenerate", "-m", "find")

    (path,) = project.root.glob("alembic/versions/*find*.py")
    assert path.name.endswith("_find_index_ix_orders_customer_id.py")
    docstring = path.read_text(encoding="utf-8").split('"""')[1]
    assert "outside a transaction" in " ".join(docstring.split())
    assert max(map(len, docstring.splitlines())) <= 88
