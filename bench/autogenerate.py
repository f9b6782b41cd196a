"""What `alembic check` and `revision --autogenerate` cost with handrail, next to Alembic's own async template."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TypeVar

from handrail.config import load_project
from handrail.scratch import ScratchServer, scratch_server

from bench.commands import database
from bench.measure import BenchError, Command, Cost, run
from bench.projects import (
    ROOT,
    AlembicProject,
    add_column,
    handrail_project,
    stock_project,
    write_chain,
    write_tables_revision,
)

T = TypeVar("T")

SIZES: tuple[int, ...] = (10, 100, 1000)  # models
QUICK_SIZES: tuple[int, ...] = (10, 100)
ROUNDS = 5
QUICK_ROUNDS = 3
CHAIN = 500  # revisions
FOREIGN_SCHEMAS, FOREIGN_TABLES = 20, 200  # tables in each, of somebody else
FOREIGN_ROUNDS = 1  # stock Alembic takes a minute for each

CHECK = "check, nothing changed"
REVISION = "revision --autogenerate, one model changed"
# Our CPU time divided by stock's, at most: of whole commands where nothing has changed, otherwise beyond the import.
CHECK_GOALS = {10: 1 / 4, 100: 1 / 8, 1000: 1 / 20}
REVISION_GOALS = {("stock, defaults too", 1000): 1 / 10, ("stock", 1000): 1 / 5}

IMPORT = ["-c", "import shop.models"]
IMPORT_WITHOUT_GC = ["-c", "import gc; gc.disable(); import shop.models"]
STOCK = ("stock", "stock, defaults too")


@dataclass(frozen=True)
class Scenario:
    """One thing that somebody does, on all sides, round by round.

    Attributes:
        about: What is special about the project; empty for the ordinary one.
        costs: By the name of the side. `import` and `import, no gc` are what the models cost in a process of their own.
    """

    tables: int
    what: str
    about: str = ""
    costs: dict[str, list[Cost]] = field(default_factory=dict)

    def cpu(self, side: str, *, beyond_import: bool = False) -> float:
        """Return the median CPU seconds of a side, of a whole command or without what importing the models takes."""
        total = median(cost.cpu for cost in self.costs[side])
        if not beyond_import:
            return total
        imported = self.costs["import" if side in STOCK else "import, no gc"]
        return total - median(cost.cpu for cost in imported)

    def goal(self, side: str, peer: str) -> float | None:
        """Return what the ratio of `side` to `peer` shall be at most."""
        if self.about:
            return None
        if self.what == CHECK:
            return CHECK_GOALS.get(self.tables) if side == "handrail check" else None
        return REVISION_GOALS.get((peer, self.tables))


def measure_autogenerate(sizes: Sequence[int], rounds: int, *, quick: bool) -> list[Scenario]:
    """Measure all scenarios at every size; takes about ten minutes with 1,000 models, one without.

    Raises:
        BenchError: A command failed, or found something else than was there to find.
        HandrailError: No database can be had.
    """
    scenarios = []
    with scratch_server(load_project(ROOT)) as server:
        for tables in sizes:
            with sides(server, tables) as projects:
                scenarios += [check(projects, tables, rounds), revision(projects, tables, rounds)]
        with sides(server, min(sizes), chain=CHAIN) as projects:
            scenarios.append(revision(projects, min(sizes), rounds, f"{CHAIN} revisions"))
        if not quick:
            about = f"{FOREIGN_SCHEMAS} foreign schemas of {FOREIGN_TABLES} tables"
            with sides(server, min(sizes), foreign=True) as projects:
                scenarios.append(revision(projects, min(sizes), FOREIGN_ROUNDS, about))
    return scenarios


@contextmanager
def sides(
    server: ScratchServer, tables: int, *, chain: int = 1, foreign: bool = False
) -> Iterator[dict[str, AlembicProject]]:
    """Yield the three projects, with equal models and revisions and at head; all is removed at the end."""
    with TemporaryDirectory(prefix="bench-") as folder, database(server) as name:
        url = server.url_of(name)
        defaults = "compare_server_default=True"
        projects = {
            "stock": stock_project(Path(folder, "stock"), tables, url),
            "stock, defaults too": stock_project(Path(folder, "defaults"), tables, url, defaults),
            "ours": handrail_project(Path(folder, "ours"), tables, url, server.url_of(server.url.database or "")),
        }
        for project in projects.values():
            write_tables_revision(project)
            write_chain(project, chain)
        # One database for all: ours does not even look at it.
        run(projects["stock"].alembic(["upgrade", "head"]))
        if foreign:
            add_foreign_schemas(server, name)
        yield projects


def add_foreign_schemas(server: ScratchServer, name: str) -> None:
    """Fill the database with tables that are none of the project's business."""
    for schema in range(FOREIGN_SCHEMAS):
        tables = (
            f"CREATE TABLE foreign_{schema}.t{number} (id bigint PRIMARY KEY, name text UNIQUE, data jsonb)"
            for number in range(FOREIGN_TABLES)
        )
        server.execute(f"CREATE SCHEMA foreign_{schema}", *tables, database=name)


def check(projects: dict[str, AlembicProject], tables: int, rounds: int) -> Scenario:
    """Measure `alembic check` where nothing has changed, and ours also as `handrail check`."""
    scenario = Scenario(tables, CHECK)
    commands = {side: project.alembic(["check"]) for side, project in projects.items()}
    commands["handrail check"] = projects["ours"].handrail(["check"])
    for number in range(rounds + 1):
        progress(scenario, number, rounds)
        for side, command in turned(commands, number):
            cost, printed = run(seeded(command, number) if side in STOCK else command)
            if "No new upgrade operations detected." not in printed:
                raise BenchError(f"`check` of {side} found something where nothing is:\n{printed}")
            note(scenario, side, cost, number)
    return scenario


def revision(projects: dict[str, AlembicProject], tables: int, rounds: int, about: str = "") -> Scenario:
    """Measure `alembic revision --autogenerate` after an edit, which is another one in every round."""
    scenario = Scenario(tables, REVISION, about)
    for number in range(rounds + 1):
        progress(scenario, number, rounds)
        for side, project in turned(projects, number):
            with add_column(project, f"extra_{number}"):
                written, cost = write_revision(project, number if side in STOCK else None)
            if f"extra_{number}" not in written:
                raise BenchError(f"the revision of {side} lacks the new column:\n{written}")
            note(scenario, side, cost, number)
        for side, argv in (("import", IMPORT), ("import, no gc", IMPORT_WITHOUT_GC)):
            note(scenario, side, run(projects["ours"].python(argv))[0], number)
    return scenario


def write_revision(project: AlembicProject, seed: int | None) -> tuple[str, Cost]:
    """Return the text of the revision that is written, and delete it."""
    versions = project.folder / "alembic/versions"
    before = set(versions.glob("*.py"))
    command = project.alembic(["revision", "--autogenerate", "-m", "edit"])
    cost, _ = run(command if seed is None else seeded(command, seed))
    written = set(versions.glob("*.py")) - before
    text = "\n".join(path.read_text(encoding="utf-8") for path in written)
    for path in written:
        path.unlink()
    return text, cost


def seeded(command: Command, seed: int) -> Command:
    """Fix the order of Python's sets, on which it depends whether stock Alembic reads in bulk."""
    return Command(command.argv, command.folder, {**command.variables, "PYTHONHASHSEED": str(seed)})


def turned(items: dict[str, T], number: int) -> list[tuple[str, T]]:
    """Return the sides beginning with another one in every round."""
    pairs = list(items.items())
    start = number % len(pairs)
    return pairs[start:] + pairs[:start]


def note(scenario: Scenario, side: str, cost: Cost, number: int) -> None:
    """Keep a cost, unless it is the warm-up's, in which everything is compiled and cached."""
    if number:
        scenario.costs.setdefault(side, []).append(cost)


def progress(scenario: Scenario, number: int, rounds: int) -> None:
    what = f"{scenario.tables} models, {scenario.what}{', ' * bool(scenario.about)}{scenario.about}"
    print(f"{what}: {f'round {number} of {rounds}' if number else 'warm-up'}", file=sys.stderr)
