"""A project whose revisions hold what goes wrong in practice, and ways to make it go wrong."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

import forking
from small_project import SmallProject

REVISION = """\
from alembic import op

revision = "{revision}"
down_revision = {down}
branch_labels = None
depends_on = None


def upgrade() -> None:
{upgrade}

def downgrade() -> None:
{downgrade}
"""
WHOLE = {
    "invalid": "SELECT string_agg(indexrelid::regclass::text, ' ') FROM pg_index WHERE NOT indisvalid",
    "version": "SELECT string_agg(version_num, ' ') FROM shop.alembic_version",
    "indexes": "SELECT string_agg(indexname, ' ' ORDER BY indexname) FROM pg_indexes WHERE schemaname = 'shop' "
    "AND tablename = 'goods'",
    "rows": "SELECT count(*) FROM shop.goods",
    "unfinished": "SELECT count(*) FROM shop.handrail_journal WHERE finished_at IS NULL",
    "applied": "SELECT string_agg(revision, ' ' ORDER BY id) FROM shop.handrail_journal WHERE direction = 'upgrade'",
}
# Databases made from one template have tables of the same number.
LOCKS_ON_GOODS = (
    "SELECT count(*) FROM pg_locks WHERE relation = 'shop.goods'::regclass "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
ROWS = 3000
LET_GO_SOON = (
    'import handrail.upgrade.session; handrail.upgrade.session.SETTINGS["idle_in_transaction_session_timeout"] = "1s"'
)
BLOCK = "with op.get_context().autocommit_block():\n    "


def revision(
    project: SmallProject, name: str, down: str | tuple[str, ...] | None, upgrade: str, downgrade: str = "pass"
) -> None:
    """Write a revision file by hand."""
    indented = ["\n".join(f"    {line}" for line in body.split("\n")) + "\n" for body in (upgrade, downgrade)]
    text = REVISION.format(revision=name, down=repr(down), upgrade=indented[0], downgrade=indented[1])
    project.write(f"alembic/versions/{name}.py", text)


def index(name: str, column: str, *, unique: bool = False) -> str:
    """Return the line that builds an index while others write."""
    options = f'schema="shop", unique={unique}, postgresql_concurrently=True'
    return BLOCK + f'op.create_index("{name}", "goods", ["{column}"], {options})'


@dataclass
class Shop:
    """A project with six revisions, of which the first makes a table with rows."""

    project: SmallProject
    url: str
    rows: int = ROWS

    @property
    def dsn(self) -> str:
        """The URL without the name of a driver."""
        return "postgresql://" + self.url.partition("://")[2]

    @property
    def database(self) -> str:
        """Its name."""
        return self.dsn.rpartition("/")[2].partition("?")[0]

    def version(self) -> str | None:
        """Return the rows of the version table; None where there are none, or no table."""
        there = self.sql("SELECT to_regclass('shop.alembic_version')")
        return there and self.sql("SELECT string_agg(version_num, ' ') FROM shop.alembic_version")

    def sql(self, statement: str) -> str | None:
        """Run one statement by itself, and return its first value as text."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statement)
            row = cursor.fetchone() if cursor.description else None
        return None if row is None or row[0] is None else str(row[0])

    def start(self, *arguments: str, **environment: str) -> forking.Command:
        """Start `alembic …` and go on."""
        return self.project.start("alembic", *arguments, **environment)

    def start_at(self, terminal: int, *arguments: str) -> subprocess.Popen[str]:
        """Start `alembic …` with its standard error at a terminal, and go on."""
        return subprocess.Popen(
            [sys.executable, "-m", "alembic", *arguments],
            cwd=self.project.root,
            env=self.project.variables(),
            stdout=subprocess.PIPE,
            stderr=terminal,
            text=True,
        )

    def start_handrail(self, *arguments: str, **environment: str) -> forking.Command:
        """Start `handrail …` and go on."""
        return self.project.start("handrail", *arguments, **environment)

    def begin_with(self, line: str) -> None:
        """Have a line run before env.py, such as one that makes a wait of handrail's shorter."""
        env = self.project.root / "alembic/env.py"
        self.project.write("alembic/env.py", f"{line}\n{env.read_text(encoding='utf-8')}")

    def migrator(self, seconds: float = 60) -> int:
        """Return the server's process that runs the revisions; waits for it."""
        return int(self.wait_for(
            "SELECT min(pid) FROM pg_stat_activity WHERE datname = current_database() AND query ~ 'goods' "
            "AND application_name = 'alembic (shop)' AND state <> 'idle'", seconds
        ))  # fmt: skip

    def wait_for(self, question: str, seconds: float = 60, meanwhile: Callable[[], bool] = lambda: True) -> str:
        """Ask until there is an answer other than NULL, false and nothing; empty when something else ended before."""
        deadline = time.monotonic() + seconds
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            while meanwhile():
                row = connection.execute(question).fetchone()
                if row and row[0]:
                    return str(row[0])
                assert time.monotonic() < deadline, f"never: {question}"
                time.sleep(0.02)
        return ""

    @contextmanager
    def transaction(self, statement: str = "SELECT count(*) FROM shop.goods") -> Iterator[psycopg.Connection]:
        """Hold a transaction open in which this was run."""
        with psycopg.connect(self.dsn) as connection:
            connection.execute(statement)
            yield connection
            connection.rollback()

    def invalid(self) -> str | None:
        """Return the INVALID indexes."""
        return self.sql(WHOLE["invalid"])

    def assert_whole(self) -> None:
        """Everything that the revisions make is there, once, and recorded."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            found = {what: connection.execute(question).fetchone() for what, question in WHOLE.items()}
        assert found == {
            "invalid": (None,),
            "version": ("r6",),
            "indexes": ("goods_pkey ix_code ix_extra ix_name",),
            "rows": (self.rows,),
            "unfinished": (0,),
            "applied": ("r1 r2 r3 r4 r5 r6",),
        }


def write_revisions(project: SmallProject, rows: int = ROWS) -> None:
    """Write six revisions: transactional ones, three concurrent indexes, one of them mixed with a new column."""
    revision(
        project,
        "r1",
        None,
        'op.execute("CREATE TABLE shop.goods (id int PRIMARY KEY, name text, code int)")\n'
        f"op.execute(\"INSERT INTO shop.goods SELECT n, 'good ' || n, n FROM generate_series(1, {rows}) n\")",
        'op.execute("DROP TABLE shop.goods")',
    )
    revision(project, "r2", "r1", index("ix_name", "name"), BLOCK + 'op.drop_index("ix_name", schema="shop")')
    revision(project, "r3", "r2", 'op.execute("ALTER TABLE shop.goods ADD COLUMN note text")')
    revision(
        project, "r4", "r3", 'op.execute("ALTER TABLE shop.goods ADD COLUMN extra int")\n' + index("ix_extra", "extra")
    )
    revision(project, "r5", "r4", 'op.execute("UPDATE shop.goods SET note = name")')
    revision(project, "r6", "r5", index("ix_code", "code", unique=True))
