"""The commands of docs/drift.md are typed, and answer what it says they answer."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable

import psycopg

from drift.test_drift_command import sql
from faults.shop import revision
from small_project import REPOSITORY, SmallProject
from starter.test_readme import Command, commands

PAGE = (REPOSITORY / "docs/drift.md").read_text(encoding="utf-8")
# What is another one each time.
TIMES = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC|\d{4}_\d\d_\d\d")

MODELS = """\
from decimal import Decimal

from sqlalchemy.orm import Mapped, mapped_column

from shop.base import Base


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    total: Mapped[Decimal]
"""
TABLE = "CREATE TABLE shop.orders (id int CONSTRAINT pk_orders PRIMARY KEY, total numeric NOT NULL)"


def typed(project: SmallProject, command: Command) -> int:
    """Type a command, compare what it says, and return its exit code."""
    done = project.handrail(*shlex.split(command.line)[1:])
    told = Command("", TIMES.sub("…", command.output)).pattern()
    assert told.search(done.stdout + done.stderr), f"{command}\nreally: {done.stdout}{done.stderr}"
    return done.returncode


def test_the_page_tells_the_truth(new_project: Callable[..., SmallProject], asyncpg_url: str) -> None:
    """The database that `create_all` made is taken over, edited, and both ways out are gone."""
    url = asyncpg_url
    show, adopt, baseline = commands(PAGE)
    ignored = re.search(r"```toml\n(\[tool\.handrail\.drift\].*?)```", PAGE, re.DOTALL)
    assert ignored is not None
    project = new_project()
    project.use(url)
    project.write("shop/models.py", MODELS)
    project.write("pyproject.toml", f'[tool.handrail]\nmetadata = "shop.base:Base"\n{ignored[1]}')
    revision(project, "3fa2", None, f'op.execute("{TABLE}")', 'op.execute("DROP TABLE shop.orders")')
    sql(url, "CREATE SCHEMA IF NOT EXISTS shop", TABLE)

    assert typed(project, baseline) == 0
    sql(url, "CREATE TABLE shop.log_2026_11 ()", "CREATE INDEX dba_total ON shop.orders (total)")
    sql(url, "GRANT SELECT ON shop.orders TO PUBLIC")
    ignores = project.handrail("drift")
    assert ignores.returncode == 0, ignores.stdout
    for reason in re.findall(r'reason = "(.*?)"', ignored[1]):
        assert f"({reason})" in ignores.stdout

    sql(url, "DROP TABLE shop.log_2026_11", "DROP INDEX shop.dba_total")
    sql(url, "REVOKE SELECT ON shop.orders FROM PUBLIC")
    sql(url, "CREATE INDEX ix_dba ON shop.orders (total)", "ALTER TABLE shop.orders ALTER total DROP NOT NULL")
    assert typed(project, show) == 1
    assert typed(project, adopt) == 0
    project.succeeds("upgrade", "head")
    sql(url, "DROP INDEX shop.ix_dba")
    undone = project.handrail("drift", "--revert", "--apply")
    assert undone.returncode == 0, undone.stdout + undone.stderr
    with psycopg.connect("postgresql://" + url.partition("://")[2]) as connection:
        assert connection.execute("SELECT to_regclass('shop.ix_dba') IS NOT NULL").fetchone() == (True,)
