"""What PostgreSQL shows of itself between two statements: relations, columns, locks of our own, counters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from handrail.effects import LockMode, Relation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Ask = Callable[[str], list[Any]]  # runs one query past SQLAlchemy and returns its rows

TABLE, PARTITIONED, MATERIALIZED_VIEW, INDEX, SEQUENCE = "r", "p", "m", "i", "S"  # pg_class.relkind

# A flush of the counters moves them from the session's own to the shared ones, and happens only between transactions.
# Inside of one the session's own are exact; outside of one it is the sum that a flush does not change.
RELATIONS = """
SELECT c.oid::int8, n.nspname::text, c.relname::text, c.relkind::text, coalesce(pg_relation_filenode(c.oid), 0)::int8,
    coalesce(
        (SELECT i.indrelid FROM pg_index i WHERE i.indexrelid = c.oid),
        (SELECT d.refobjid FROM pg_depend d WHERE c.relkind = 'S' AND d.classid = 'pg_class'::regclass
            AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') LIMIT 1),
        (SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = c.oid AND c.relispartition), 0)::int8,
    CASE WHEN c.relkind IN ('r', 'm') THEN {scans} ELSE 0 END,
    CASE WHEN c.relkind = 'r' THEN {written} ELSE 0 END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""
OWN = {
    "scans": "pg_stat_get_xact_numscans(c.oid)",
    "written": "pg_stat_get_xact_tuples_inserted(c.oid) + pg_stat_get_xact_tuples_updated(c.oid) "
    "+ pg_stat_get_xact_tuples_deleted(c.oid)",
}
SHARED = {
    "scans": f"pg_stat_get_numscans(c.oid) + {OWN['scans']}",
    "written": "pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid) "
    f"+ pg_stat_get_tuples_deleted(c.oid) + {OWN['written']}",
}
COLUMNS = """
SELECT a.attrelid::int8, a.attnum::int8, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull,
    a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL, a.attgenerated::text,
    EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisprimary AND a.attnum = ANY (i.indkey))
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_type t ON t.oid = a.atttypid
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind IN ('r', 'p', 'v', 'm')
    AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
"""
LOCKS = """
SELECT CASE locktype WHEN 'relation' THEN relation::int8 END, mode, virtualtransaction FROM pg_locks
WHERE pid = pg_backend_pid() AND locktype IN ('relation', 'virtualxid') AND granted
    AND (database IS NULL OR database = (SELECT oid FROM pg_database WHERE datname = current_database()))
"""
# As pg_locks spells them: AccessExclusiveLock.
MODES = {f"{mode.name.replace('_', ' ').title().replace(' ', '')}Lock": mode for mode in LockMode}


class Item(NamedTuple):
    """A relation at one moment.

    Attributes:
        name: Schema and name.
        kind: `pg_class.relkind`.
        filenode: The file that holds it; another one after it was written anew.
        parent: The partitioned table of which it is a part; of an index or sequence the table that owns it; else 0.
        scans: How often this session has read it from beginning to end.
        written: How many rows this session has inserted, updated and deleted.
    """

    name: Relation
    kind: str
    filenode: int
    parent: int
    scans: int
    written: int


class Column(NamedTuple):
    """A column at one moment.

    Attributes:
        name: Its name.
        type: Its type, as a cast needs it.
        not_null: Whether it refuses NULL.
        filled: Whether an INSERT that leaves it out gets a value.
        generated: Whether it is worked out from other columns.
        key: Whether it belongs to the primary key.
    """

    name: str
    type: str
    not_null: bool
    filled: bool
    generated: bool
    key: bool


@dataclass(frozen=True)
class Snapshot:
    """What is there at one moment, as our own session sees it.

    Attributes:
        transaction: What tells one transaction from the next.
        relations: All relations but PostgreSQL's own, by oid.
        columns: Columns of tables and views by oid and number.
        locks: The locks on relations that our session holds.
    """

    transaction: str
    relations: Mapping[int, Item]
    columns: Mapping[int, Mapping[int, Column]]
    locks: frozenset[tuple[int, LockMode]]

    @classmethod
    def take(cls, ask: Ask, *, in_transaction: bool) -> Snapshot:
        """Look at the database."""
        relations = {
            oid: Item(Relation(schema, name), kind, filenode, parent, int(scans), int(written))
            for oid, schema, name, kind, filenode, parent, scans, written in ask(
                RELATIONS.format(**OWN if in_transaction else SHARED)
            )
        }
        columns: dict[int, dict[int, Column]] = {}
        for oid, number, name, type_, not_null, filled, generated, key in ask(COLUMNS):
            columns.setdefault(oid, {})[number] = Column(name, type_, not_null, filled, bool(generated), key)
        rows = ask(LOCKS)
        locks = frozenset((oid, MODES[mode]) for oid, mode, _ in rows if oid is not None)
        return cls(rows[0][2] if rows else "", relations, columns, locks)

    def root(self, oid: int) -> Relation:
        """Return the name of a table, or of the partitioned one that it is a part of."""
        item = self.relations[oid]
        return self.root(item.parent) if item.parent in self.relations else item.name
