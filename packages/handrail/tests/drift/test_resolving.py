"""From the edit to a clean database: adopted or undone, and before an upgrade."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from drift.test_drift_command import sql
from faults.shop import revision
from small_project import SmallProject

pytestmark = pytest.mark.one_driver

MODELS = """\
from sqlalchemy.orm import Mapped, mapped_column

from shop.base import Base


class Goods(Base):
    __tablename__ = "goods"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str | None]
"""
OTHER = 'op.execute("CREATE TABLE shop.others (id int PRIMARY KEY)")'


@pytest.fixture
def project(new_project: Callable[..., SmallProject], url: str) -> SmallProject:
    """A project whose one revision is applied, and whose model says the same."""
    project = new_project()
    project.use(url)
    project.write("shop/models.py", MODELS)
    revision(
        project, "r1", None,
        'op.execute("CREATE TABLE shop.goods (id int CONSTRAINT pk_goods PRIMARY KEY, name varchar)")',
        'op.execute("DROP TABLE shop.goods")',
    )  # fmt: skip
    project.succeeds("upgrade", "head")
    return project


def test_an_adopted_edit_is_a_revision_that_changes_nothing_here(
    project: SmallProject, url: str, empty_database: str
) -> None:
    """And everything elsewhere; with the edit of the model autogenerate finds nothing."""
    sql(url, "ALTER TABLE shop.goods ADD COLUMN price int NOT NULL DEFAULT 3", "INSERT INTO shop.goods VALUES (1, 'a')")

    project.handrail("schema", "--write")

    done = project.handrail("drift", "--adopt", "-m", "price, added at night")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "price = mapped_column(sa.Integer(), server_default=sa.text('3'), nullable=False)" in done.stdout
    assert "# adopts: column shop.goods.price" in project.revisions()[-1]
    assert "price" in (project.root / "alembic/schema.sql").read_text(encoding="utf-8")

    refused = project.alembic("check")
    assert refused.returncode != 0
    project.write("shop/models.py", MODELS + "    price: Mapped[int] = mapped_column(server_default='3')\n")
    project.succeeds("upgrade", "head")
    clean = project.handrail("drift")

    assert clean.returncode == 0, clean.stdout + clean.stderr
    assert "No new upgrade operations" in project.succeeds("check")
    sql(url, "UPDATE shop.goods SET price = price + 1")  # the row is still there


def test_a_dropped_column_is_adopted_with_its_note(project: SmallProject, url: str) -> None:
    """What the revision destroys elsewhere was meant: the message says so."""
    sql(url, "ALTER TABLE shop.goods DROP COLUMN name")

    done = project.handrail("drift", "--adopt", "-m", "nobody reads the name")

    assert done.returncode == 0, done.stdout + done.stderr
    written = project.revisions()[-1]
    assert "# handrail: drops-column shop.goods.name\n" in written
    assert "# handrail: allow drops-column shop.goods.name — dropped by hand already: nobody reads the name" in written
    assert "take out column name" in done.stdout
    project.succeeds("upgrade", "head")
    assert project.handrail("drift").returncode == 0


def test_a_renamed_column_keeps_its_values_elsewhere(project: SmallProject, url: str) -> None:
    sql(url, "ALTER TABLE shop.goods RENAME COLUMN name TO title")

    project.handrail("drift", "--adopt", "-m", "renamed")

    assert "RENAME COLUMN name TO title" in project.revisions()[-1]


def test_undoing_is_shown_with_its_price_and_done_when_asked(project: SmallProject, url: str) -> None:
    """Found by the rules of `handrail review`. Nothing is run without --apply."""
    sql(
        url,
        "INSERT INTO shop.goods VALUES (1, 'a'), (2, 'b')",
        "ALTER TABLE shop.goods ADD COLUMN price int DEFAULT 3",
        "ALTER TABLE shop.goods ALTER COLUMN name SET NOT NULL",
        "ALTER TABLE shop.goods ALTER COLUMN id TYPE bigint",
    )

    shown = project.handrail("drift", "--revert")
    assert shown.returncode == 1
    assert "-- danger drops-column: DROP COLUMN price throws away that value of every row" in shown.stdout
    assert " There: 2 of 2 rows hold a value.\n" in shown.stdout
    assert "-- danger narrows-type: " in shown.stdout
    assert "ALTER TABLE shop.goods DROP COLUMN price;" in shown.stdout
    assert project.handrail("drift").returncode == 1

    done = project.handrail("drift", "--revert", "--apply")
    assert done.returncode == 0, done.stdout + done.stderr
    clean = project.handrail("drift")
    assert clean.returncode == 0, clean.stdout
    assert clean.stdout.startswith("No drift since revision r1")
    entries = json.loads(project.handrail("log", "--format", "json").stdout)
    assert entries[0]["direction"] == "revert"


def test_a_column_that_was_dropped_comes_back_empty(project: SmallProject, url: str) -> None:
    """Last in its table, which is accepted."""
    sql(url, "ALTER TABLE shop.goods DROP COLUMN id CASCADE")

    done = project.handrail("drift", "--revert", "--apply")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "comes back empty" in done.stdout
    assert "stand last" in done.stderr
    assert project.handrail("drift").returncode == 0


def test_what_cannot_be_undone_changes_nothing(project: SmallProject, url: str) -> None:
    sql(
        url,
        "CREATE TABLE shop.more (id int)",
        "ALTER TABLE shop.goods DROP CONSTRAINT pk_goods",
        "INSERT INTO shop.goods VALUES (1, 'a'), (1, 'b')",
    )

    done = project.handrail("drift", "--revert", "--apply")

    assert done.returncode == 7, done.stdout + done.stderr
    assert "nothing was changed: PostgreSQL refused to undo the edit" in done.stderr
    assert "Traceback" not in done.stderr
    assert "more" in project.handrail("drift").stdout


def test_an_upgrade_stops_at_an_edited_table_that_it_touches(project: SmallProject, url: str) -> None:
    """Wherever its name comes from; with both commands, and goes on when the edit is kept on purpose."""
    sql(url, "ALTER TABLE shop.goods ALTER COLUMN name SET DEFAULT 'x'")
    revision(project, "r2", "r1", 'for end in ["oods"]:\n    op.execute(f"ALTER TABLE shop.g{end} ADD note text")')

    stopped = project.alembic("upgrade", "head")
    assert stopped.returncode == 21, stopped.stdout + stopped.stderr
    assert "~ column shop.goods.name: default none -> 'x'::character varying" in stopped.stdout
    assert "handrail drift --adopt" in stopped.stdout
    assert "handrail drift --revert" in stopped.stdout

    kept = project.alembic("-x", "drift=keep", "upgrade", "head")
    assert kept.returncode == 0, kept.stdout + kept.stderr
    still = project.handrail("drift")
    assert "~ column shop.goods.name: default" in still.stdout
    assert "since revision r2" in still.stdout


def test_an_edit_elsewhere_is_one_line_and_stays_to_be_seen(project: SmallProject, url: str) -> None:
    """The upgrade's snapshot does not take it for its own. A comment that names the table is no use of it."""
    sql(url, "ALTER TABLE shop.goods ALTER COLUMN name SET DEFAULT 'x'")
    revision(project, "r2", "r1", f"# besides shop.goods\n{OTHER}", 'op.execute("DROP TABLE shop.others")')

    done = project.alembic("upgrade", "head")

    assert done.returncode == 0, done.stdout + done.stderr
    assert len([line for line in done.stderr.splitlines() if "handrail drift" in line]) == 1
    told = project.handrail("drift").stdout
    assert "~ column shop.goods.name: default" in told
    assert "(column shop.goods.name: before that already, since revision r1 (2" in told


def test_a_failed_upgrade_leaves_no_drift(project: SmallProject) -> None:
    """What the revisions before the failure have made is theirs."""
    revision(project, "r2", "r1", OTHER, 'op.execute("DROP TABLE shop.others")')
    revision(project, "r3", "r2", 'op.execute("SELECT 1 / 0")')

    assert project.alembic("upgrade", "head").returncode == 7
    found = project.handrail("drift")

    assert found.returncode == 0, found.stdout + found.stderr
    assert found.stdout.startswith("No drift since revision r2 (")


def test_options_that_make_no_sense_are_refused(project: SmallProject) -> None:
    for options in (["--adopt"], ["-m", "x"], ["--apply"], ["--adopt", "-m", "x", "--revert"]):
        assert project.handrail("drift", *options).returncode == 2
