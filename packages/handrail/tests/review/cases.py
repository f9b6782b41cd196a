"""Revisions as they are written, on tables in use: hazards with the rules that find them, and what is harmless.

Each begins with its name. SQL begins with a comment; Python is the body of upgrade(), or what stands before it, then
a line `### upgrade`, then the body.
"""

from __future__ import annotations

from typing import NamedTuple

IN_USE = '''
op.execute("""
CREATE TABLE users (
    id serial PRIMARY KEY, email varchar(50) NOT NULL, name text, age int, code varchar(10) DEFAULT 'x' NOT NULL,
    created timestamp, price numeric(10,2), data json, kind text);
CREATE TABLE orders (
    id bigint PRIMARY KEY, user_id int REFERENCES users (id), total int NOT NULL DEFAULT 0, note text, status text);
CREATE TABLE events (id bigint, at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE events_old PARTITION OF events FOR VALUES FROM ('2000-01-01') TO ('2001-01-01');
CREATE TABLE events_new (id bigint, at date NOT NULL);
CREATE INDEX ix_orders_note ON orders (note);
CREATE UNIQUE INDEX uq_users_email ON users (email);
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE VIEW rich AS SELECT id, price FROM users;
CREATE MATERIALIZED VIEW sums AS SELECT user_id, sum(total) AS total FROM orders GROUP BY user_id;
CREATE DOMAIN amount AS int;
CREATE TABLE bills (id int PRIMARY KEY, sum amount, mood mood);
ALTER TABLE orders ADD CONSTRAINT orders_note CHECK (note IS NOT NULL);
ALTER TABLE orders ADD CONSTRAINT orders_total CHECK (total >= 0) NOT VALID;
CREATE SCHEMA shop;
CREATE TABLE shop.carts (id int PRIMARY KEY, user_id int);
""")
'''

HAZARDS = r"""
### drop table: drops-table
op.drop_table("orders")
### drop table in a schema: drops-table
op.drop_table("carts", schema="shop")
### drop table with IF EXISTS: drops-table
op.drop_table("orders", if_exists=True)
### drop table in a loop: drops-table
for name in ("orders", "bills"):
    op.execute(f"DROP TABLE {name}")
### drop tables at once: drops-table
-- both
DROP TABLE orders, bills;
### drop and create again: drops-table
op.drop_table("bills")
op.create_table("bills", sa.Column("id", sa.Integer()))
### drop table cascade: drops-table drops-cascade
op.execute("DROP TABLE users CASCADE")
### a time gets its zone: type-rewrite
op.execute("ALTER TABLE users ALTER created TYPE timestamptz USING created AT TIME ZONE 'UTC'")
### an index after another change of the table: index-not-concurrent
op.add_column("users", sa.Column("x", sa.Integer()))
op.create_index("ix_x", "users", ["x"])
### drop column: drops-column
op.drop_column("users", "name")
### drop column of several: drops-column
op.execute("ALTER TABLE users ADD x int, DROP COLUMN name, ADD y int")
### drop column IF EXISTS: drops-column
op.execute("ALTER TABLE IF EXISTS users DROP IF EXISTS name")
### drop column in a batch: drops-column
with op.batch_alter_table("users") as batch:
    batch.drop_column("name")
### drop and add a column: drops-column
op.drop_column("users", "name")
op.add_column("users", sa.Column("label", sa.Text()))
### drop column cascade: drops-column drops-cascade
op.execute("ALTER TABLE users DROP COLUMN price CASCADE")
### truncate: truncates
op.get_bind().execute(text("TRUNCATE orders"))
### truncate cascade: truncates
-- all
TRUNCATE TABLE users CASCADE;
### delete everything: deletes-all-rows
op.execute("DELETE FROM orders")
### delete by the ORM: deletes-all-rows
op.get_bind().execute(sa.delete(sa.table("orders")))
### delete where true: deletes-all-rows
op.execute("DELETE FROM orders WHERE true")
### update everything: updates-all-rows
op.execute("UPDATE users SET kind = 'a'")
### update where true: updates-all-rows
op.execute("UPDATE users SET kind = 'a' WHERE 1 = 1")
### update what is null: updates-all-rows
op.execute("UPDATE users SET kind = 'a' WHERE kind IS NULL")
### update from another: updates-all-rows
op.execute("UPDATE orders SET note = u.name FROM users u WHERE u.id = orders.user_id")
### update what is true: updates-all-rows
op.execute("UPDATE users SET kind = 'a' WHERE active = true AND kind <> 'b'")
### update what begins alike: updates-all-rows
op.execute("UPDATE users SET kind = 'a' WHERE email LIKE '%@example.com' OR id = 7")
### delete everything by the way: deletes-all-rows
op.execute("WITH gone AS (DELETE FROM orders RETURNING id) INSERT INTO bills (id) SELECT id FROM gone")
### update everything by the way: updates-all-rows
op.execute("WITH changed AS (UPDATE users SET kind = 'a' RETURNING id) SELECT count(*) FROM changed")
### delete what is old: deletes-many-rows
op.execute("DELETE FROM users WHERE created < now() - interval '2 years'")
### delete duplicates: deletes-many-rows
op.execute("DELETE FROM users a USING users b WHERE a.id > b.id AND a.name = b.name")
### update by a session: updates-all-rows
from sqlalchemy.orm import Session
### upgrade
session = Session(bind=op.get_bind())
session.execute(sa.update(sa.table("users", sa.column("kind"))).values(kind="a"))
session.commit()
### drop schema: drops-schema
op.execute("DROP SCHEMA shop CASCADE")
### drop owned: drops-schema
op.execute("DROP OWNED BY app")
### index: index-not-concurrent
op.create_index("ix", "orders", ["status"])
### index by f: index-not-concurrent
op.create_index(op.f("ix_orders_status"), "orders", ["status"], unique=False)
### index on an expression: index-not-concurrent
op.create_index("ix", "users", [text("lower(email)")])
### index if not exists: index-not-concurrent
op.create_index("ix", "users", ["age"], if_not_exists=True)
### gin index in SQL: index-not-concurrent
-- slow
CREATE INDEX ix ON users USING gin (to_tsvector('english', name));
### unique index: index-not-concurrent
op.create_index("ux", "orders", ["status"], unique=True)
### index of a new column: index-not-concurrent
op.add_column("orders", sa.Column("x", sa.Integer()))
op.create_index("ix", "orders", ["x"])
### index in a batch: index-not-concurrent
with op.batch_alter_table("orders") as batch:
    batch.create_index("ix", ["status"])
### column with index=True: index-not-concurrent
op.add_column("orders", sa.Column("x", sa.Integer(), index=True))
### drop index: drop-index-not-concurrent
op.drop_index("ix_orders_note", table_name="orders")
### drop index in SQL: drop-index-not-concurrent
-- it
DROP INDEX ix_orders_note;
### reindex: reindex-not-concurrent
op.execute("REINDEX TABLE orders")
### reindex index: reindex-not-concurrent
op.execute("REINDEX INDEX ix_orders_note")
### unique constraint: unique-scan
op.create_unique_constraint("uq", "users", ["name"])
### unique column: unique-scan
op.execute("ALTER TABLE users ADD UNIQUE (name, age)")
### primary key: primary-key-scan
op.create_primary_key("pk", "events_new", ["id"])
### exclusion: exclusion-scan
op.create_exclude_constraint("ex", "users", ("age", "="), using="gist")
### foreign key: foreign-key-scan
op.create_foreign_key("fk", "carts", "users", ["user_id"], ["id"], source_schema="shop")
### foreign key in SQL: foreign-key-scan
-- all
ALTER TABLE shop.carts ADD FOREIGN KEY (user_id) REFERENCES users;
### column, then foreign key: foreign-key-scan
op.add_column("users", sa.Column("boss", sa.Integer()))
op.create_foreign_key(None, "users", "users", ["boss"], ["id"])
### column with default and reference: foreign-key-scan
op.execute("ALTER TABLE users ADD boss int DEFAULT 1 REFERENCES users")
### check: check-scan
op.create_check_constraint("ck", "users", "age > 0")
### column with a check: check-scan
op.execute("ALTER TABLE users ADD COLUMN x int CHECK (x > 0)")
### set not null: set-not-null
op.alter_column("users", "name", existing_type=sa.Text(), nullable=False)
### set not null with a check that is not validated: set-not-null
op.execute("ALTER TABLE users ADD CONSTRAINT c CHECK (name IS NOT NULL) NOT VALID")
op.alter_column("users", "name", nullable=False)
### validate in the transaction of NOT VALID: scan-while-blocking
op.execute("ALTER TABLE users ADD CONSTRAINT c CHECK (age > 0) NOT VALID")
op.execute("ALTER TABLE users VALIDATE CONSTRAINT c")
### foreign key validated in the transaction of NOT VALID: scan-while-blocking
op.create_foreign_key("fk", "orders", "users", ["user_id"], ["id"], postgresql_not_valid=True)
op.execute("ALTER TABLE orders VALIDATE CONSTRAINT fk")
### backfill after a new column: updates-all-rows
op.add_column("users", sa.Column("x", sa.Integer()))
op.execute("UPDATE users SET x = age * 2")
### column with uuid: volatile-default
op.add_column("users", sa.Column("uid", sa.Uuid(), server_default=text("gen_random_uuid()"), nullable=False))
### column with a clock: volatile-default
op.execute("ALTER TABLE users ADD at timestamptz DEFAULT clock_timestamp()")
### column with somebody's function: volatile-default
op.execute("ALTER TABLE users ADD key text DEFAULT make_key()")
### serial column: counted-column
op.execute("ALTER TABLE events_new ADD nr bigserial")
### identity column: counted-column
op.add_column("users", sa.Column("nr", sa.BigInteger(), sa.Identity(), nullable=False))
### stored column: stored-column
op.add_column("users", sa.Column("twice", sa.Integer(), sa.Computed("age * 2", persisted=True)))
### int to bigint: type-rewrite
op.alter_column("users", "age", existing_type=sa.Integer(), type_=sa.BigInteger())
### timestamp to timestamptz: type-rewrite
op.alter_column("users", "created", type_=sa.DateTime(timezone=True))
### json to jsonb: type-rewrite
op.execute("ALTER TABLE users ALTER COLUMN data TYPE jsonb USING data::jsonb")
### text to integer: type-rewrite narrows-type
op.alter_column("users", "kind", type_=sa.Integer(), postgresql_using="kind::integer")
### text to integer without USING: missing-cast
op.alter_column("users", "kind", type_=sa.Integer())
### shorter text: narrows-type
op.alter_column("users", "email", existing_type=sa.String(50), type_=sa.String(20))
### a default that is not converted with its column: missing-cast
op.execute("ALTER TABLE users ALTER kind SET DEFAULT 'good'")
op.execute("ALTER TABLE users ALTER kind TYPE mood USING kind::mood")
### text with a limit: narrows-type
op.execute("ALTER TABLE users ALTER name TYPE varchar(255)")
### scale of a number: type-rewrite
op.alter_column("users", "price", type_=sa.Numeric(10, 4))
### type of a column that a view shows: type-in-use
op.execute("ALTER TABLE users ALTER price TYPE numeric(12,2)")
### enum is made anew: type-rewrite
op.execute("ALTER TABLE bills ALTER mood TYPE text")
op.execute("DROP TYPE mood")
op.execute("CREATE TYPE mood AS ENUM ('good')")
op.execute("ALTER TABLE bills ALTER mood TYPE mood USING mood::mood")
### cluster: rewrites-table
op.execute("CLUSTER orders USING ix_orders_note")
### vacuum full: rewrites-table
-- room
VACUUM FULL orders;
### unlogged: rewrites-table unlogged
op.execute("ALTER TABLE orders SET UNLOGGED")
### tablespace: rewrites-table
op.execute("ALTER TABLE orders SET TABLESPACE fast")
### attach a partition: attach-partition-scan
op.execute("ALTER TABLE events ATTACH PARTITION events_new FOR VALUES FROM ('2001-01-01') TO ('2002-01-01')")
### detach a partition: detach-partition
op.execute("ALTER TABLE events DETACH PARTITION events_old")
### refresh: refresh-blocking
op.execute("REFRESH MATERIALIZED VIEW sums")
### check of a domain: domain-scan
op.execute("ALTER DOMAIN amount ADD CONSTRAINT positive CHECK (VALUE > 0)")
### lock table: locks-table
op.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
### rename a column: renames-column
op.alter_column("users", "name", new_column_name="label")
### rename a table: renames-table
op.rename_table("orders", "purchases")
### move a table: renames-table
op.execute("ALTER TABLE orders SET SCHEMA shop")
### rename a schema: renames-object
op.execute("ALTER SCHEMA shop RENAME TO store")
### rename a value: renames-object
op.execute("ALTER TYPE mood RENAME VALUE 'bad' TO 'sad'")
### drop a default: drops-default
op.alter_column("users", "code", server_default=None)
### a default for the rows that are there only: drops-default
op.add_column("users", sa.Column("x", sa.Integer(), server_default="0", nullable=False))
op.alter_column("users", "x", server_default=None)
### row security without a policy: hides-rows
op.execute("ALTER TABLE users ENABLE ROW LEVEL SECURITY")
### json column: json-column
op.add_column("users", sa.Column("extra", sa.JSON(), nullable=True))
### required column: required-column
op.add_column("users", sa.Column("x", sa.Integer(), nullable=False))
### required column with a default in Python: required-column
op.add_column("users", sa.Column("x", sa.Boolean(), default=False, nullable=False))
### a column and an index by itself: mixed-revision
op.add_column("users", sa.Column("x", sa.Integer()))
with op.get_context().autocommit_block():
    op.create_index("ix_age", "users", ["age"], postgresql_concurrently=True)
### concurrently in a transaction: concurrently-in-transaction
op.create_index("ix", "users", ["age"], postgresql_concurrently=True)
### concurrently by SQL in a transaction: concurrently-in-transaction
op.execute("DROP INDEX CONCURRENTLY ix_orders_note")
### a new value is used: new-value-used
op.execute("ALTER TYPE mood ADD VALUE 'fine'")
op.execute("UPDATE bills SET mood = 'fine' WHERE id = 1")
### commit: transaction-control
op.execute("COMMIT")
### bind parameter: bind-parameter
op.execute("UPDATE users SET data = '{\"a\":true}' WHERE id = 1")
### long name: identifier-too-long
op.create_unique_constraint("uq_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "users", ["age"])
### all triggers of all tables off: disables-triggers
op.execute("SET session_replication_role = 'replica'")
### all triggers off: disables-triggers
op.execute("ALTER TABLE orders DISABLE TRIGGER ALL")
### autovacuum off, as a word: autovacuum-off
op.execute("ALTER TABLE orders SET (autovacuum_enabled = off)")
### autovacuum off: autovacuum-off
op.execute("ALTER TABLE orders SET (autovacuum_enabled = false)")
### definer: definer-search-path
op.execute("CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'")
### in a DO block: drops-column
op.execute("DO $$ BEGIN IF true THEN ALTER TABLE users DROP COLUMN name; END IF; END $$")
### in a DO block, as a text: drops-column
op.execute("DO $$ BEGIN EXECUTE 'ALTER TABLE users DROP COLUMN name'; END $$")
### in a DO block, put together: unseen
op.execute("DO $$ BEGIN EXECUTE 'DROP TABLE ' || 'users'; END $$")
### where inspect() finds it: drops-column
if "name" in {column["name"] for column in sa.inspect(op.get_bind()).get_columns("users")}:
    op.drop_column("users", "name")
### where a question is answered: drops-table
if op.get_bind().execute(text("SELECT 1 FROM pg_class WHERE relname = 'orders'")).scalar():
    op.drop_table("orders")
### where a question is answered with nothing: index-not-concurrent
if not op.get_bind().scalar(text("SELECT to_regclass('ix')")):
    op.create_index("ix", "orders", ["status"])
### by a helper function: drops-column
def change(table, *columns):
    for column in columns:
        op.drop_column(table, column)
### upgrade
change("users", "name")
### by a table that is described here: drops-table
orders = sa.Table("orders", sa.MetaData(), sa.Column("id", sa.Integer()))
### upgrade
orders.drop(op.get_bind())
### on PostgreSQL only: drops-column
if op.get_context().dialect.name == "postgresql":
    op.drop_column("users", "name")
### after an early return: drops-column
if op.get_bind().dialect.name == "sqlite":
    return
op.drop_column("users", "name")
### several statements in one text: drops-table
op.execute("SET lock_timeout = 1000; DROP TABLE orders; SELECT 1")
### quoted names: drops-column
op.execute('ALTER TABLE "public"."users" DROP COLUMN "name"')
### after DDL of SQLAlchemy's: drops-table
op.execute(sa.schema.DropTable(sa.table("orders")))
"""

HARMLESS = r'''
### create table
op.create_table(
    "t", sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True), sa.Column("n", sa.Text(), nullable=False)
)
### create table with everything in it
op.create_table(
    "t",
    sa.Column("id", sa.Uuid(), server_default=text("gen_random_uuid()"), primary_key=True),
    sa.Column("user_id", sa.Integer(), sa.ForeignKey("users.id"), nullable=False, index=True),
    sa.Column("code", sa.String(10), unique=True),
    sa.CheckConstraint("length(code) > 2", name="ck"),
)
op.create_index("ix_t", "t", ["code", "user_id"], unique=True)
op.create_foreign_key("fk_t", "t", "orders", ["user_id"], ["id"], postgresql_not_valid=True)
### index on a new table
op.create_table("t", sa.Column("id", sa.Integer()))
op.create_index("ix", "t", ["id"])
### constraints on a new table
op.create_table("t", sa.Column("id", sa.Integer()))
op.create_primary_key("pk", "t", ["id"])
op.create_check_constraint("ck", "t", "id > 0")
op.alter_column("t", "id", nullable=False)
### type of a new table
op.execute("CREATE TABLE t (id int)")
op.execute("ALTER TABLE t ALTER id TYPE bigint")
### new table is filled
op.execute("CREATE TABLE t (id int)")
op.execute("INSERT INTO t SELECT id FROM users")
op.execute("UPDATE t SET id = 1")
op.execute("DELETE FROM t")
### new table is filled in bulk
table = op.create_table("t", sa.Column("id", sa.Integer()))
op.bulk_insert(table, [{"id": 1}, {"id": 2}])
### new table is renamed
op.execute("CREATE TABLE t (id int)")
op.rename_table("t", "u")
op.create_index("ix", "u", ["id"])
### new table is dropped again
op.execute("CREATE TABLE t (id int)")
op.drop_table("t")
### new table by SQLAlchemy
t = sa.Table("t", sa.MetaData(), sa.Column("id", sa.Integer(), index=True))
### upgrade
t.create(op.get_bind(), checkfirst=True)
### new temporary table
op.execute("CREATE TEMPORARY TABLE t (id int)")
op.execute("CREATE INDEX ON t (id)")
op.execute("DROP TABLE t")
### new table in a new schema
op.execute("CREATE SCHEMA IF NOT EXISTS new")
op.create_table("t", sa.Column("id", sa.Integer()), schema="new")
op.create_index("ix", "t", ["id"], schema="new")
### table like another
op.execute("CREATE TABLE t (LIKE users INCLUDING ALL)")
### table of a query
op.execute("CREATE TABLE t AS SELECT id FROM users WITH NO DATA")
op.execute("CREATE INDEX ON t (id)")
### nullable column
op.add_column("users", sa.Column("x", sa.Integer(), nullable=True))
### column with a constant
op.add_column("users", sa.Column("x", sa.Boolean(), server_default=sa.false(), nullable=False))
### column with a constant text
op.add_column("users", sa.Column("x", sa.String(20), server_default="none", nullable=False))
### column with now()
op.add_column("users", sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False))
### column with CURRENT_TIMESTAMP
op.execute("ALTER TABLE users ADD at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP")
### column with an empty object
op.add_column("users", sa.Column("d", postgresql.JSONB(), server_default=text("'{}'::jsonb"), nullable=False))
### column with an empty list
op.add_column("users", sa.Column("d", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False))
### column of an enum
op.add_column("users", sa.Column("m", sa.Enum("good", "bad", name="mood", create_type=False), server_default="good"))
### column that refers to another table
op.execute("ALTER TABLE users ADD order_id bigint REFERENCES orders")
### unique column that is empty
op.execute("ALTER TABLE bills ADD nr int")
### virtual column
op.execute("ALTER TABLE users ADD twice int GENERATED ALWAYS AS (age * 2) VIRTUAL")
### column and its comment
op.add_column("users", sa.Column("x", sa.Integer(), comment="of what"))
### column in a batch
with op.batch_alter_table("users") as batch:
    batch.add_column(sa.Column("x", sa.Text()))
### column if not exists
op.execute("ALTER TABLE users ADD COLUMN IF NOT EXISTS x int")
### new column is renamed
op.add_column("users", sa.Column("x", sa.Integer()))
op.alter_column("users", "x", new_column_name="y")
### new column is dropped
op.add_column("users", sa.Column("x", sa.Integer()))
op.drop_column("users", "x")
### longer text
op.alter_column("users", "email", existing_type=sa.String(50), type_=sa.String(100), existing_nullable=False)
### text without a limit
op.alter_column("users", "email", type_=sa.Text())
### text to varchar without a limit
op.execute("ALTER TABLE users ALTER name TYPE varchar")
### more digits
op.execute("ALTER TABLE bills ADD p numeric(10,2)")
op.execute("ALTER TABLE bills ALTER p TYPE numeric(12,2)")
### digits of a time that it has
op.execute("ALTER TABLE users ALTER created TYPE timestamp(6)")
### a longer text with a check that was never validated
op.execute("ALTER TABLE users ADD CONSTRAINT c CHECK (code <> '') NOT VALID")
op.execute("ALTER TABLE users ALTER code TYPE varchar(20)")
### the same type
op.alter_column("users", "age", existing_type=sa.Integer(), type_=sa.Integer())
### an enum
sa.Enum("a", "b", name="shape").create(op.get_bind(), checkfirst=True)
### a value of an enum
op.execute("ALTER TYPE mood ADD VALUE IF NOT EXISTS 'fine' AFTER 'good'")
### a value of an enum, then used
with op.get_context().autocommit_block():
    op.execute("ALTER TYPE mood ADD VALUE 'fine' AFTER 'good'")
op.execute("UPDATE bills SET mood = 'fine' WHERE id = 7")
### a new enum is used
op.execute("CREATE TYPE shape AS ENUM ('a')")
op.execute("ALTER TABLE users ADD s shape DEFAULT 'a'")
### check that is not valid
op.create_check_constraint("ck", "users", "age > 0", postgresql_not_valid=True)
### foreign key that is not valid
op.create_foreign_key("fk", "bills", "users", ["id"], ["id"], postgresql_not_valid=True)
### foreign key that is not valid, in SQL
-- later
ALTER TABLE bills ADD CONSTRAINT fk FOREIGN KEY (id) REFERENCES users NOT VALID;
### validate
op.execute("ALTER TABLE orders VALIDATE CONSTRAINT orders_total")
### not null that a check proves
op.alter_column("orders", "note", nullable=False, server_default="")
### not null that is there
op.alter_column("users", "email", existing_type=sa.String(50), nullable=False)
### null is allowed
op.alter_column("users", "email", existing_type=sa.String(50), nullable=True)
### unique by an index
op.execute("ALTER TABLE users ADD CONSTRAINT uq UNIQUE USING INDEX uq_users_email")
### drop a constraint
op.drop_constraint("orders_note", "orders", type_="check")
### rename a constraint
op.execute("ALTER TABLE orders RENAME CONSTRAINT orders_note TO ck_note")
### a default
op.alter_column("users", "age", server_default="0")
### a default is taken away and given again
op.alter_column("users", "code", server_default=None)
op.alter_column("users", "code", server_default="y")
### a default of a required column
op.alter_column("users", "email", server_default="")
### index concurrently
with op.get_context().autocommit_block():
    op.create_index("ix", "orders", ["status"], postgresql_concurrently=True, if_not_exists=True)
### index concurrently in SQL
-- outside of a transaction
CREATE INDEX CONCURRENTLY ix ON orders (status);
### drop index concurrently
with op.get_context().autocommit_block():
    op.drop_index("ix_orders_note", postgresql_concurrently=True)
### reindex concurrently
with op.get_context().autocommit_block():
    op.execute("REINDEX INDEX CONCURRENTLY ix_orders_note")
### rename an index
op.execute("ALTER INDEX ix_orders_note RENAME TO ix_note")
### index of a partitioned table alone
op.execute("CREATE INDEX ix ON ONLY events (at)")
### insert
op.execute("INSERT INTO users (email) VALUES ('a@b.c')")
### insert from a query
op.execute("INSERT INTO bills (id) SELECT id FROM orders ON CONFLICT DO NOTHING")
### update one row
op.execute("UPDATE users SET kind = 'a' WHERE id = 1")
### update some rows
op.execute("UPDATE users SET kind = 'a' WHERE email = 'root'")
### delete one row
op.execute(sa.delete(sa.table("users", sa.column("id"))).where(sa.column("id") == 1))
### delete some rows
op.execute("DELETE FROM users WHERE email IN ('a', 'b')")
### update a range of keys
op.execute("UPDATE users SET kind = 'a' WHERE id > 5000 AND id <= 10000")
op.execute("UPDATE users SET kind = 'a' WHERE id BETWEEN 1 AND 5000 AND kind IS NULL")
### delete by a list that is empty
op.execute(sa.delete(sa.table("users", sa.column("id"))).where(sa.column("id").in_([])))
### delete by a value
op.execute(text("DELETE FROM users WHERE kind = :kind OR code IN ('a', 'b')").bindparams(kind="old"))
### batches
connection = op.get_bind()
while True:
    changed = connection.execute(
        text("UPDATE users SET kind = 'a' WHERE id IN (SELECT id FROM users WHERE kind IS NULL LIMIT 1000)")
    )
    if changed.rowcount == 0:
        break
### only looking
rows = op.get_bind().execute(text("SELECT id, name FROM users")).fetchall()
assert len(rows) < 10**9
### settings
op.execute("SET lock_timeout = '5s'")
op.execute("SET LOCAL statement_timeout = 0")
op.execute("SELECT set_config('search_path', 'public', true)")
### comments
op.create_table_comment("users", "people", existing_comment=None)
op.execute("COMMENT ON COLUMN users.age IS 'years'")
### statistics
op.execute("ALTER TABLE users ALTER age SET STATISTICS 500")
op.execute("CREATE STATISTICS st ON age, kind FROM users")
op.execute("ANALYZE users")
### storage parameters
op.execute("ALTER TABLE users SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01)")
### extension
op.execute('CREATE EXTENSION IF NOT EXISTS "uuid-ossp"')
### schema
op.execute("CREATE SCHEMA IF NOT EXISTS audit AUTHORIZATION app")
### sequence
op.execute("CREATE SEQUENCE s START 100")
op.execute("ALTER SEQUENCE s OWNED BY users.id")
### view
op.execute("CREATE OR REPLACE VIEW poor AS SELECT id FROM users WHERE price < 10")
### materialized view without data
op.execute("CREATE MATERIALIZED VIEW m AS SELECT id FROM users WITH NO DATA")
### refresh concurrently
op.execute("REFRESH MATERIALIZED VIEW CONCURRENTLY sums")
### grant
op.execute("GRANT SELECT ON users TO reader")
op.execute("REVOKE ALL ON users FROM PUBLIC")
### function
op.execute("""
    CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        UPDATE users SET age = 1;
        RETURN NEW;
    END $$
""")
### trigger
op.execute("CREATE TRIGGER t BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION f()")
### rename with a view in the old place
op.rename_table("orders", "purchases")
op.execute("CREATE VIEW orders AS SELECT * FROM purchases")
### row security with a policy
op.execute("CREATE POLICY p ON users USING (true)")
op.execute("ALTER TABLE users ENABLE ROW LEVEL SECURITY")
### row security, then a policy
op.execute("ALTER TABLE users ENABLE ROW LEVEL SECURITY")
op.execute("CREATE POLICY p ON users USING (true)")
### triggers off and on again
op.execute("ALTER TABLE orders DISABLE TRIGGER USER")
op.execute("UPDATE orders SET note = '' WHERE id = 3")
op.execute("ALTER TABLE orders ENABLE TRIGGER USER")
### detach concurrently
with op.get_context().autocommit_block():
    op.execute("ALTER TABLE events DETACH PARTITION events_old CONCURRENTLY")
### attach what is new
op.execute("CREATE TABLE e (LIKE events)")
op.execute("ALTER TABLE events ATTACH PARTITION e FOR VALUES FROM ('2010-01-01') TO ('2011-01-01')")
### drop a view
op.execute("DROP VIEW IF EXISTS rich")
### drop a function
op.execute("DROP FUNCTION IF EXISTS f()")
### enum in a DO block
op.execute("DO $$ BEGIN CREATE TYPE shape AS ENUM ('a'); EXCEPTION WHEN duplicate_object THEN NULL; END $$")
### definer with a search path
op.execute("CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = public AS 'SELECT 1'")
### nothing
pass
### only in downgrade
def downgrade():
    op.drop_table("users")
### upgrade
pass
### on another database only
if op.get_bind().dialect.name == "mysql":
    op.drop_table("users")
### an owner
op.execute("ALTER TABLE users OWNER TO app")
### advisory lock
op.execute("SELECT pg_advisory_xact_lock(1)")
### texts that look like SQL
op.execute("INSERT INTO users (email, name) VALUES ('a', 'DROP TABLE users; DELETE FROM orders')")
'''


class Case(NamedTuple):
    """A revision.

    Attributes:
        name: What it is about.
        expected: The rules that find something.
        outside: Code before upgrade().
        body: Of upgrade(), or SQL.
    """

    name: str
    expected: set[str]
    outside: str
    body: str


def cases(table: str) -> list[Case]:
    found: list[Case] = []
    for text in table.removeprefix("\n### ").split("\n### "):
        head, _, code = text.partition("\n")
        if head == "upgrade":
            last = found.pop()
            found.append(last._replace(outside=last.body, body=code))
        else:
            name, _, expected = head.partition(": ")
            found.append(Case(name, set(expected.split()), "", code))
    return found
