"""All that is known to go wrong with migrations on PostgreSQL: what a review says of it, or who else takes care of it.

Rows are numbered as in the list that the rules were written from; several examples of a row stand below each other.
"""

from __future__ import annotations

from typing import NamedTuple


class Goal(NamedTuple):
    """An example of a row.

    Attributes:
        row: Its number.
        sql: Statements of one revision on the database of the examples, in one transaction.
        rules: The rules that find something, and no others.
        reason: Why there is nothing to find.
    """

    row: int
    sql: str
    rules: frozenset[str]
    reason: str = ""


def found(row: int, sql: str, *rules: str) -> Goal:
    return Goal(row, sql, frozenset(rules))


def silent(row: int, sql: str, reason: str, *notes: str) -> Goal:
    return Goal(row, sql, frozenset(notes), reason)


REFERENCE = "FOREIGN KEY (customer_id) REFERENCES shop.customers (id)"
ENUM = "CREATE TYPE shop.state AS ENUM ('new', 'paid'); ALTER TABLE shop.orders ALTER COLUMN status DROP DEFAULT;"

GOALS = [
    found(1, "DROP TABLE shop.sessions", "drops-table"),
    found(2, "ALTER TABLE shop.orders DROP COLUMN note", "drops-column"),
    found(3, "DROP TABLE shop.coupons CASCADE", "drops-table", "drops-cascade"),
    found(3, "ALTER TABLE shop.orders DROP COLUMN total CASCADE", "drops-column", "drops-cascade"),
    found(3, "DROP TYPE shop.status CASCADE", "drops-column", "drops-cascade"),
    found(3, "DROP VIEW shop.large_orders CASCADE", "drops-cascade", "drops-function"),
    found(4, "TRUNCATE shop.sessions", "truncates"),
    found(4, "TRUNCATE shop.sessions CASCADE", "truncates"),
    found(5, "DELETE FROM shop.orders", "deletes-all-rows"),
    found(5, "DELETE FROM shop.orders WHERE placed_at IS NULL", "deletes-many-rows"),
    found(5, "UPDATE shop.orders SET note = ''", "updates-all-rows"),
    silent(5, "UPDATE shop.orders SET note = '' WHERE id = 1", "one row"),
    found(6, "DROP SCHEMA archive CASCADE", "drops-schema"),
    found(6, "DROP OWNED BY somebody", "drops-schema"),
    found(6, "DROP DATABASE other", "drops-schema", "concurrently-in-transaction"),
    found(7, "DROP TABLE shop.sessions; CREATE TABLE shop.sessions (id uuid PRIMARY KEY)", "drops-table"),
    found(8, "ALTER TABLE shop.orders DROP COLUMN note, ADD COLUMN remark text", "drops-column"),
    found(9, "ALTER TABLE shop.orders RENAME COLUMN note TO remark", "renames-column"),
    found(10, "ALTER TABLE shop.sessions RENAME TO logins", "renames-table"),
    silent(
        10,
        "ALTER TABLE shop.sessions RENAME TO logins; CREATE VIEW shop.sessions AS SELECT * FROM shop.logins",
        "the view answers to the old name",
    ),
    found(11, "ALTER TABLE shop.sessions SET SCHEMA archive", "renames-table"),
    found(11, "ALTER SCHEMA shop RENAME TO store", "renames-object"),
    found(11, "ALTER VIEW shop.large_orders RENAME TO big_orders", "renames-table"),
    found(11, "ALTER FUNCTION shop.order_label(bigint) RENAME TO label", "renames-object"),
    found(11, "ALTER TYPE shop.status RENAME TO state", "renames-object"),
    found(11, "ALTER DOMAIN shop.email RENAME TO address", "renames-object"),
    silent(
        11,
        "ALTER TYPE shop.status RENAME TO old; CREATE TYPE shop.status AS ENUM ('new', 'paid', 'sent')",
        "another type takes the old name",
    ),
    found(12, "ALTER TYPE shop.status RENAME VALUE 'sent' TO 'shipped'", "renames-object"),
    found(
        13,
        f"{ENUM} ALTER TABLE shop.orders ALTER COLUMN status TYPE shop.state USING status::text::shop.state",
        "type-rewrite",
        "narrows-type",
        "retypes-column",
        "drops-default",
    ),
    found(
        14,
        "ALTER TYPE shop.status ADD VALUE 'lost'; UPDATE shop.orders SET status = 'lost' WHERE id = 1",
        "new-value-used",
    ),
    silent(15, "ALTER TYPE shop.status ADD VALUE 'lost'", "at the end is where a new value mostly belongs"),
    found(16, "CREATE INDEX ix ON shop.orders (total)", "index-not-concurrent"),
    silent(16, "CREATE TABLE shop.t (id int); CREATE INDEX ix ON shop.t (id)", "nobody uses a table that is new"),
    found(17, "CREATE INDEX CONCURRENTLY ix ON shop.orders (total)", "concurrently-in-transaction"),
    found(19, "DROP INDEX shop.ix_orders_placed_at", "drop-index-not-concurrent"),
    found(20, "REINDEX INDEX shop.ix_orders_placed_at", "reindex-not-concurrent"),
    found(20, "REINDEX TABLE shop.orders", "reindex-not-concurrent"),
    found(21, "CREATE UNIQUE INDEX ix ON shop.orders (number)", "index-not-concurrent"),
    found(21, "ALTER TABLE shop.orders ADD CONSTRAINT uq UNIQUE (number)", "unique-scan"),
    found(22, "ALTER TABLE shop.payments ADD PRIMARY KEY (id)", "primary-key-scan"),
    found(
        23,
        "COMMIT; CREATE UNIQUE INDEX CONCURRENTLY ix ON archive.orders_2019 (id);"
        "BEGIN; ALTER TABLE archive.orders_2019 ADD PRIMARY KEY USING INDEX ix; COMMIT",
        "primary-key-scan",
        "transaction-control",
    ),
    found(24, "ALTER TABLE shop.bookings ADD EXCLUDE USING gist (during WITH &&)", "exclusion-scan"),
    found(25, f"ALTER TABLE shop.orders ADD {REFERENCE}", "foreign-key-scan", "foreign-key-without-index"),
    silent(
        26,
        "ALTER TABLE shop.orders ADD COLUMN payer bigint REFERENCES shop.customers",
        "a column full of NULL refers to nothing",
        "foreign-key-without-index",
    ),
    found(27, "ALTER TABLE shop.orders ADD CHECK (quantity > 0)", "check-scan"),
    found(28, "ALTER TABLE shop.orders ADD COLUMN rating int CHECK (rating > 0)", "check-scan"),
    found(
        29,
        "ALTER TABLE shop.orders ADD CONSTRAINT ck CHECK (quantity > 0) NOT VALID;"
        "ALTER TABLE shop.orders VALIDATE CONSTRAINT ck",
        "scan-while-blocking",
    ),
    silent(
        30,
        "ALTER TABLE shop.orders ADD CONSTRAINT ck CHECK (quantity > 0) NOT VALID",
        "it is the first of two revisions; the second one may not be written yet",
    ),
    found(31, "ALTER TABLE shop.orders ALTER COLUMN customer_id SET NOT NULL", "set-not-null"),
    silent(31, "ALTER TABLE shop.orders ALTER COLUMN number SET NOT NULL", "it is NOT NULL already"),
    silent(
        31,
        "ALTER TABLE shop.orders ADD CONSTRAINT nn NOT NULL customer_id NOT VALID",
        "nothing is read (PostgreSQL 18)",
    ),
    found(32, "ALTER TABLE shop.orders ADD COLUMN channel text NOT NULL", "required-column"),
    found(33, "ALTER TABLE shop.orders ADD COLUMN channel text NOT NULL", "required-column"),
    found(34, "ALTER TABLE shop.orders ALTER COLUMN quantity DROP DEFAULT", "drops-default"),
    silent(
        35, "ALTER TABLE shop.orders ALTER COLUMN number DROP NOT NULL", "there is no NULL before new code writes one"
    ),
    found(36, "ALTER TABLE shop.orders ADD COLUMN token uuid DEFAULT gen_random_uuid()", "volatile-default"),
    found(36, "ALTER TABLE shop.orders ADD COLUMN at timestamptz DEFAULT clock_timestamp()", "volatile-default"),
    silent(36, "ALTER TABLE shop.orders ADD COLUMN at timestamptz NOT NULL DEFAULT now()", "now() is worked out once"),
    silent(37, "ALTER TABLE shop.orders ADD COLUMN channel text NOT NULL DEFAULT 'web'", "only the catalog is written"),
    found(38, "ALTER TABLE shop.payments ADD COLUMN number bigserial", "counted-column"),
    found(38, "ALTER TABLE shop.payments ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY", "counted-column"),
    found(
        39, "ALTER TABLE shop.orders ADD COLUMN twice int GENERATED ALWAYS AS (quantity * 2) STORED", "stored-column"
    ),
    silent(
        39,
        "ALTER TABLE shop.orders ADD COLUMN twice int GENERATED ALWAYS AS (quantity * 2) VIRTUAL",
        "it is worked out when it is read",
    ),
    found(41, "ALTER TABLE shop.orders ALTER COLUMN quantity TYPE bigint", "type-rewrite", "retypes-column"),
    found(41, "ALTER TABLE shop.orders ALTER COLUMN placed_at TYPE timestamptz", "type-rewrite", "retypes-column"),
    silent(42, "ALTER TABLE shop.orders ALTER COLUMN number TYPE varchar(40)", "only wider", "retypes-column"),
    silent(42, "ALTER TABLE shop.orders ALTER COLUMN number TYPE text", "stored in the same way", "retypes-column"),
    silent(
        42,
        "ALTER TABLE archive.orders_2019 ALTER COLUMN total TYPE numeric(12, 2)",
        "only more digits",
        "retypes-column",
    ),
    found(43, "ALTER TABLE shop.customers ALTER COLUMN country TYPE varchar(80)", "retypes-column"),
    found(
        44,
        "ALTER TABLE shop.orders ALTER COLUMN number TYPE varchar(10)",
        "type-rewrite",
        "narrows-type",
        "retypes-column",
    ),
    found(
        44,
        "ALTER TABLE shop.orders ALTER COLUMN placed_at TYPE date",
        "type-rewrite",
        "narrows-type",
        "retypes-column",
    ),
    found(
        45,
        "ALTER TABLE shop.orders ALTER COLUMN number TYPE bigint",
        "missing-cast",
        "type-rewrite",
        "narrows-type",
        "retypes-column",
    ),
    found(
        46,
        'ALTER TABLE shop.coupons ALTER COLUMN code TYPE text COLLATE "C"',
        "type-rewrite",
        "retypes-column",
        "type-in-use",
    ),
    found(47, "ALTER TABLE shop.orders ALTER COLUMN total TYPE numeric(12, 2)", "type-in-use", "retypes-column"),
    found(48, "ALTER TABLE shop.orders ADD COLUMN gift json", "json-column"),
    found(49, "ALTER TABLE shop.payments SET UNLOGGED", "rewrites-table", "unlogged"),
    silent(49, "ALTER TABLE shop.payments SET LOGGED", "it is logged already"),
    found(50, "ALTER TABLE shop.orders SET TABLESPACE fast", "rewrites-table"),
    found(50, "ALTER TABLE shop.orders SET ACCESS METHOD heap2", "rewrites-table"),
    found(50, "CLUSTER shop.orders USING ix_orders_placed_at", "rewrites-table"),
    found(50, "VACUUM FULL shop.orders", "rewrites-table", "concurrently-in-transaction"),
    silent(51, "ALTER TABLE shop.orders SET (fillfactor = 80)", "nobody waits"),
    silent(51, "ALTER TABLE shop.orders ALTER COLUMN total SET STATISTICS 500", "nobody waits"),
    silent(51, "COMMENT ON TABLE shop.orders IS 'what was ordered'", "nobody waits"),
    silent(51, "CREATE STATISTICS shop.s ON status, total FROM shop.orders", "nobody waits"),
    silent(51, "ALTER TABLE shop.orders VALIDATE CONSTRAINT ck", "everybody reads and writes meanwhile"),
    found(52, "ALTER TABLE shop.orders SET (autovacuum_enabled = false)", "autovacuum-off"),
    silent(
        53,
        "CREATE TRIGGER t BEFORE UPDATE ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.note_update()",
        "writes wait for a moment; an upgrade gives up and tries again when it does not get the lock",
    ),
    found(53, "ALTER TABLE shop.orders DISABLE TRIGGER ALL", "disables-triggers"),
    found(54, "ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY", "hides-rows"),
    found(
        55,
        "CREATE FUNCTION shop.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS $$ SELECT 1 $$",
        "definer-search-path",
    ),
    silent(55, "GRANT SELECT ON shop.orders TO PUBLIC", "who may do what is not judged"),
    found(
        56,
        "ALTER TABLE shop.events ATTACH PARTITION shop.events_2026 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
        "attach-partition-scan",
    ),
    silent(
        57,
        "CREATE TABLE shop.events_2027 PARTITION OF shop.events FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')",
        "everybody waits for a moment; an upgrade gives up and tries again when it does not get the lock",
    ),
    found(58, "ALTER TABLE shop.events DETACH PARTITION shop.events_2024", "detach-partition"),
    found(59, "CREATE INDEX ix ON shop.events (what)", "index-not-concurrent"),
    found(60, "REFRESH MATERIALIZED VIEW shop.revenue", "refresh-blocking"),
    silent(60, "REFRESH MATERIALIZED VIEW CONCURRENTLY shop.revenue", "its readers do not wait"),
    silent(60, "CREATE MATERIALIZED VIEW shop.v AS SELECT * FROM shop.orders", "nobody waits for what is new"),
    found(61, "ALTER DOMAIN shop.email ADD CHECK (VALUE LIKE '%@%')", "domain-scan"),
    silent(61, "ALTER DOMAIN shop.email ADD CONSTRAINT c CHECK (VALUE LIKE '%@%') NOT VALID", "nothing is read"),
    found(62, "LOCK TABLE shop.orders", "locks-table"),
    found(62, "DO $$ BEGIN EXECUTE 'DROP TABLE shop.' || 'orders'; END $$", "unseen"),
    found(62, "DO $$ BEGIN DROP TABLE shop.sessions; END $$", "drops-table"),
    silent(
        66,
        "ALTER TABLE shop.orders ADD COLUMN a int; ALTER TABLE shop.customers ADD COLUMN a int",
        "an upgrade does not wait for one lock while it keeps others from working",
    ),
    found(
        67,
        "ALTER TABLE shop.orders ADD COLUMN channel text; UPDATE shop.orders SET channel = 'web'",
        "scan-while-blocking",
        "updates-all-rows",
    ),
    found(
        67,
        f"ALTER TABLE shop.sessions ADD COLUMN a int; ALTER TABLE shop.sessions ADD {REFERENCE}",
        "foreign-key-scan",
        "foreign-key-without-index",
    ),
    silent(
        68,
        "ALTER TABLE shop.orders ADD COLUMN channel text; UPDATE shop.orders SET channel = 'web' WHERE id = 1",
        "without a scan nobody waits long (row 67 is the other case)",
    ),
    found(71, "BEGIN", "transaction-control"),
    found(71, "COMMIT", "transaction-control"),
    silent(73, "CREATE TABLE IF NOT EXISTS shop.sessions (id int)", "`handrail drift` compares what is there"),
    found(74, "DROP TABLE IF EXISTS shop.sessions; CREATE TABLE shop.sessions (id int)", "drops-table"),
    silent(74, "DROP TABLE IF EXISTS shop.nothing; CREATE TABLE shop.nothing (id int)", "there is no such table"),
    found(75, f"ALTER TABLE shop.orders ADD {REFERENCE} NOT VALID", "foreign-key-without-index"),
    found(76, "ALTER TABLE shop.customers DROP CONSTRAINT pk_customers CASCADE", "drops-cascade"),
    silent(
        77, "ALTER TABLE shop.orders DROP CONSTRAINT pk_orders", "nothing is lost that the downgrade does not restore"
    ),
    silent(
        78,
        "CREATE TABLE shop.t (id int, a int); CREATE INDEX i ON shop.t (a); CREATE INDEX j ON shop.t (a)",
        "a matter of taste and of space, not of safety",
    ),
    silent(
        79, "CREATE TABLE shop.t (id serial PRIMARY KEY, a varchar(10), b char(2), c timestamp)", "a matter of taste"
    ),
    silent(80, "CREATE TABLE shop.t (id int)", "a matter of taste, until it is replicated"),
    found(81, f"ALTER TABLE shop.orders ADD COLUMN {'long_' * 13} text", "identifier-too-long"),
    silent(82, "CREATE TABLE t (id int)", "the search path of an upgrade is known"),
    silent(96, "CREATE EXTENSION IF NOT EXISTS pg_trgm", "whether the role may is seen by trying"),
]

# What no statement shows.
ELSEWHERE = {
    18: "after an upgrade every INVALID index is named, and the exit code says so; `handrail status` does as well",
    40: "SQLAlchemy's statement is judged as it is sent, with the word that it chose for the server",
    63: "an upgrade sets lock_timeout by itself, and tries again",
    64: "an upgrade sets the session's timeouts by itself",
    65: "an upgrade gives CONCURRENTLY all the time that it needs, and looks at the index afterwards",
    69: "each revision is a transaction of its own",
    70: "found in whole revisions, as the page of mixed-revision shows; the journal knows what was interrupted",
    72: "the journal knows the step that was interrupted, and the next upgrade finishes it",
    83: "a rehearsal runs the downgrade",
    84: "a rehearsal compares the catalog and the rows after up and down",
    85: "the journal has the checksum of what was applied",
    86: "alembic/schema.sql conflicts in git, and the revision command refuses two heads",
    87: "`handrail check`",
    88: "autogenerate looks for the table in the project's source before it proposes to drop it",
    89: "schemas are taken from the models",
    90: "only tables of our own are compared, and the version table is none of them",
    91: "`handrail drift`",
    92: "an upgrade stops with the server's message and leaves nothing half-done",
    93: "an upgrade waits its turn",
    94: "an upgrade refuses a pooler that hands its session to others",
    95: "what a revision imports is stood in for while it is read",
    97: "found while a revision is read: the page of bind-parameter is the test",
}
