"""What statements do on PostgreSQL, measured: for whoever measures it again, and for whoever claims to know it.

Each row is run by itself on the tables of `SET_UP`, 1000 rows in each but `e`, which is empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from handrail.effects import Effect, LockMode, Loss, Lost, Relation

SET_UP = (
    "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')",
    "CREATE DOMAIN short AS varchar(20)",
    "CREATE TABLE t2 (id int PRIMARY KEY, code text NOT NULL)",
    "INSERT INTO t2 SELECT i, 'code ' || i FROM generate_series(1, 1000) i",
    "CREATE TABLE t (id int PRIMARY KEY, x int, n int NOT NULL, v varchar(10), note text, num numeric(10, 2), d date, "
    "ts timestamp, flag boolean, m mood, j json, ip cidr, ref int, sh short, arr int[])",
    "INSERT INTO t SELECT i, i, i, 'v' || i, 'note ' || i, i + 0.25, date '2026-01-01' + i, "
    "timestamp '2026-01-01 12:30' + i * interval '1 hour', i % 2 = 0, "
    "(ARRAY['sad', 'ok', 'happy'])[i % 3 + 1]::mood, '{}', '10.0.0.0/8', i, 'sh', ARRAY[i] "
    "FROM generate_series(1, 1000) i",
    "CREATE INDEX t_v_idx ON t (v)",
    "CREATE INDEX t_note_idx ON t (note)",
    "CREATE TABLE e (id int PRIMARY KEY, x int, note text)",
    "CREATE TABLE p (id int NOT NULL, d date) PARTITION BY RANGE (id)",
    "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (1001)",
    "INSERT INTO p SELECT i, date '2026-01-01' FROM generate_series(1, 1000) i",
    "CREATE TABLE p2 (id int NOT NULL, d date)",
    "INSERT INTO p2 SELECT i, date '2026-01-01' FROM generate_series(2001, 3000) i",
    "CREATE SCHEMA other",
    "CREATE SEQUENCE s_seq",
    "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "ANALYZE",
)
LOCKS = {
    "AS": LockMode.ACCESS_SHARE,
    "RS": LockMode.ROW_SHARE,
    "RE": LockMode.ROW_EXCLUSIVE,
    "SUE": LockMode.SHARE_UPDATE_EXCLUSIVE,
    "S": LockMode.SHARE,
    "SRE": LockMode.SHARE_ROW_EXCLUSIVE,
    "E": LockMode.EXCLUSIVE,
    "AE": LockMode.ACCESS_EXCLUSIVE,
}
MINOR = re.compile(r"_(idx|key|pkey|seq)$")  # indexes and sequences


@dataclass(frozen=True)
class Truth:
    """One statement and what it does.

    Attributes:
        statement: Run by itself, in a transaction unless it commits by itself.
        locks: `t AE, t2 SRE`: of all tables and views that were there before; of indexes only where it matters.
        scans: The tables that are read from beginning to end.
        rewrites: The tables that are written anew, all their indexes with them; or the indexes alone.
        losses: `column t.x, rows t`: what is lost.
        setup: Statements before it, which count as done long ago.
        autocommit: Whether it is run outside of a transaction.
        fails: SQLSTATE of its error; then it has no effect.
        since: The first major version that knows it, or on which it is so.
        until: The last one.
    """

    statement: str
    locks: str = ""
    scans: str = ""
    rewrites: str = ""
    losses: str = ""
    setup: tuple[str, ...] = ()
    autocommit: bool = False
    fails: str = ""
    since: int = 14
    until: int = 99

    @property
    def name(self) -> str:
        """Name it for people."""
        before = f" after {'; '.join(self.setup)}" if self.setup else ""
        version = f" [{self.since}+]" if self.since > 14 else f" [-{self.until}]" if self.until < 99 else ""
        alone = " by itself" if self.autocommit else ""
        return f"{self.statement}{alone}{before}{version}"

    def holds_on(self, major: int) -> bool:
        """Whether it speaks about this version of PostgreSQL."""
        return self.since <= major <= self.until

    @property
    def effect(self) -> Effect:
        """The effect, as far as this table tells it."""
        pairs = (part.split() for part in self.locks.split(",") if part)
        return Effect(
            locks={relation(name): LOCKS[mode] for name, mode in pairs},
            scans={relation(name) for name in self.scans.split()},
            rewrites={relation(name) for name in self.rewrites.split()},
            losses=[loss(*part.split()) for part in self.losses.split(",") if part],
        )


def relation(name: str) -> Relation:
    """Return a relation of `public`, unless another schema is named."""
    schema, dot, own = name.rpartition(".")
    return Relation(schema if dot else "public", own)


def loss(what: str, where: str) -> Loss:
    """Return what `column t.x` stands for."""
    if what in (Lost.COLUMN, Lost.VALUES):
        table, _, column = where.rpartition(".")
        return Loss(Lost(what), relation(table), column)
    if what == Lost.SCHEMA:
        return Loss(Lost.SCHEMA, Relation(where, where))
    return Loss(Lost(what), relation(where))


def is_minor(name: Relation) -> bool:
    """Whether it is an index or a sequence, by its name."""
    return MINOR.search(name.name) is not None


def disagreements(truth: Truth, effect: Effect) -> list[str]:
    """Return in which respects an effect is not what this table says.

    Tables count exactly; of the locks on indexes and sequences only those that are named, and of the indexes that are
    written anew only those whose table is not.
    """
    expected = truth.effect
    found = []
    named = set(expected.locks)
    locks = {name: mode for name, mode in effect.locks.items() if not is_minor(name) or name in named}
    if locks != expected.locks:
        found.append(f"locks: {said(locks)}, not {said(expected.locks)}")
    if effect.scans != expected.scans:
        found.append(f"scans: {names(effect.scans)}, not {names(expected.scans)}")
    tables = {name for name in effect.rewrites if not is_minor(name)}
    rewrites = tables or effect.rewrites
    if rewrites != expected.rewrites:
        found.append(f"rewrites: {names(rewrites)}, not {names(expected.rewrites)}")
    if set(effect.losses) != set(expected.losses):
        found.append(f"losses: {losses(effect.losses)}, not {losses(expected.losses)}")
    return found


def said(locks: dict[Relation, LockMode]) -> str:
    """Return locks as they are written here."""
    short = {mode: word for word, mode in LOCKS.items()}
    return repr(", ".join(f"{name_of(name)} {short[mode]}" for name, mode in sorted(locks.items())))


def names(relations: Iterable[Relation]) -> str:
    """Return relations as they are written here."""
    return repr(" ".join(sorted(name_of(name) for name in relations)))


def losses(found: Iterable[Loss]) -> str:
    """Return losses as they are written here."""
    words = (
        f"{what} {name_of(table) if what != Lost.SCHEMA else table.name}{'.' if column else ''}{column}"
        for what, table, column in found
    )
    return repr(", ".join(sorted(words)))


def name_of(name: Relation) -> str:
    """Return a relation as it is written here."""
    return name.name if name.schema == "public" else str(name)


T, AE = "ALTER TABLE t ", "t AE"
CHECK_X = "ALTER TABLE t ADD CONSTRAINT c CHECK (x IS NOT NULL)"
TRIGGER = "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION touch()"
MATVIEW = "CREATE MATERIALIZED VIEW mv AS SELECT id, x FROM t"
MATVIEW_KEY = "CREATE UNIQUE INDEX mv_id_idx ON mv (id)"
VIEW = "CREATE VIEW w AS SELECT id, x FROM t"
FOREIGN_KEY = T + "ADD CONSTRAINT f FOREIGN KEY (ref) REFERENCES t2"
P2_CHECK = "ALTER TABLE p2 ADD CHECK (id IS NOT NULL AND id >= 2001 AND id < 3001)"
ATTACH = "ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (2001) TO (3001)"
SERIAL_KEY = "CREATE TABLE k (id serial PRIMARY KEY, x int)"

NOT_NULL = (
    Truth(T + "ALTER x SET NOT NULL", AE, scans="t"),
    Truth(T + "ALTER x SET NOT NULL", AE, setup=(CHECK_X,)),
    Truth(T + "ALTER x SET NOT NULL", AE, scans="t", setup=(CHECK_X + " NOT VALID",)),
    Truth(T + "ALTER n SET NOT NULL", AE),
    Truth(T + "ALTER n DROP NOT NULL", AE),
    Truth("ALTER TABLE e ALTER x SET NOT NULL", "e AE", scans="e"),
    Truth(T + "ADD CONSTRAINT nn NOT NULL x", AE, scans="t", since=18),
    Truth(T + "ADD CONSTRAINT nn NOT NULL x NOT VALID", AE, since=18),
    Truth(T + "VALIDATE CONSTRAINT nn", "t SUE", "t", setup=(T + "ADD CONSTRAINT nn NOT NULL x NOT VALID",), since=18),
    Truth(T + "ADD CONSTRAINT nn NOT NULL x NOT VALID", fails="42601", until=17),
    Truth(T + "ALTER x SET NOT NULL", fails="23502", setup=("UPDATE t SET x = NULL WHERE id = 7",)),
)
CHECKS = (
    Truth(T + "ADD CHECK (x > 0)", AE, scans="t"),
    Truth(T + "ADD CHECK (x > 0) NOT VALID", AE),
    Truth(T + "VALIDATE CONSTRAINT c", "t SUE", scans="t", setup=(CHECK_X + " NOT VALID",)),
    Truth(T + "VALIDATE CONSTRAINT c", "t SUE", setup=(CHECK_X,)),
    Truth(T + "ADD CHECK (x > 0) NOT ENFORCED", AE, since=18),
    Truth(T + "ADD CHECK (x > 10)", fails="23514"),
    Truth(T + "DROP CONSTRAINT c", AE, setup=(CHECK_X,)),
    Truth(T + "RENAME CONSTRAINT c TO c2", AE, setup=(CHECK_X,)),
)
COLUMNS = (
    Truth(T + "ADD y int", AE),
    Truth(T + "ADD y int NOT NULL DEFAULT 5", AE),
    Truth(T + "ADD y timestamptz DEFAULT now()", AE),
    Truth(T + "ADD y date DEFAULT CURRENT_DATE", AE),
    Truth(T + "ADD y text DEFAULT ('a' || 'b')", AE),
    Truth(T + "ADD y timestamptz DEFAULT clock_timestamp()", AE, "t", "t"),
    Truth(T + "ADD y uuid DEFAULT gen_random_uuid()", AE, "t", "t"),
    Truth(T + "ADD y uuid DEFAULT uuidv7()", AE, "t", "t", since=18),
    Truth(T + "ADD y float DEFAULT random()", AE, "t", "t"),
    Truth(T + "ADD y int DEFAULT nextval('s_seq')", AE, "t", "t"),
    Truth(T + "ADD y serial", AE, "t", "t"),
    Truth(T + "ADD y int GENERATED BY DEFAULT AS IDENTITY", AE, "t", "t"),
    Truth(T + "ADD y int GENERATED ALWAYS AS (x * 2) STORED", AE, "t", "t"),
    Truth(T + "ADD y int GENERATED ALWAYS AS (x * 2) VIRTUAL", AE, since=18),
    Truth(T + "ADD y int CHECK (y > 0)", AE, scans="t"),
    Truth(T + "ADD y int DEFAULT 1 CHECK (y > 0)", AE, scans="t"),
    Truth(T + "ADD y int REFERENCES t2", "t AE, t2 SRE"),
    Truth(T + "ADD y int DEFAULT 1 REFERENCES t2", "t AE, t2 SRE", scans="t t2"),
    Truth(T + "ADD y int UNIQUE", AE, scans="t"),
    Truth(T + "ADD y mood DEFAULT 'ok'", AE),
    Truth(T + "ADD y short", AE),
    Truth(T + "ADD y positive", AE, "t", "t", setup=("CREATE DOMAIN positive AS int CHECK (VALUE > 0)",)),
    Truth(T + "ADD y int NOT NULL", fails="23502"),
    Truth("ALTER TABLE e ADD y int NOT NULL", "e AE", scans="e"),
    Truth(T + "ADD IF NOT EXISTS x bigint", AE),
    Truth(T + "ADD y int, ADD z int", AE),
    Truth(T + "DROP x", AE, losses="column t.x"),
    Truth("ALTER TABLE e DROP x", "e AE"),
    Truth(T + "DROP IF EXISTS nothing", AE),
    Truth(T + "DROP id", AE, losses="column t.id"),
    Truth(T + "DROP ref", "t AE, t2 AE", losses="column t.ref", setup=(FOREIGN_KEY,)),
    Truth(T + "DROP x", fails="2BP01", setup=(VIEW,)),
    Truth(T + "DROP x CASCADE", "t AE, w AE", losses="column t.x", setup=(VIEW,)),
    Truth(T + "RENAME x TO y", AE),
    Truth(T + "RENAME x TO y", "t AE", setup=(VIEW,)),
    Truth(T + "ALTER x SET DEFAULT 5", AE),
    Truth(T + "ALTER x DROP DEFAULT", AE),
    Truth(T + "ALTER n ADD GENERATED BY DEFAULT AS IDENTITY", AE),
    Truth("ALTER TABLE k ALTER id DROP DEFAULT", "k AE", setup=(SERIAL_KEY,)),
    Truth(T + "ALTER g DROP EXPRESSION", AE, setup=(T + "ADD g int GENERATED ALWAYS AS (x * 2) STORED",)),
    Truth(
        T + "ALTER g SET EXPRESSION AS (x * 3)",
        AE,
        "t",
        "t",
        setup=(T + "ADD g int GENERATED ALWAYS AS (x * 2) STORED",),
        since=17,
    ),
    Truth(T + "ALTER x SET STATISTICS 500", "t SUE"),
    Truth(T + "ALTER x SET (n_distinct = 5)", "t SUE"),
    Truth(T + "ALTER note SET STORAGE EXTERNAL", AE),
    Truth(T + "ALTER note SET COMPRESSION pglz", AE),
    Truth("COMMENT ON COLUMN t.x IS 'x'", "t SUE"),
)
TYPES = (
    Truth(T + "ALTER x TYPE int4", AE),
    Truth(T + "ALTER x TYPE bigint", AE, "t", "t"),
    Truth(T + "ALTER x TYPE smallint", AE, "t", "t"),
    Truth(T + "ALTER x TYPE varchar(10)", AE, "t", "t"),
    Truth(T + "ALTER x TYPE text", AE, "t", "t"),
    Truth(T + "ALTER x TYPE numeric", AE, "t", "t"),
    Truth(T + "ALTER v TYPE varchar(20)", AE),
    Truth(T + "ALTER v TYPE varchar", AE),
    Truth(T + "ALTER v TYPE text", AE),
    Truth(T + "ALTER v TYPE varchar(5)", AE, "t", "t"),
    Truth(T + "ALTER v TYPE varchar(3)", fails="22001"),
    Truth(T + "ALTER v TYPE varchar(3) USING left(v, 3)", AE, "t", "t", "values t.v"),
    Truth(T + "ALTER v TYPE char(10)", AE, "t", "t"),
    Truth(T + "ALTER note TYPE varchar", AE),
    Truth(T + "ALTER note TYPE varchar(100)", AE, "t", "t"),
    Truth(T + 'ALTER note TYPE text COLLATE "C"', AE, "t", "t_note_idx"),
    Truth(T + "ALTER note TYPE citext", AE, "t", "t_note_idx", setup=("CREATE EXTENSION citext",)),
    Truth(T + "ALTER note TYPE int", fails="42804"),
    Truth(T + "ALTER note TYPE int USING length(note)", fails="42804", setup=(T + "ALTER note SET DEFAULT '1'",)),
    Truth(T + "ALTER note TYPE int USING length(note)", AE, "t", "t", "values t.note"),
    Truth(T + "ALTER num TYPE numeric(12, 2)", AE),
    Truth(T + "ALTER num TYPE numeric", AE),
    Truth(T + "ALTER num TYPE numeric(12, 4)", AE, "t", "t"),
    Truth(T + "ALTER num TYPE numeric(10, 1)", AE, "t", "t", "values t.num"),
    Truth(T + "ALTER num TYPE float", AE, "t", "t"),
    Truth(T + "ALTER num TYPE int", AE, "t", "t", "values t.num"),
    Truth(T + "ALTER d TYPE timestamp", AE, "t", "t"),
    Truth(T + "ALTER d TYPE timestamptz", AE, "t", "t"),
    Truth(T + "ALTER ts TYPE timestamptz", AE, setup=("SET timezone = 'UTC'",)),
    Truth(T + "ALTER ts TYPE timestamptz", AE, "t", "t", setup=("SET timezone = 'Europe/Berlin'",)),
    Truth(T + "ALTER ts TYPE timestamp(3)", AE, "t", "t"),
    Truth(T + "ALTER ts TYPE timestamp(6)", AE),
    Truth(T + "ALTER ts TYPE date", AE, "t", "t", "values t.ts"),
    Truth(T + "ALTER flag TYPE int USING flag::int", AE, "t", "t"),
    Truth(T + "ALTER j TYPE jsonb", AE, "t", "t"),
    Truth(T + "ALTER j TYPE text", AE, "t", "t"),
    Truth(T + "ALTER ip TYPE inet", AE),
    Truth(T + "ALTER m TYPE text", AE, "t", "t"),
    Truth(
        T + "ALTER m TYPE mood2 USING m::text::mood2",
        AE,
        "t",
        "t",
        setup=("CREATE TYPE mood2 AS ENUM ('sad', 'ok', 'happy')",),
    ),
    Truth(
        T + "ALTER m TYPE mood2 USING m::text::mood2", fails="22P02", setup=("CREATE TYPE mood2 AS ENUM ('sad', 'ok')",)
    ),
    Truth(T + "ALTER sh TYPE varchar(20)", AE, "t", "t"),
    Truth(T + "ALTER v TYPE short", AE),
    Truth(T + "ALTER arr TYPE bigint[]", AE, "t", "t"),
    Truth(T + "ALTER x TYPE bigint", fails="0A000", setup=(VIEW,)),
    Truth(T + "ALTER ref TYPE bigint", "t AE, t2 AE", "t t2", "t", setup=(FOREIGN_KEY,)),
    Truth("ALTER TABLE t2 ALTER id TYPE bigint", "t2 AE, t AE", "t t2", "t2", setup=(FOREIGN_KEY,)),
    Truth(T + "ALTER x TYPE bigint", AE, "t", "t", setup=(CHECK_X,)),
    Truth(T + "ALTER v TYPE varchar(20)", AE, "t", setup=(T + "ADD CHECK (v <> '')",)),
    Truth(T + "ALTER v TYPE varchar(20)", AE, setup=(T + "ADD CHECK (v <> '') NOT VALID",)),
)
KEYS = (
    Truth("ALTER TABLE u ADD PRIMARY KEY (id)", "u AE", "u", setup=("CREATE TABLE u AS SELECT id FROM t2",)),
    Truth(
        "ALTER TABLE u ADD PRIMARY KEY USING INDEX u_id_idx",
        "u AE",
        "u",
        setup=("CREATE TABLE u AS SELECT id FROM t2", "CREATE UNIQUE INDEX u_id_idx ON u (id)"),
    ),
    Truth(
        "ALTER TABLE u ADD PRIMARY KEY USING INDEX u_id_idx",
        "u AE",
        setup=(
            "CREATE TABLE u AS SELECT id FROM t2",
            "CREATE UNIQUE INDEX u_id_idx ON u (id)",
            "ALTER TABLE u ALTER id SET NOT NULL",
        ),
    ),
    Truth(T + "DROP CONSTRAINT t_pkey", AE),
    Truth("ALTER TABLE t2 DROP CONSTRAINT t2_pkey", fails="2BP01", setup=(FOREIGN_KEY,)),
    Truth("ALTER TABLE t2 DROP CONSTRAINT t2_pkey CASCADE", "t2 AE, t AE", setup=(FOREIGN_KEY,)),
    Truth(T + "ADD UNIQUE (x)", AE, "t"),
    Truth(T + "ADD UNIQUE NULLS NOT DISTINCT (x)", AE, "t", since=15),
    Truth(T + "ADD UNIQUE (flag)", fails="23505"),
    Truth(T + "ADD CONSTRAINT q UNIQUE USING INDEX t_x_idx", AE, setup=("CREATE UNIQUE INDEX t_x_idx ON t (x)",)),
    Truth(T + "DROP CONSTRAINT t_x_key", AE, setup=(T + "ADD UNIQUE (x)",)),
    Truth(T + "ADD EXCLUDE USING gist (int4range(x, x, '[]') WITH &&)", AE, "t"),
    Truth(FOREIGN_KEY, "t SRE, t2 SRE", scans="t t2"),
    Truth(FOREIGN_KEY + " NOT VALID", "t SRE, t2 SRE"),
    Truth(T + "ADD FOREIGN KEY (x) REFERENCES t (id)", "t SRE", scans="t"),
    Truth(FOREIGN_KEY + " NOT ENFORCED", "t SRE, t2 SRE", since=18),
    Truth(T + "VALIDATE CONSTRAINT f", "t SUE, t2 RS", "t t2", setup=(FOREIGN_KEY + " NOT VALID",)),
    Truth(T + "DROP CONSTRAINT f", "t AE, t2 AE", setup=(FOREIGN_KEY,)),
    Truth(T + "ALTER CONSTRAINT f DEFERRABLE", AE, setup=(FOREIGN_KEY,)),
    Truth(FOREIGN_KEY, fails="23503", setup=("DELETE FROM t2 WHERE id = 7",)),
)
INDEXES = (
    Truth("CREATE INDEX ON t (x)", "t S", "t"),
    Truth("CREATE UNIQUE INDEX ON t (x)", "t S", "t"),
    Truth("CREATE UNIQUE INDEX ON t (flag)", fails="23505"),
    Truth("CREATE INDEX ON t (x) WHERE x > 500", "t S", "t"),
    Truth("CREATE INDEX ON t (lower(note))", "t S", "t"),
    Truth("CREATE INDEX ON t USING gin (arr)", "t S", "t"),
    Truth("CREATE INDEX IF NOT EXISTS t_v_idx ON t (v)", "t S"),
    Truth("CREATE INDEX ON e (x)", "e S", "e"),
    Truth("CREATE INDEX CONCURRENTLY ON t (x)", fails="25001"),
    Truth("CREATE INDEX CONCURRENTLY ON t (x)", "t SUE", "t", autocommit=True),
    Truth("DROP INDEX t_v_idx", AE),
    Truth("DROP INDEX CONCURRENTLY t_v_idx", fails="25001"),
    Truth("DROP INDEX CONCURRENTLY t_v_idx", "t SUE, t_v_idx AE", autocommit=True),
    Truth("REINDEX INDEX t_v_idx", "t S, t_v_idx AE", "t", "t_v_idx"),
    Truth("REINDEX TABLE t", "t S", "t", "t_v_idx t_note_idx t_pkey"),
    Truth("REINDEX INDEX CONCURRENTLY t_v_idx", "t SUE", "t", "t_v_idx", autocommit=True),
    Truth("ALTER INDEX t_v_idx RENAME TO t_w_idx", "t_v_idx SUE"),
    Truth("ALTER INDEX t_v_idx SET (fillfactor = 80)", "t_v_idx SUE"),
    Truth("ALTER INDEX t_v_idx ALTER COLUMN 1 SET STATISTICS 10", fails="0A000"),
    Truth("CREATE STATISTICS st ON x, n FROM t", "t SUE"),
    Truth("DROP STATISTICS st", "t SUE", setup=("CREATE STATISTICS st ON x, n FROM t",)),
)
TABLES = (
    Truth("CREATE TABLE z (id int)"),
    Truth("CREATE TABLE z (id int REFERENCES t2)", "t2 SRE"),
    Truth("CREATE TABLE IF NOT EXISTS t (id int)"),
    Truth("CREATE TABLE z (LIKE t INCLUDING ALL)", "t AS"),
    Truth("CREATE TABLE z AS SELECT * FROM t", "t AS", "t"),
    Truth("CREATE TABLE z (id int) INHERITS (e)", "e SUE"),
    Truth("DROP TABLE t", AE, losses="table t"),
    Truth("DROP TABLE e", "e AE"),
    Truth("DROP TABLE IF EXISTS nothing"),
    Truth("DROP TABLE t", "t AE, t2 AE", losses="table t", setup=(FOREIGN_KEY,)),
    Truth("DROP TABLE t2", fails="2BP01", setup=(FOREIGN_KEY,)),
    Truth("DROP TABLE t2 CASCADE", "t AE, t2 AE", losses="table t2", setup=(FOREIGN_KEY,)),
    Truth("DROP TABLE t CASCADE", "t AE, w AE", losses="table t", setup=(VIEW,)),
    Truth("DROP TABLE t, t2", "t AE, t2 AE", losses="table t, table t2"),
    Truth(T + "RENAME TO t3", AE),
    Truth(T + "SET SCHEMA other", AE),
    Truth(T + "OWNER TO CURRENT_USER", AE),
    Truth("ALTER TABLE t SET UNLOGGED", AE, "t", "t"),
    Truth("ALTER TABLE t SET LOGGED", AE),
    Truth("ALTER TABLE t SET (fillfactor = 80)", "t SUE"),
    Truth("ALTER TABLE t SET (autovacuum_enabled = false)", "t SUE"),
    Truth("ALTER TABLE t RESET (fillfactor)", "t SUE"),
    Truth("ALTER TABLE t SET (user_catalog_table = true)", AE),
    Truth("ALTER TABLE t SET TABLESPACE pg_default", AE),
    Truth("ALTER TABLE t SET ACCESS METHOD heap", AE, since=15),
    Truth("ALTER TABLE t REPLICA IDENTITY FULL", AE),
    Truth("ALTER TABLE t CLUSTER ON t_v_idx", "t SUE"),
    Truth("ALTER TABLE t SET WITHOUT CLUSTER", "t SUE"),
    Truth("ALTER TABLE t INHERIT i", "t AE, i SUE", setup=("CREATE TABLE i (id int)",)),
    Truth("ALTER TABLE t ENABLE ROW LEVEL SECURITY", AE),
    Truth("ALTER TABLE t FORCE ROW LEVEL SECURITY", AE),
    Truth("CREATE POLICY y ON t USING (true)", AE),
    Truth("ALTER POLICY y ON t USING (false)", AE, setup=("CREATE POLICY y ON t USING (true)",)),
    Truth("DROP POLICY y ON t", AE, setup=("CREATE POLICY y ON t USING (true)",)),
    Truth("COMMENT ON TABLE t IS 't'", "t SUE"),
    Truth("GRANT SELECT ON t TO PUBLIC", until=17),
    Truth("GRANT SELECT ON t TO PUBLIC", "t AS", since=18),
    Truth("REVOKE SELECT ON t FROM PUBLIC", until=17),
    Truth("REVOKE SELECT ON t FROM PUBLIC", "t AS", since=18),
    Truth("CLUSTER t USING t_v_idx", AE, "t", "t"),
    Truth("VACUUM FULL t", AE, "t", "t", autocommit=True),
    Truth("VACUUM t", fails="25001"),
    Truth("ANALYZE t", "t SUE"),
    Truth("LOCK TABLE t IN SHARE MODE", "t S"),
    Truth("LOCK TABLE t", AE),
    Truth("TRUNCATE t", AE, "", "t", "rows t"),
    Truth("TRUNCATE e", "e AE", "", "e"),
    Truth("TRUNCATE t2", fails="0A000", setup=(FOREIGN_KEY,)),
    Truth("TRUNCATE t2 CASCADE", "t AE, t2 AE", "", "t t2", "rows t, rows t2", setup=(FOREIGN_KEY,)),
    Truth("DROP SCHEMA other"),
    Truth(
        "DROP SCHEMA other CASCADE",
        "other.o AE",
        losses="schema other, table other.o",
        setup=("CREATE TABLE other.o AS SELECT 1 AS id",),
    ),
    Truth("DROP SCHEMA other", fails="2BP01", setup=("CREATE TABLE other.o AS SELECT 1 AS id",)),
    Truth("ALTER SCHEMA other RENAME TO other2", setup=("CREATE TABLE other.o AS SELECT 1 AS id",)),
    Truth("DROP OWNED BY CURRENT_USER", fails="2BP01"),
)
ROWS = (
    Truth("INSERT INTO t (id, n) VALUES (5000, 1)", "t RE"),
    Truth("INSERT INTO e SELECT id, x, note FROM t", "e RE, t AS", "t"),
    Truth(
        "INSERT INTO t2 VALUES (1, 'new') ON CONFLICT (id) DO UPDATE SET code = excluded.code",
        "t2 RE",
        losses="values t2.code",
    ),
    Truth("INSERT INTO t2 VALUES (1, 'new') ON CONFLICT DO NOTHING", "t2 RE"),
    Truth("UPDATE t SET x = x + 1", "t RE", "t", losses="values t.x"),
    Truth("UPDATE t SET flag = NOT flag", "t RE", "t", losses="values t.flag"),
    Truth("UPDATE t SET x = x", "t RE", "t"),
    Truth("UPDATE t SET x = 1 WHERE id = 7", "t RE", losses="values t.x"),
    Truth("UPDATE t SET x = NULL", "t RE", "t", losses="values t.x"),
    Truth("UPDATE t SET y = 1", "t RE", "t", setup=(T + "ADD y int",)),
    Truth("UPDATE t SET x = 0 WHERE x IS NULL", "t RE", "t"),
    Truth("UPDATE t SET note = code FROM t2 WHERE t2.id = ref", "t RE, t2 AS", "t t2", losses="values t.note"),
    Truth("DELETE FROM t", "t RE", "t", losses="rows t"),
    Truth("DELETE FROM t WHERE id = 7", "t RE", losses="rows t"),
    Truth("DELETE FROM t WHERE x < 0", "t RE", "t"),
    Truth("DELETE FROM e", "e RE", "e"),
    Truth(
        "DELETE FROM t2 WHERE id = 7",
        "t2 RE, t RE",
        "t",
        losses="rows t2, values t.ref",
        setup=(FOREIGN_KEY + " ON DELETE SET NULL",),
    ),
    Truth(
        "WITH gone AS (DELETE FROM t2 RETURNING *) INSERT INTO e SELECT id FROM gone",
        "t2 RE, e RE",
        "t2",
        losses="rows t2",
    ),
    Truth(
        "MERGE INTO t2 USING t ON t2.id = t.ref WHEN MATCHED THEN UPDATE SET code = t.note",
        "t2 RE, t AS",
        "t t2",
        losses="values t2.code",
        since=15,
    ),
    Truth("SELECT count(*) FROM t", "t AS", "t"),
    Truth("SELECT * FROM t WHERE id = 7 FOR UPDATE", "t RS"),
    Truth(
        "DO $$ BEGIN ALTER TABLE t ADD y int; UPDATE t2 SET code = ''; END $$",
        "t AE, t2 RE",
        "t2",
        losses="values t2.code",
    ),
    Truth("DO $$ BEGIN EXECUTE 'DROP TABLE t'; END $$", AE, losses="table t"),
)
PARTITIONS = (
    Truth(ATTACH, "p SUE, p2 AE", "p2"),
    Truth(ATTACH, "p SUE, p2 AE", setup=(P2_CHECK,)),
    Truth(ATTACH, "p SUE, p2 AE, pd AE", "p2 pd", setup=("CREATE TABLE pd PARTITION OF p DEFAULT",)),
    Truth("CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (5000) TO (6000)", "p AE"),
    Truth(
        "CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (5000) TO (6000)",
        "p AE, pd AE",
        "pd",
        setup=("CREATE TABLE pd PARTITION OF p DEFAULT",),
    ),
    Truth(
        "CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (5000) TO (6000)",
        "p AE, pd AE",
        setup=("CREATE TABLE pd PARTITION OF p DEFAULT", "ALTER TABLE pd ADD CHECK (id < 5000)"),
    ),
    Truth("ALTER TABLE p DETACH PARTITION p1", "p AE, p1 AE"),
    Truth("ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY", fails="25001"),
    Truth("ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY", "p SUE, p1 AE", autocommit=True),
    Truth("DROP TABLE p1", "p AE, p1 AE", losses="table p1"),
    Truth("DROP TABLE p", "p AE, p1 AE", losses="table p"),
    Truth("TRUNCATE p", "p AE, p1 AE", "", "p1", "rows p"),
    Truth("ALTER TABLE p ADD y int", "p AE, p1 AE"),
    Truth("ALTER TABLE p DROP d", "p AE, p1 AE", losses="column p.d"),
    Truth("ALTER TABLE p ALTER d SET NOT NULL", "p AE, p1 AE", "p1"),
    Truth("ALTER TABLE p ALTER d TYPE timestamp", "p AE, p1 AE", "p1", "p1"),
    Truth("CREATE INDEX ON p (d)", "p S, p1 S", "p1"),
    Truth("CREATE INDEX ON ONLY p (d)", "p S"),
    Truth("CREATE INDEX CONCURRENTLY ON p (d)", fails="0A000", autocommit=True),
    Truth("ALTER TABLE p ADD PRIMARY KEY (d)", fails="0A000"),
    Truth("ALTER TABLE p ADD PRIMARY KEY (id)", "p AE, p1 S", "p1", until=17),
    Truth("ALTER TABLE p ADD PRIMARY KEY (id)", "p AE, p1 AE", "p1", since=18),
    Truth("ALTER TABLE p ADD FOREIGN KEY (id) REFERENCES t2", "p SRE, p1 SRE, t2 SRE", "p1 t2"),
    Truth(
        "ALTER INDEX p_d_idx ATTACH PARTITION p1_d_idx",
        "p AS, p1 AS",
        setup=("CREATE INDEX p_d_idx ON ONLY p (d)", "CREATE INDEX p1_d_idx ON p1 (d)"),
    ),
    Truth("DELETE FROM p WHERE id < 10", "p RE, p1 RE", "p1", losses="rows p"),
    Truth("UPDATE p SET d = d + 1", "p RE, p1 RE", "p1", losses="values p.d"),
)
VIEWS = (
    Truth(VIEW, "t AS"),
    Truth("CREATE OR REPLACE VIEW w AS SELECT id, x, n FROM t", "w AE, t AS", setup=(VIEW,)),
    Truth("DROP VIEW w", "w AE", setup=(VIEW,)),
    Truth("ALTER VIEW w RENAME TO w2", "w AE", setup=(VIEW,)),
    Truth("ALTER VIEW w ALTER x SET DEFAULT 1", "w AE", setup=(VIEW,)),
    Truth("COMMENT ON VIEW w IS 'w'", "w SUE", setup=(VIEW,)),
    Truth(MATVIEW, "t AS", "t"),
    Truth(MATVIEW + " WITH NO DATA", "t AS"),
    Truth("REFRESH MATERIALIZED VIEW mv", "mv AE, t AS", "t", "mv", setup=(MATVIEW,)),
    Truth("REFRESH MATERIALIZED VIEW CONCURRENTLY mv", "mv E, t AS", "mv t", setup=(MATVIEW, MATVIEW_KEY)),
    Truth("DROP MATERIALIZED VIEW mv", "mv AE", setup=(MATVIEW,)),
    Truth("CREATE INDEX mv_x_idx ON mv (x)", "mv S", "mv", setup=(MATVIEW,)),
)
CODE = (
    Truth(TRIGGER, "t SRE"),
    Truth("DROP TRIGGER g ON t", AE, setup=(TRIGGER,)),
    Truth("ALTER TRIGGER g ON t RENAME TO g2", AE, setup=(TRIGGER,)),
    Truth("ALTER TABLE t DISABLE TRIGGER g", "t SRE", setup=(TRIGGER,)),
    Truth("ALTER TABLE t DISABLE TRIGGER ALL", "t SRE"),
    Truth("ALTER TABLE t ENABLE TRIGGER ALL", "t SRE"),
    Truth("CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING", AE),
    Truth("DROP RULE r ON t", AE, setup=("CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING",)),
    Truth("CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"),
    Truth("DROP FUNCTION touch()"),
    Truth("DROP FUNCTION touch()", fails="2BP01", setup=(TRIGGER,)),
    Truth("DROP FUNCTION touch() CASCADE", AE, setup=(TRIGGER,)),
    Truth("CREATE EXTENSION citext"),
    Truth("SET LOCAL lock_timeout = '5s'"),
)
USER_TYPES = (
    Truth("CREATE TYPE z AS ENUM ('a')"),
    Truth("ALTER TYPE mood ADD VALUE 'great'"),
    Truth("ALTER TYPE mood ADD VALUE 'great'", autocommit=True),
    Truth("ALTER TYPE mood ADD VALUE 'meh' BEFORE 'ok'"),
    Truth("ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'"),
    Truth("ALTER TYPE mood RENAME TO mood2"),
    Truth("DROP TYPE mood", fails="2BP01"),
    Truth("DROP TYPE mood CASCADE", AE, losses="column t.m"),
    Truth("CREATE DOMAIN z AS int CHECK (VALUE > 0)"),
    Truth("ALTER DOMAIN short ADD CHECK (VALUE <> '')", "t S", "t"),
    Truth("ALTER DOMAIN short ADD CHECK (VALUE <> '') NOT VALID"),
    Truth(
        "ALTER DOMAIN short VALIDATE CONSTRAINT c",
        "t S",
        "t",
        setup=("ALTER DOMAIN short ADD CONSTRAINT c CHECK (VALUE <> '') NOT VALID",),
    ),
    Truth("ALTER DOMAIN short SET NOT NULL", "t S", "t"),
    Truth("ALTER DOMAIN short SET DEFAULT 'x'"),
    Truth("ALTER DOMAIN short ADD CHECK (VALUE <> 'sh')", fails="23514"),
    Truth("DROP DOMAIN short CASCADE", AE, losses="column t.sh"),
)
SEQUENCES = (
    Truth("CREATE SEQUENCE z"),
    Truth("ALTER SEQUENCE s_seq INCREMENT 5", "s_seq SRE"),
    Truth("ALTER SEQUENCE s_seq OWNED BY t.x", "s_seq SRE, t AS"),
    Truth("ALTER SEQUENCE s_seq RESTART 100", "s_seq SRE"),
    Truth("ALTER SEQUENCE s_seq AS bigint", "s_seq SRE"),
    Truth("SELECT setval('s_seq', 100)", "s_seq RE"),
    Truth("DROP SEQUENCE s_seq", "s_seq AE"),
)

TRUTH_TABLE = (
    *NOT_NULL, *CHECKS, *COLUMNS, *TYPES, *KEYS, *INDEXES, *TABLES, *ROWS, *PARTITIONS, *VIEWS, *CODE, *USER_TYPES,
    *SEQUENCES,
)  # fmt: skip
