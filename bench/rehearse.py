"""How long `handrail rehearse` takes for one revision, with rows in all tables, when the history is there already."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from handrail.config import load_project
from handrail.scratch import scratch_server

from bench.commands import database
from bench.measure import Cost, run
from bench.projects import ROOT, SCHEMA, handrail_project, write, write_tables_revision

SIZES = (100,)  # models
ROUNDS = 5
QUICK_ROUNDS = 3
ROWS = 1000  # in each table
GOAL_SECONDS = 5.0

REVISION = f'''"""require a price"""

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"


def upgrade() -> None:
    op.execute("ALTER TABLE {SCHEMA}.table_5 ADD COLUMN note text")
    op.execute("UPDATE {SCHEMA}.table_5 SET note = name")
    op.create_index("ix_table_5_note", "table_5", ["note"], schema="{SCHEMA}")


def downgrade() -> None:
    op.execute("ALTER TABLE {SCHEMA}.table_5 DROP COLUMN note")
'''


@dataclass(frozen=True)
class Rehearsed:
    """The rehearsals of one revision at one size.

    Attributes:
        first: What the first one cost, which had to build the history.
        costs: What the others cost.
    """

    tables: int
    first: Cost
    costs: list[Cost] = field(default_factory=list)


def measure_rehearsals(sizes: Sequence[int], rounds: int) -> list[Rehearsed]:
    """Rehearse a revision of three statements at every size.

    Raises:
        BenchError: The command failed.
        HandrailError: No database can be had.
    """
    found = []
    with scratch_server(load_project(ROOT)) as server:
        for tables in sizes:
            with TemporaryDirectory(prefix="bench-") as folder, database(server) as name:
                scratch = server.url_of(server.url.database or "")
                project = handrail_project(Path(folder), tables, server.url_of(name), scratch)
                write_tables_revision(project)
                write(project.folder / "alembic/versions/0002_price.py", REVISION)
                command = project.handrail(["rehearse", "0002", "--rows", str(ROWS)])
                print(f"{tables} models, rehearse: warm-up", file=sys.stderr)
                rehearsed = Rehearsed(tables, run(command)[0])
                for number in range(1, rounds + 1):
                    print(f"{tables} models, rehearse: round {number} of {rounds}", file=sys.stderr)
                    rehearsed.costs.append(run(command)[0])
                found.append(rehearsed)
    return found
