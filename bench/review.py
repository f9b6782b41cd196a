"""What `handrail review` costs: of one revision, and of a history of 500, next to `alembic current`."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from handrail.config import load_project
from handrail.scratch import scratch_server

from bench.commands import database
from bench.measure import BenchError, Command, Cost, run
from bench.projects import ROOT, AlembicProject, stock_project, write

REVISIONS = 500
ROUNDS, QUICK_ROUNDS = 5, 3
MODELS = 10
SECONDS = 5.0  # of CPU, of all revisions at most
ONE = 1.0  # times the CPU of `alembic current`, of one revision at most

HEAD = '''"""{title}."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {parent}
branch_labels = None
depends_on = None


def upgrade():
'''
# What real histories consist of; each stands on the tables that those before it have made.
UPGRADES = {
    "Create a table": """
    op.create_table(
        "t{n}",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("name", sa.String(50), nullable=False),
        sa.Column("parent_id", sa.BigInteger(), sa.ForeignKey("t{before}.id", ondelete="CASCADE"), index=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
    )
    op.create_index("ix_t{n}_name", "t{n}", ["name"], unique=True)
""",
    "Add columns": """
    with op.batch_alter_table("t{last}") as batch:
        batch.add_column(sa.Column("note_{n}", sa.Text(), nullable=True))
        batch.add_column(sa.Column("total_{n}", sa.Integer(), server_default="0", nullable=False))
        batch.alter_column("name", existing_type=sa.String(50), type_=sa.String(100))
""",
    "Add an index": """
    with op.get_context().autocommit_block():
        op.create_index("ix_{n}", "t{last}", ["created_at"], postgresql_concurrently=True, if_not_exists=True)
""",
    "Move data": """
    connection = op.get_bind()
    if "name" in {{column["name"] for column in sa.inspect(connection).get_columns("t{last}")}}:
        for row in connection.execute(sa.text("SELECT id, name FROM t{last} WHERE name LIKE 'a%'")):
            connection.execute(sa.text("UPDATE t{last} SET name = :name WHERE id = :id"), {{"id": row.id, "name": "b"}})
""",
    "Drop a column": """
    op.execute("ALTER TABLE t{last} ADD CONSTRAINT ck_{n} CHECK (length(name) > 0) NOT VALID")
    op.drop_column("t{last}", "created_at")
""",
}


@dataclass(frozen=True)
class Reviewing:
    """One command, round by round.

    Attributes:
        goal: CPU seconds at most; None where it is what others are compared with.
    """

    name: str
    goal: float | None = None
    costs: list[Cost] = field(default_factory=list)

    @property
    def cpu(self) -> float:
        return median(cost.cpu for cost in self.costs)


def measure_review(rounds: int, revisions: int = REVISIONS) -> list[Reviewing]:
    """Measure `alembic current`, the review of one revision and of all. Takes half a minute.

    Raises:
        BenchError: A command failed, or found something else than what is there to find.
        HandrailError: No database can be had.
    """
    with history(revisions) as (stock, folder):
        commands = {
            "alembic current": stock.alembic(["current"]),
            "handrail review, one file": reviewing(folder, min(folder.glob("alembic/versions/*.py")).name),
            "handrail review head": reviewing(folder, "head"),
            f"handrail review : ({revisions} revisions)": reviewing(folder, ":"),
        }
        costs = measured(commands, rounds)
    current = Reviewing("alembic current", None, costs["alembic current"])
    goals = dict(zip(commands, (None, ONE * current.cpu, None, SECONDS), strict=True))
    return [Reviewing(name, goals[name], costs[name]) for name in commands]


@contextmanager
def history(revisions: int) -> Iterator[tuple[AlembicProject, Path]]:
    """Yield a stock project at head, and the folder of one with many revisions and no database."""
    with (
        TemporaryDirectory(prefix="bench-") as folder,
        scratch_server(load_project(ROOT)) as server,
        database(server) as name,
    ):
        stock = stock_project(Path(folder, "stock"), MODELS, server.url_of(name))
        run(stock.alembic(["upgrade", "head"]))
        many = Path(folder, "many")
        write_history(many, revisions)
        yield stock, many


def write_history(folder: Path, length: int) -> None:
    """Write a project of so many revisions."""
    write(folder / "alembic.ini", "[alembic]\nscript_location = alembic\n")
    write(folder / "alembic/env.py", "")
    before = last = 0
    for number in range(length):
        title = list(UPGRADES)[number % len(UPGRADES)]
        if number % len(UPGRADES) == 0:
            before, last = last, number
        parent = f'"{number - 1:04}"' if number else "None"
        head = HEAD.format(title=title, revision=f"{number:04}", parent=parent)
        write(
            folder / f"alembic/versions/{number:04}_revision.py",
            head + UPGRADES[title].format(n=number, before=before, last=last).removeprefix("\n"),
        )


def reviewing(folder: Path, what: str) -> Command:
    name = f"alembic/versions/{what}" if what.endswith(".py") else what
    handrail = str(Path(sys.executable).with_name("handrail"))
    return Command([handrail, "review", name, "--format", "json"], folder, {})


def measured(commands: Mapping[str, Command], rounds: int) -> dict[str, list[Cost]]:
    """Run the commands in turn: once to warm up, then so many times."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        print(f"review: {f'round {number} of {rounds}' if number else 'warm-up'}", file=sys.stderr)
        for name, command in commands.items():
            cost, printed = run(command, codes=(0, 1))  # 1: something was found
            if "review :" in name and '"drops-column"' not in printed:
                raise BenchError(f"`{name}` did not find the columns that are dropped:\n{printed[:2000]}")
            if number:
                costs[name].append(cost)
    return costs
