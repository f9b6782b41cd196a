"""Tables whose rows in the system catalogs are as before are not read again, and nothing is missed by it."""

from __future__ import annotations

import pytest

from drift.conftest import Migrated
from handrail.catalog import Kind
from handrail.catalog.stored import Stored
from handrail.upgrade.journal import Done, Journal

# One table that names all that can be named.
MANY = (
    "CREATE SCHEMA far",
    "CREATE TABLE far.base (id int PRIMARY KEY)",
    "CREATE TABLE far.owned (id int)",
    "CREATE FUNCTION shop.fresh() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "CREATE OPERATOR shop.=== (FUNCTION = int4eq, LEFTARG = integer, RIGHTARG = integer)",
    "CREATE TEXT SEARCH CONFIGURATION shop.words (COPY = simple)",
    "CREATE TABLE shop.many (id int PRIMARY KEY DEFAULT shop.fresh(), far_id int REFERENCES far.base, "
    "number bigint DEFAULT nextval('shop.ticket'), note shop.notes, notes shop.notes[], pair shop.pair, "
    "mail shop.email, state shop.state DEFAULT 'open', text text COLLATE shop.plain, viewed shop.open_customers, "
    "CHECK ((pair).a > 1), CHECK (id OPERATOR(shop.===) id))",
    "CREATE INDEX ix_many ON shop.many (to_tsvector('shop.words', text))",
    "ALTER TABLE shop.many OWNER TO {role}",
    "GRANT SELECT ON shop.parent TO {role}",
    "GRANT SELECT (id) ON shop.child TO {role}",
)
NAMES = [
    "ALTER SCHEMA far RENAME TO away",
    "ALTER TABLE far.base RENAME TO rock",
    "ALTER TABLE far.base RENAME COLUMN id TO key",
    "ALTER TABLE shop.customers RENAME TO clients",
    "ALTER TABLE shop.customers RENAME COLUMN id TO key",
    "ALTER TABLE shop.customers RENAME id TO x; ALTER TABLE shop.customers RENAME points TO id; "
    "ALTER TABLE shop.customers RENAME x TO points",
    "ALTER TABLE shop.notes RENAME TO x; ALTER TABLE shop.parent RENAME TO notes; ALTER TABLE shop.x RENAME TO parent",
    "ALTER TABLE shop.log RENAME TO protocol",
    "ALTER TABLE shop.parent RENAME COLUMN id TO key",
    "ALTER VIEW shop.open_customers RENAME TO others",
    "ALTER SEQUENCE shop.ticket RENAME TO coupon",
    "ALTER FUNCTION shop.fresh() RENAME TO stale",
    "ALTER OPERATOR shop.=== (integer, integer) SET SCHEMA far",
    "ALTER TEXT SEARCH CONFIGURATION shop.words RENAME TO tokens",
    "ALTER TYPE shop.pair RENAME TO couple",
    "ALTER TYPE shop.pair RENAME ATTRIBUTE a TO first CASCADE",
    "ALTER DOMAIN shop.email RENAME TO address",
    "ALTER TYPE shop.state RENAME TO status",
    "ALTER TYPE shop.state RENAME VALUE 'open' TO 'new'",
    "ALTER COLLATION shop.plain RENAME TO simple",
    "ALTER ROLE {role} RENAME TO {role}_2",
    "ALTER EXTENSION pg_trgm ADD TABLE shop.notes",
    "ALTER TABLE shop.notes SET SCHEMA far",
    "DROP TABLE shop.notes CASCADE",
]


@pytest.fixture
def many(migrated: Migrated) -> Migrated:
    """The shop with one table more, as the newest snapshot has it; what follows is done in another transaction."""
    for statement in MANY:
        migrated.run(statement)
    journal = Journal("shop")
    journal.look(migrated.connection)
    catalog = journal.catalog_now(migrated.connection, "alembic_version")
    journal.note(migrated.connection, Done("r1", "upgrade", None, ["r1"], catalog=catalog))
    migrated.run("SAVEPOINT later")
    return migrated


@pytest.mark.parametrize("edit", NAMES)
def test_another_name_is_seen_wherever_it_is_mentioned(many: Migrated, edit: str) -> None:
    """Also in tables of which no row has changed."""
    assert many.drift(whole=False).differences == []

    many.run(edit)
    found = many.drift(whole=False).differences

    assert found
    assert found == many.drift().differences


def test_only_what_has_changed_is_read(many: Migrated) -> None:
    """And what names it: a foreign key, a partition."""

    def read() -> set[str]:
        return {name.name for name, _ in many.drift(whole=False).live.of_kind(Kind.TABLE)}

    assert read() == set()
    many.run("ALTER TABLE shop.child ADD COLUMN phone text")
    assert read() == {"child"}
    many.run("CREATE INDEX ix_phone ON shop.customers (nick); CREATE TABLE shop.fresh (id int)")
    assert read() == {"child", "customers", "orders", "fresh"}


def test_an_edit_that_is_carried_on_stays_to_be_seen(many: Migrated) -> None:
    """The snapshot after an upgrade tells of it what was before, while the rows are those of now."""
    many.run("ALTER TABLE shop.child ADD COLUMN phone text; DROP TABLE shop.log")
    edited = many.drift(whole=False)
    journal = Journal("shop")
    journal.look(many.connection)
    now = journal.catalog_now(many.connection, "alembic_version")
    journal.note(many.connection, Done("r1", "upgrade", None, ["r1"], catalog=edited.carried(now)))

    again = many.drift(whole=False)

    assert again.differences == edited.differences == many.drift().differences
    assert again.differences


def test_a_snapshot_of_an_earlier_version_is_compared_as_a_whole(many: Migrated) -> None:
    """Which has kept neither lines nor fingerprints."""
    stored = many.drift().expected
    many.connection.exec_driver_sql("UPDATE shop.handrail_journal SET catalog = %s", (stored.to_json(),))

    assert Stored.read(stored.to_json()).fingerprints is None
    assert many.drift(whole=False).differences == []
    many.run("ALTER TABLE shop.child ADD COLUMN phone text")
    assert [str(each.name) for each in many.drift(whole=False).differences] == ["column shop.child.phone"]


def test_a_table_may_be_named_like_a_place_in_the_question(many: Migrated) -> None:
    many.run('CREATE TABLE shop."{in_schemas}" (id int)')

    assert [str(each.name) for each in many.drift(whole=False).differences] == [
        str(each.name) for each in many.drift().differences
    ]
