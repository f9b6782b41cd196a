"""A long history from an empty database: `alembic upgrade head` with handrail's `env.py`, next to Alembic's own."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from handrail.config import load_project
from handrail.scratch import scratch_server

from bench.commands import Comparison, database
from bench.measure import run
from bench.projects import ROOT, SCHEMA, AlembicProject, handrail_project, stock_project, write

LENGTH = 1000
QUICK_LENGTH = 100
ROUNDS = 3
MODELS = 10

REVISION = """
import sqlalchemy as sa
from alembic import op

revision: str = "{number:04}"
down_revision: str | None = {before!r}


def upgrade() -> None:
    {upgrade}


def downgrade() -> None:
    pass
"""
# One after the other, again and again: each five revisions make a table and change it.
STEPS = (
    'op.create_table("t{table}", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("name", sa.String(50)), '
    'schema="{schema}")',
    'op.add_column("t{table}", sa.Column("price", sa.Integer()), schema="{schema}")',
    'op.create_index("ix_t{table}_name", "t{table}", ["name"], schema="{schema}")',
    'op.alter_column("t{table}", "name", type_=sa.String(100), schema="{schema}")',
    'op.execute("UPDATE {schema}.t{table} SET price = 1")',
)


def compare_chain(length: int, rounds: int) -> list[Comparison]:
    """Measure both sides by turns, each time from an empty database; the first round only compiles.

    Raises:
        BenchError: A command failed.
        HandrailError: No database can be had.
    """
    comparison = Comparison(MODELS, f"upgrade head, {length} revisions", [], [])
    with scratch_server(load_project(ROOT)) as server, TemporaryDirectory(prefix="bench-") as folder:
        for number in range(rounds + 1):
            print(f"{length} revisions: {f'round {number} of {rounds}' if number else 'warm-up'}", file=sys.stderr)
            for make, costs in ((stock_project, comparison.stock), (handrail_project, comparison.ours)):
                with database(server) as name:
                    project = make(Path(folder, f"{make.__name__}{number}"), MODELS, server.url_of(name))
                    write_history(project, length)
                    run(project.alembic(["heads"]))  # compiles the revisions
                    cost, _ = run(project.alembic(["upgrade", "head"]))
                if number:
                    costs.append(cost)
    return [comparison]


def write_history(project: AlembicProject, length: int) -> None:
    """Put so many revisions in place of the first."""
    versions = project.folder / "alembic/versions"
    (versions / "0001_initial.py").unlink()
    for number in range(1, length + 1):
        table, step = divmod(number - 1, len(STEPS))
        before = f"{number - 1:04}" if number > 1 else None
        upgrade = STEPS[step].format(table=table, schema=SCHEMA)
        write(versions / f"{number:04}_step.py", REVISION.format(number=number, before=before, upgrade=upgrade))
