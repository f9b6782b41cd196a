"""What the everyday `alembic` commands cost with handrail's `env.py`, next to Alembic's own async template."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from handrail.config import load_project
from handrail.scratch import ScratchServer, scratch_server

from bench.measure import BenchError, Cost, run
from bench.projects import ROOT, SCHEMA, AlembicProject, handrail_project, stock_project

SIZES = (10, 1000)  # models
QUICK_SIZES = (10,)
ROUNDS = 7
QUICK_ROUNDS = 5
COMMANDS = ("current", "upgrade head", "history --indicate-current", "history", "heads")
# Alembic answers these from the revision files, without running any env.py: neither side imports a model.
WITHOUT_ENV = ("history", "heads")
MANY = 1000  # models from which not importing them must show
GOAL, GOAL_MANY = 1.0, 0.25
# What a deploy does where there is nothing to do, next to `alembic current`, which looks at less.
AT_ONCE = "handrail upgrade, next to current"
GOAL_AT_ONCE, GOAL_AT_ONCE_MANY = 0.35, 0.08
GOAL_CHAIN = 0.67  # a long history from an empty database


@dataclass(frozen=True)
class Comparison:
    """One command at one size, on both sides, round by round.

    Attributes:
        tables: How many models both projects have.
        goal: What our CPU time divided by stock's shall be at most; None between the two sizes that have one.
    """

    tables: int
    command: str
    stock: list[Cost]
    ours: list[Cost]

    @property
    def goal(self) -> float | None:
        if self.command == AT_ONCE:
            return GOAL_AT_ONCE if self.tables <= min(SIZES) else GOAL_AT_ONCE_MANY if self.tables >= MANY else None
        if self.command.endswith("revisions"):
            return GOAL_CHAIN
        if self.tables <= min(SIZES) or self.command in WITHOUT_ENV:
            return GOAL
        return GOAL_MANY if self.tables >= MANY else None

    @property
    def ratio(self) -> float:
        """Median CPU time of ours divided by stock's."""
        return median(cost.cpu for cost in self.ours) / median(cost.cpu for cost in self.stock)

    @property
    def spread(self) -> tuple[float, float]:
        """Smallest and largest ratio of CPU times within one round."""
        ratios = [ours.cpu / stock.cpu for ours, stock in zip(self.ours, self.stock, strict=True)]
        return min(ratios), max(ratios)


def compare_commands(sizes: tuple[int, ...], rounds: int) -> list[Comparison]:
    """Measure every command on both sides at every size. Takes about a minute for 10 models, four for 1,000.

    Raises:
        BenchError: A command failed, or the two sides gave different answers.
        HandrailError: No database can be had.
    """
    comparisons = []
    with scratch_server(load_project(ROOT)) as server:
        for tables in sizes:
            with both_projects(server, tables) as (stock, ours):
                comparisons += compare(tables, stock, ours, rounds)
    return comparisons


@contextmanager
def both_projects(server: ScratchServer, tables: int) -> Iterator[tuple[AlembicProject, AlembicProject]]:
    """Yield the two projects, each with a database of its own that is at head; all is removed at the end."""
    with TemporaryDirectory(prefix="bench-") as folder, database(server) as first, database(server) as second:
        stock = stock_project(Path(folder, "stock"), tables, server.url_of(first))
        ours = handrail_project(Path(folder, "ours"), tables, server.url_of(second))
        for project in (stock, ours):
            run(project.alembic(["upgrade", "head"]))
        yield stock, ours


@contextmanager
def database(server: ScratchServer) -> Iterator[str]:
    """Yield the name of a new database that holds our schema and nothing else."""
    name = server.create()
    try:
        server.execute(f"CREATE SCHEMA {SCHEMA}", database=name)
        yield name
    finally:
        server.drop(name)


def compare(tables: int, stock: AlembicProject, ours: AlembicProject, rounds: int) -> list[Comparison]:
    """Run every command in turn on both sides: once to warm up, when everything is compiled, then `rounds` times."""
    comparisons = [Comparison(tables, command, [], []) for command in (*COMMANDS, AT_ONCE)]
    for number in range(rounds + 1):
        print(f"{tables} models: {f'round {number} of {rounds}' if number else 'warm-up'}", file=sys.stderr)
        for comparison in comparisons:
            one_round(comparison, stock, ours, ours_first=number % 2 == 1, counted=number > 0)
    return comparisons


def one_round(
    comparison: Comparison, stock: AlembicProject, ours: AlembicProject, *, ours_first: bool, counted: bool
) -> None:
    """Measure a command on one side and then on the other; who begins changes from round to round."""
    if comparison.command == AT_ONCE:
        asked, at_once = run(stock.alembic(["current"]))[0], run(ours.handrail(["upgrade"]))[0]
        if counted:
            comparison.stock.append(asked)
            comparison.ours.append(at_once)
        return
    answers = {}
    sides = [(stock, comparison.stock), (ours, comparison.ours)]
    for project, costs in reversed(sides) if ours_first else sides:
        cost, printed = run(project.alembic(comparison.command.split()))
        answers[project.folder.name] = [line for line in printed.splitlines() if not line.startswith("INFO")]
        if counted:
            costs.append(cost)
    if answers["stock"] != answers["ours"]:
        raise BenchError(f"`alembic {comparison.command}` answers differently on the two sides: {answers}")
