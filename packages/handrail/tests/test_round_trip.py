"""Whatever two models say: the revisions between them lead from one to the other, and back, without a trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from alembic.autogenerate import render
from alembic.autogenerate.api import AutogenContext
from alembic.operations import Operations
from alembic.operations.ops import MigrateOperation, UpgradeOps
from alembic.runtime.migration import MigrationContext
from hypothesis import HealthCheck, event, given, settings
from sqlalchemy import Connection, MetaData, create_engine, text
from sqlalchemy.pool import NullPool

import handrail.workarounds  # noqa: F401 - puts Alembic's faults right, as env.py does
from generated_models import SCHEMA, metadatas
from handrail.catalog import Catalog, read_catalog
from handrail.catalog.difference import NOT_MODELLED, Difference, differences
from handrail.catalog.words import in_words
from handrail.config import PLAIN
from handrail.connection import parse_url
from handrail.defaults import with_equal_defaults
from handrail.modelled import modelled
from handrail.operations import operations
from handrail.renames import aligned, renamed_catalog, renamed_definitions
from handrail.renames.rename import in_order
from handrail.scratch import ScratchServer
from handrail.stages import Stage, stages
from handrail.stages.scripts import steps
from handrail.target import stated_names

EVERYTHING_PLAIN = dict.fromkeys(PLAIN, "a test")
# The tables are empty, so what can only be refused elsewhere is allowed here; what has a safe form gets it.
SAFE = dict.fromkeys(["enum-rebuild", "not-null-without-default", "table-rewrite"], "a test")
SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@dataclass
class Database:
    """A database whose schema is made, changed and made anew."""

    connection: Connection

    def make(self, metadata: MetaData) -> Catalog:
        """Hold what these models say, and nothing else."""
        self.connection.rollback()
        with self.connection.begin():
            self.connection.execute(text(f'DROP SCHEMA IF EXISTS "{SCHEMA}" CASCADE'))
            self.connection.execute(text(f'CREATE SCHEMA "{SCHEMA}"'))
            metadata.create_all(self.connection)
        return self.catalog()

    def catalog(self) -> Catalog:
        catalog = read_catalog(self.connection)
        self.connection.rollback()
        return catalog

    def run(self, steps: Sequence[MigrateOperation]) -> None:
        """Run operations as a revision would, from their text."""
        context = MigrationContext.configure(self.connection, opts={"transaction_per_migration": True})
        prefixes = {"alembic_module_prefix": "op.", "sqlalchemy_module_prefix": "sa.", "user_module_prefix": None}
        writer = AutogenContext(context, opts=prefixes, autogenerate=False)
        code = render._indent(render._render_cmd_body(UpgradeOps(list(steps)), writer))
        imports = ["import sqlalchemy as sa", *sorted(writer.imports)]
        names: dict[str, object] = {}
        exec("\n".join([*imports, "", "def upgrade():", f"    {code}", "    pass"]), names)
        with context.begin_transaction(_per_migration=True), Operations.context(context) as op:
            names["op"] = op
            names["upgrade"]()  # type: ignore[operator]


@pytest.fixture(scope="module")
def database(handrail_scratch: ScratchServer) -> Iterator[Database]:
    name = handrail_scratch.create()
    engine = create_engine(
        parse_url(handrail_scratch.url_of(name)).set(drivername="postgresql+psycopg"), poolclass=NullPool
    )
    with engine.connect() as connection:
        yield Database(connection)
    handrail_scratch.drop(name)


def planned(
    database: Database, before: Catalog, target: Catalog, models: MetaData, plain: dict[str, str]
) -> list[Stage]:
    """Return the stages as `revision --autogenerate` would plan them; `database` holds `before`."""
    history, wanted = sides(database, before, target, models)
    renames = renamed_definitions(history, wanted)
    found: list[Stage] = []
    if renames:
        found.append(Stage("", "", history, history, renames=tuple(in_order(renames))))
        history, wanted = sides(database, renamed_catalog(database.connection, renames), target, models)
        database.connection.rollback()
    return found + stages(history, wanted, differences(history, wanted, ignored=NOT_MODELLED), plain)


def sides(database: Database, before: Catalog, target: Catalog, models: MetaData) -> tuple[Catalog, Catalog]:
    history, wanted = modelled(before, target)
    wanted = with_equal_defaults(database.connection, history, aligned(history, wanted, stated_names(models)))
    database.connection.rollback()
    return history, wanted


def remaining(before: Catalog, after: Catalog) -> list[Difference]:
    return differences(before, after, ignored=NOT_MODELLED)


@pytest.mark.timeout(300)
@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(old=metadatas(), new=metadatas())
@pytest.mark.parametrize("plain", [False, True], ids=["safe", "plain"])
def test_from_one_model_to_another_and_back(database: Database, plain: bool, old: MetaData, new: MetaData) -> None:
    target = database.make(new)
    start = database.make(old)
    way = planned(database, start, target, new, EVERYTHING_PLAIN if plain else SAFE)
    event(f"{len(way)} stages")

    done = [steps(stage, new, None) for stage in way]
    for upgrade, _ in done:
        database.run(upgrade)
    there = sides(database, database.catalog(), target, new)
    assert in_words(remaining(*there)) == []

    for _, downgrade in reversed(done):
        database.run(downgrade)
    assert in_words(remaining(*sides(database, database.catalog(), start, old))) == []


@settings(max_examples=30, deadline=None, suppress_health_check=SLOW)
@given(new=metadatas())
def test_from_nothing_and_back(database: Database, new: MetaData) -> None:
    target = database.make(new)
    start = database.make(MetaData())
    before, after = modelled(start, target)
    found = differences(before, after, ignored=NOT_MODELLED)
    there = operations(found, before, after, new, None)
    back = operations([difference.reversed() for difference in found], after, before, new, None)

    database.run(there)
    assert in_words(remaining(*sides(database, database.catalog(), target, new))) == []

    database.run(back)
    assert in_words(remaining(start, database.catalog())) == []
