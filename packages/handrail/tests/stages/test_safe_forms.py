"""Each change of a table with rows: which revisions it becomes, and that they lead there and back."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from alembic.autogenerate import render
from alembic.autogenerate.api import AutogenContext
from alembic.operations import Operations
from alembic.operations.ops import MigrateOperation, UpgradeOps
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import NullPool

import handrail.workarounds  # noqa: F401 - puts Alembic's faults right, as env.py does
from handrail.catalog import Catalog, read_catalog
from handrail.catalog.difference import NOT_MODELLED, differences
from handrail.catalog.words import in_words
from handrail.connection import parse_url
from handrail.errors import HandrailError
from handrail.scratch import ScratchServer
from handrail.stages import Stage, stages
from handrail.stages.scripts import steps

TABLES = """
    CREATE TYPE shop.status AS ENUM ('new', 'paid');
    CREATE TABLE shop.customers (id int PRIMARY KEY, email text, old text);
    CREATE TABLE shop.orders
        (id int PRIMARY KEY, customer int, code varchar(10), total numeric(10,2), status shop.status);
    CREATE TABLE shop.events (id int, day date NOT NULL) PARTITION BY RANGE (day);
    CREATE TABLE shop.events_1 PARTITION OF shop.events DEFAULT;
"""
ROWS = """
    INSERT INTO shop.customers SELECT n, n || '@example.org' FROM generate_series(1, 100) n;
    INSERT INTO shop.orders SELECT n, n, n::text, n, 'new' FROM generate_series(1, 100) n;
"""
ORDERS, CUSTOMERS = "ALTER TABLE shop.orders ", "ALTER TABLE shop.customers "
INDEX = "CREATE INDEX ix_code ON shop.orders (code)"
KEY = CUSTOMERS + "ADD CONSTRAINT uq_email UNIQUE (email)"


@dataclass
class Shop:
    """A database with one schema, which is made anew for each test."""

    engine: Engine
    connection: Connection = field(init=False)

    def make(self, sql: str) -> Catalog:
        self.connection.rollback()
        self.execute(f"DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop; {sql}")
        return self.catalog()

    def execute(self, sql: str) -> None:
        self.connection.execute(text(sql))
        self.connection.commit()

    def catalog(self) -> Catalog:
        """Return the catalog without what partitions have from their parents, as stages get it."""
        catalog = read_catalog(self.connection)
        self.connection.rollback()
        return Catalog(catalog.version, {n: a for n, a in catalog.objects.items() if not a.get("inherited")})

    def plan(self, there: str, back: str = "", plain: dict[str, str] | None = None) -> list[Stage]:
        """Return the stages from TABLES with `back` to TABLES with `there`; the database holds the former."""
        after = self.make(f"{TABLES};{there}")
        before = self.make(f"{TABLES};{back}")
        self.execute(ROWS)
        return stages(before, after, differences(before, after, ignored=NOT_MODELLED), plain or {})

    def run(self, steps: Sequence[MigrateOperation]) -> None:
        """Run operations as a revision would, from their text."""
        code = self.code(steps)
        context = MigrationContext.configure(self.connection, opts={"transaction_per_migration": True})
        with context.begin_transaction(_per_migration=True), Operations.context(context) as op:
            names: dict[str, object] = {"op": op}
            exec(code, names)
            names["upgrade"]()  # type: ignore[operator]

    def code(self, steps: Sequence[MigrateOperation]) -> str:
        context = MigrationContext.configure(self.connection)
        prefixes = {"alembic_module_prefix": "op.", "sqlalchemy_module_prefix": "sa.", "user_module_prefix": None}
        writer = AutogenContext(context, opts=prefixes, autogenerate=False)
        body = render._indent(render._render_cmd_body(UpgradeOps(list(steps)), writer))
        self.connection.rollback()
        return "\n".join(
            ["import sqlalchemy as sa", *sorted(writer.imports), "def upgrade():", f"    {body}", "    pass"]
        )


@pytest.fixture
def shop(handrail_scratch: ScratchServer) -> Iterator[Shop]:
    name = handrail_scratch.create()
    url = parse_url(handrail_scratch.url_of(name)).set(drivername="postgresql+psycopg")
    shop = Shop(create_engine(url, poolclass=NullPool))
    with shop.engine.connect() as shop.connection:
        yield shop
    handrail_scratch.drop(name)


SAFE = {
    "a table that is new stays simple": (
        "CREATE TABLE shop.notes (id serial PRIMARY KEY, n int NOT NULL REFERENCES shop.orders CHECK (n > 0) UNIQUE);"
        "CREATE INDEX ix_n ON shop.notes (n)",
        [""],
    ),
    "index": (INDEX, ["index ix_code"]),
    "unique index": ("CREATE UNIQUE INDEX ix_code ON shop.orders (code)", ["index ix_code"]),
    "index of a partitioned table": ("CREATE INDEX ix_day ON shop.events (day)", [""]),
    "foreign key": (
        ORDERS + "ADD CONSTRAINT fk_customer FOREIGN KEY (customer) REFERENCES shop.customers",
        ["", "validate"],
    ),
    "check": (ORDERS + "ADD CONSTRAINT ck_total CHECK (total >= 0)", ["", "validate"]),
    "unique": (KEY, ["index for uq_email", "constraint uq_email"]),
    "foreign key to a key that is new": (
        f"{KEY}; {ORDERS} ADD email text, "
        "ADD CONSTRAINT fk_email FOREIGN KEY (email) REFERENCES shop.customers (email)",
        ["", "index for uq_email", "constraint uq_email", "foreign keys", "validate foreign keys"],
    ),
    "exclude": (ORDERS + "ADD CONSTRAINT ex_id EXCLUDE USING btree (id WITH =)", [""]),
    "not null": (ORDERS + "ALTER customer SET NOT NULL", ["", "validate", "not null"]),
    "column with a constant default": (ORDERS + "ADD paid bool NOT NULL DEFAULT false", [""]),
    "column with a stable default": (ORDERS + "ADD at timestamptz NOT NULL DEFAULT now()", [""]),
    "column with a volatile default": (
        ORDERS + "ADD key uuid DEFAULT gen_random_uuid()",
        ["", "defaults", "fill new columns"],
    ),
    "column with a volatile default and without NULL": (
        ORDERS + "ADD key uuid NOT NULL DEFAULT gen_random_uuid()",
        ["", "defaults", "fill new columns", "validate", "not null"],
    ),
    "wider text": (ORDERS + "ALTER code TYPE varchar(20)", [""]),
    "text without length": (ORDERS + "ALTER code TYPE text", [""]),
    "more digits": (ORDERS + "ALTER total TYPE numeric(12,2)", [""]),
    "value of an enum that a default uses": (
        "ALTER TYPE shop.status ADD VALUE 'sent'; COMMIT; ALTER TABLE shop.orders ALTER status SET DEFAULT 'sent'",
        ["new enum values", ""],
    ),
}


@pytest.mark.parametrize(("sql", "titles"), SAFE.values(), ids=SAFE)
def test_each_change_becomes_its_revisions_and_they_lead_there_and_back(
    shop: Shop, sql: str, titles: list[str]
) -> None:
    way = shop.plan(sql)
    assert [stage.title for stage in way] == titles

    assert_there_and_back(shop, way)


def test_a_key_that_changes_leads_there_and_back(shop: Shop) -> None:
    way = shop.plan(KEY.replace("(email)", "(email, id)"), back=KEY)

    assert [stage.title for stage in way] == ["index for uq_email", "constraint uq_email"]
    assert_there_and_back(shop, way)


def assert_there_and_back(shop: Shop, way: Sequence[Stage]) -> None:
    """Run each revision up, down and up again, as a rehearsal does, and then all of them down."""
    start = shop.catalog()
    done = [steps(stage, None, None) for stage in way]
    for stage, (upgrade, downgrade) in zip(way, done, strict=True):
        shop.run(upgrade)
        shop.run(downgrade)
        back = in_words(differences(stage.before, shop.catalog(), ignored=NOT_MODELLED))
        assert [line for line in back if "status" not in line] == []
        shop.run(upgrade)
        assert in_words(differences(stage.after, shop.catalog(), ignored=NOT_MODELLED)) == []

    for _, downgrade in reversed(done):
        shop.run(downgrade)
    left = differences(start, shop.catalog(), ignored=NOT_MODELLED)
    assert [line for line in in_words(left) if "status" not in line] == []


def test_the_index_goes_as_it_came(shop: Shop) -> None:
    (stage,) = shop.plan("", back=INDEX)
    upgrade, downgrade = steps(stage, None, None)

    assert stage.concurrent
    assert "autocommit_block" in shop.code(upgrade)
    shop.run(upgrade)
    assert "ix_code" not in shop.catalog().to_json()
    shop.run(downgrade)
    assert "ix_code" in shop.catalog().to_json()


def test_drops_come_last_in_a_revision_of_their_own(shop: Shop) -> None:
    way = shop.plan(f"{CUSTOMERS} DROP old; {ORDERS} ADD note text")

    assert [(stage.title, [name.name for name in stage.lost]) for stage in way] == [("", []), ("drops", ["old"])]


def test_what_a_failed_build_left_is_repaired(shop: Shop) -> None:
    (stage,) = shop.plan("CREATE UNIQUE INDEX ix_total ON shop.orders (total)")
    upgrade, _ = steps(stage, None, None)
    shop.execute("UPDATE shop.orders SET total = 1")
    with pytest.raises(IntegrityError):
        shop.run(upgrade)
    shop.connection.rollback()
    assert '"valid":false' in shop.catalog().to_json()

    shop.execute("UPDATE shop.orders SET total = id")
    shop.run(upgrade)
    shop.run(upgrade)  # as after a crash between the build and the note of it
    assert in_words(differences(stage.after, shop.catalog(), ignored=NOT_MODELLED)) == []


@pytest.mark.parametrize("change", ["index", "foreign key", "check", "not null", "unique"])
def test_others_write_while_rows_are_looked_at(shop: Shop, change: str) -> None:
    """A write that waited would run into its lock_timeout; only the short stages may hold it up."""
    way = shop.plan(SAFE[change][0])
    failed: list[str] = []
    stop = threading.Event()

    def write() -> None:
        with shop.engine.connect() as connection:
            while not stop.is_set():
                try:
                    connection.execute(text("SET LOCAL lock_timeout = '2s'"))
                    connection.execute(text("UPDATE shop.orders SET total = total + 1 WHERE id = 1"))
                    connection.commit()
                except DBAPIError as error:
                    failed.append(str(error))
                    return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for stage in way:
            shop.run(steps(stage, None, None)[0])
    finally:
        stop.set()
        writer.join()
    assert failed == []


def test_the_validated_check_is_there_when_the_column_becomes_not_null(shop: Shop) -> None:
    """It is what spares reading all rows while everybody waits, and PostgreSQL says so when it does."""
    notices: list[str | None] = []
    driver = shop.connection.connection.driver_connection
    assert driver is not None
    driver.add_notice_handler(lambda diagnostic: notices.append(diagnostic.message_primary))
    for stage in shop.plan(SAFE["not null"][0]):
        shop.execute("SET client_min_messages = debug1")
        shop.run(steps(stage, None, None)[0])

    proven = 'existing constraints on column "orders.customer" are sufficient to prove that it does not contain nulls'
    assert proven in notices


REFUSED = {
    "not-null-without-default": ORDERS + "ADD note text NOT NULL",
    "table-rewrite": ORDERS + "ALTER customer TYPE bigint",
    "enum-rebuild": f"{ORDERS} DROP status; DROP TYPE shop.status; CREATE TYPE shop.status AS ENUM ('paid', 'new');"
    f"{ORDERS} ADD status shop.status",
}


@pytest.mark.parametrize(("rule", "sql"), REFUSED.items(), ids=REFUSED)
def test_what_has_no_safe_form_is_refused_unless_the_project_says_why(shop: Shop, rule: str, sql: str) -> None:
    with pytest.raises(HandrailError, match=rule):
        shop.plan(sql)
    assert shop.plan(sql, plain={rule: "the table is small"})


@pytest.mark.parametrize(
    "column", ["serial", "int GENERATED ALWAYS AS IDENTITY", "int GENERATED ALWAYS AS (id) STORED"]
)
def test_a_column_that_writes_the_table_anew_is_refused(shop: Shop, column: str) -> None:
    with pytest.raises(HandrailError, match='the new column "number" of "orders"'):
        shop.plan(f"{ORDERS} ADD number {column}")


PLAIN = {
    "index-concurrently": (INDEX, [""]),
    "constraint-not-valid": (ORDERS + "ADD CONSTRAINT ck_total CHECK (total >= 0)", [""]),
    "unique-using-index": (KEY, [""]),
    "not-null-by-check": (ORDERS + "ALTER customer SET NOT NULL", [""]),
    "volatile-default": (ORDERS + "ADD key uuid NOT NULL DEFAULT gen_random_uuid()", [""]),
}


@pytest.mark.parametrize("rule", PLAIN)
def test_each_safe_form_can_be_switched_off(shop: Shop, rule: str) -> None:
    sql, titles = PLAIN[rule]
    assert [stage.title for stage in shop.plan(sql, plain={rule: "few rows"})] == titles
