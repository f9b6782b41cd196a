"""What `handrail review` costs: of one revision, and of a history of 500, next to `alembic current`."""

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from handrail.cache import FOLDER
from handrail.config import load_project
from handrail.scratch import scratch_server

from bench.commands import database
from bench.measure import BenchError, Command, Cost, run
from bench.projects import ROOT, AlembicProject, stock_project, write

REVISIONS = 500
ROUNDS, QUICK_ROUNDS = 5, 3
MODELS = 10
SECONDS = 5.0  # of CPU, for all revisions at most
# Times the CPU of `alembic current` at most.
SQL, ONE, AGAIN = 0.3, 0.7, 0.3
ALL = "all {}"

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
        goal: Times the CPU of `alembic current` at most; None where there is none.
        costs: Its own.
        current: Those of `alembic current` in the same rounds.
    """

    name: str
    goal: float | None
    costs: list[Cost]
    current: list[Cost]

    @property
    def times(self) -> list[float]:
        """Its CPU divided by that of `alembic current`, in each round."""
        return [ours.cpu / current.cpu for ours, current in zip(self.costs, self.current, strict=True)]


def measure_review(rounds: int, revisions: int = REVISIONS) -> list[Reviewing]:
    """Measure `alembic current`, and the review of a SQL file, of one revision and of all. Takes half a minute.

    Raises:
        BenchError: A command failed, or found something else than what is there to find.
        HandrailError: No database can be had.
    """
    with history(revisions) as (stock, folder):
        first, last = min(folder.glob("alembic/versions/*.py")), max(folder.glob("alembic/versions/*.py"))
        head = f"head of {revisions}"
        steps = [
            Step("alembic current", stock.alembic(["current"])),
            Step("a SQL file", reviewing(folder, "changes.sql"), goal=SQL),
            Step("one revision", reviewing(folder, str(first.relative_to(folder))), ONE, lambda: forget(folder)),
            Step("one revision, again", reviewing(folder, str(first.relative_to(folder))), AGAIN),
            Step(head, reviewing(folder, "head"), before=lambda: forget(folder)),
            Step(f"{head}, after an edit of it", reviewing(folder, "head"), ONE, lambda: edit(last)),
            Step(f"{head}, again", reviewing(folder, "head"), AGAIN),
            Step(ALL.format(revisions), reviewing(folder, ":"), before=lambda: forget(folder)),
        ]
        costs = measured(steps, rounds)
    current = costs["alembic current"]
    return [Reviewing(step.name, step.goal, costs[step.name], current) for step in steps]


@dataclass(frozen=True)
class Step:
    """A command, its goal, and what is done before it."""

    name: str
    command: Command
    goal: float | None = None
    before: Callable[[], object] = lambda: None


def forget(folder: Path) -> None:
    """Delete what reviews have kept."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)


def edit(revision: Path) -> None:
    """Change a revision without changing what it does."""
    with revision.open("a", encoding="utf-8") as file:
        file.write("# edited\n")


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
    write(folder / "changes.sql", "ALTER TABLE t0 ADD COLUMN note text;\nCREATE INDEX CONCURRENTLY ix ON t0 (note);\n")
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
    handrail = str(Path(sys.executable).with_name("handrail"))
    return Command([handrail, "review", what, "--format", "json"], folder, {})


def measured(steps: Sequence[Step], rounds: int) -> dict[str, list[Cost]]:
    """Run the commands in turn: once to warm up, then so many times."""
    costs: dict[str, list[Cost]] = {step.name: [] for step in steps}
    for number in range(rounds + 1):
        print(f"review: {f'round {number} of {rounds}' if number else 'warm-up'}", file=sys.stderr)
        for step in steps:
            step.before()
            cost, printed = run(step.command, codes=(0, 1))  # 1: something was found
            if step.name.startswith(("head", "all")) and '"drops-column"' not in printed:
                raise BenchError(f"`{step.name}` did not find the columns that are dropped:\n{printed[:2000]}")
            if number:
                costs[step.name].append(cost)
    return costs
