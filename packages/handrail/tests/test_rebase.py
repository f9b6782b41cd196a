"""Two heads: refused with both remedies, and one put behind the other as long as that is harmless."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CalledProcessError

import pytest

from small_project import SmallProject

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.fixture
def shop(new_project: Callable[..., SmallProject], empty_database: str) -> SmallProject:
    """A project whose revision `first` everybody has."""
    project = new_project()
    project.environment["DATABASE_URL"] = empty_database
    project.write("shop/models.py", "")
    project.write(".gitignore", "__pycache__/\n")
    project.git("init", "--quiet", "--initial-branch=main")
    revision(project, "first")
    return project


REVISION = """\
\"\"\"add {name}

Revision ID: {name}
Revises: {parent}
Create Date: 2026-01-01 00:00:00
\"\"\"

from collections.abc import Sequence

from alembic import op

revision: str = "{name}"
down_revision: str | Sequence[str] | None = {down}
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.execute("CREATE TABLE shop.{name} ()")


def downgrade() -> None:
    op.execute("DROP TABLE shop.{name}")
"""


def revision(project: SmallProject, name: str, parent: str = "first") -> Path:
    """Add a revision that makes a table, as Alembic writes it, and commit it."""
    down = "None" if name == parent else f'"{parent}"'
    text = REVISION.format(name=name, parent="" if name == parent else parent, down=down)
    file = project.write(f"alembic/versions/2026_01_01_0000_{name}_add_{name}.py", text)
    project.git("add", ".")
    project.git("commit", "--quiet", "-m", name)
    return file


def diverge(project: SmallProject) -> tuple[Path, Path]:
    """Let a colleague bring `theirs` into main, while `mine` is written on a branch, and merge both."""
    project.git("switch", "--quiet", "-c", "feature")
    mine = revision(project, "mine")
    project.git("switch", "--quiet", "main")
    theirs = revision(project, "theirs")
    project.git("switch", "--quiet", "feature")
    project.git("merge", "--quiet", "--no-edit", "main")
    return mine, theirs


def heads(project: SmallProject) -> set[str]:
    return set(project.succeeds("heads").replace("(head)", "").split())


@pytest.mark.parametrize("options", [[], ["--autogenerate"]])
def test_a_third_revision_is_refused_with_both_remedies(shop: SmallProject, options: list[str]) -> None:
    diverge(shop)
    files = sorted(shop.root.glob("alembic/versions/*.py"))

    message = shop.refuses("revision", "-m", "third", *options)

    assert "there are 2 heads" in message
    assert "handrail rebase mine To keep" in message
    assert 'alembic merge -m "join mine and theirs" mine theirs' in message
    assert sorted(shop.root.glob("alembic/versions/*.py")) == files


def test_the_merge_that_is_named_works(shop: SmallProject) -> None:
    diverge(shop)

    shop.succeeds("merge", "-m", "join mine and theirs", "mine", "theirs", DATABASE_URL=NOWHERE)

    assert len(heads(shop)) == 1
    shop.succeeds("revision", "-m", "third")


def test_the_rebase_that_is_named_works(shop: SmallProject) -> None:
    mine, theirs = diverge(shop)
    before, foreign = mine.read_text(), theirs.read_bytes()
    shop.handrail("schema", "--write")

    done = shop.handrail("rebase", "mine")

    assert done.returncode == 0, done.stderr
    assert "mine now follows theirs" in done.stdout
    assert mine.read_text() == before.replace("Revises: first", "Revises: theirs").replace(
        'None = "first"', 'None = "theirs"'
    )
    assert theirs.read_bytes() == foreign
    assert heads(shop) == {"mine"}
    assert shop.handrail("schema", "--check").returncode == 0
    shop.succeeds("upgrade", "head")


def test_it_settles_the_conflict_in_the_middle_of_a_merge(shop: SmallProject) -> None:
    """Git has left its markers in schema.sql, and the merge is not committed yet."""
    for branch, name in (("main", None), ("feature", "mine"), ("main", "theirs")):
        if branch != shop.git("branch", "--show-current").strip():
            shop.git("switch", "--quiet", *(["-c"] if name == "mine" else []), branch)
        if name:
            revision(shop, name)
        assert shop.handrail("schema", "--write").returncode == 0
        shop.git("add", ".")
        shop.git("commit", "--quiet", "-m", "schema.sql")
    shop.git("switch", "--quiet", "feature")
    with pytest.raises(CalledProcessError):
        shop.git("merge", "main")
    assert "<<<<<<<" in (shop.root / "alembic/schema.sql").read_text()

    done = shop.handrail("rebase")

    assert done.returncode == 0, done.stderr
    assert heads(shop) == {"mine"}
    assert shop.handrail("schema", "--check").returncode == 0


def test_without_a_name_it_is_the_one_that_main_does_not_have(shop: SmallProject) -> None:
    diverge(shop)

    assert shop.handrail("rebase").returncode == 0
    assert heads(shop) == {"mine"}
    again = shop.handrail("rebase")
    assert (again.returncode, again.stdout) == (0, "There is one head, mine: nothing is to be moved.\n")


def test_a_chain_moves_as_a_whole(shop: SmallProject) -> None:
    mine, _ = diverge(shop)
    second = revision(shop, "second", "mine")
    text = second.read_text()

    assert shop.handrail("rebase", "mine").returncode == 0

    assert heads(shop) == {"second"}
    assert second.read_text() == text
    assert "Revises: theirs" in mine.read_text()


def test_what_main_has_is_not_moved(shop: SmallProject) -> None:
    _, theirs = diverge(shop)
    before = theirs.read_text()

    done = shop.handrail("rebase", "theirs")

    assert done.returncode == 1
    assert "is in main already" in done.stderr
    assert 'alembic merge -m "join mine and theirs" mine theirs' in done.stderr
    assert theirs.read_text() == before


def test_a_branch_of_ones_own_may_be_pushed(shop: SmallProject, tmp_path: Path) -> None:
    """Only the main branch of a remote is what others build on."""
    shop.git("init", "--quiet", "--bare", str(tmp_path / "remote"))
    shop.git("remote", "add", "origin", str(tmp_path / "remote"))
    diverge(shop)
    shop.git("push", "--quiet", "--all", "origin")

    assert "is in origin/main already" in shop.handrail("rebase", "theirs").stderr
    assert shop.handrail("rebase", "mine").returncode == 0


def test_what_is_applied_is_not_moved_until_it_is_undone(shop: SmallProject) -> None:
    mine, _ = diverge(shop)
    before = mine.read_text()
    shop.succeeds("upgrade", "heads")

    done = shop.handrail("rebase", "mine")

    assert done.returncode == 1
    assert "mine is applied in the configured database" in done.stderr
    assert mine.read_text() == before
    undo, again, upgrade = (line.strip() for line in done.stderr.splitlines()[1:4])
    shop.succeeds(*undo.split()[1:])
    assert shop.handrail(*again.split()[1:]).returncode == 0
    shop.succeeds(*upgrade.split()[1:])


def test_a_database_that_does_not_answer_is_no_permission(shop: SmallProject) -> None:
    mine, _ = diverge(shop)
    before = mine.read_text()

    done = shop.handrail("rebase", "mine", DATABASE_URL=NOWHERE)

    assert done.returncode == 5
    assert mine.read_text() == before


def test_without_git_one_has_to_say_which(shop: SmallProject) -> None:
    diverge(shop)
    (shop.root / ".git").rename(shop.root / "not-git")

    done = shop.handrail("rebase")

    assert done.returncode == 14
    assert "handrail rebase mine\n" in done.stderr
    assert "handrail rebase theirs" in done.stderr
    assert shop.handrail("rebase", "mine").returncode == 0


def test_of_three_heads_one_says_which_to_follow(shop: SmallProject) -> None:
    diverge(shop)
    revision(shop, "other")

    done = shop.handrail("rebase", "mine")

    assert done.returncode == 14
    assert "handrail rebase mine --onto theirs" in done.stderr
    assert shop.handrail("rebase", "mine", "--onto", "theirs").returncode == 0
    assert heads(shop) == {"mine", "other"}


def test_a_branch_with_a_merge_in_it_is_not_moved(shop: SmallProject) -> None:
    diverge(shop)
    revision(shop, "side")
    shop.succeeds("merge", "-m", "join", "mine", "side", "--rev-id", "joined")

    done = shop.handrail("rebase", "joined")

    assert done.returncode == 1
    assert "no plain chain" in done.stderr


@pytest.mark.parametrize("name", ["nonsense", "mi", "first"])
def test_what_cannot_be_meant_is_refused(shop: SmallProject, name: str) -> None:
    mine, _ = diverge(shop)
    before = mine.read_text()

    done = shop.handrail("rebase", name)

    if name == "mi":  # the beginning of a name is enough, as everywhere in Alembic
        assert done.returncode == 0
    else:
        assert done.returncode == (14 if name == "first" else 3)
        assert "Traceback" not in done.stderr
        assert mine.read_text() == before
