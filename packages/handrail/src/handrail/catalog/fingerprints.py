"""Which tables cannot have changed since a snapshot, told by the row versions of PostgreSQL's system catalogs.

Most of what reading a catalog costs is PostgreSQL writing definitions. Whatever is altered gets a new version of its
row, and with it the number of the transaction that wrote it (`xmin`), which neither VACUUM nor freezing takes away. So
where these numbers are as before, the definitions are too. The other way round says nothing: REINDEX and VACUUM FULL
write rows anew as well, and after a dump and restore all are new. Then the definitions are read and compared.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from handrail.catalog.objects import Fingerprints, Place
from handrail.catalog.read import AS_IT_IS
from handrail.quoting import literal

if TYPE_CHECKING:
    from sqlalchemy import Connection

# No object of a user's has a lower number (FirstNormalObjectId).
USERS = 16384

# What the definition of a table may name beside relations, and which has no row version of the table's own.
NAMED = (
    *("pg_proc", "pg_operator", "pg_opclass", "pg_collation", "pg_am", "pg_ts_config", "pg_ts_dict", "pg_enum"),
    *("pg_tablespace", "pg_foreign_server"),
)

RELATIONS = """
WITH ns AS MATERIALIZED (
    SELECT oid, nspname FROM pg_namespace WHERE nspname = ANY (ARRAY[{schemas}]::name[])
),
rel AS MATERIALIZED (
    SELECT c.oid, c.xmin, c.relname, c.relkind, c.reltoastrelid, c.relowner, c.relacl, ns.nspname
    FROM pg_class c JOIN ns ON ns.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'f', 'm', 'v', 'S')
),
idx AS MATERIALIZED (
    SELECT i.indrelid, i.indexrelid, i.xmin FROM pg_index i JOIN rel ON rel.oid = i.indrelid
),
con AS MATERIALIZED (
    SELECT c.conrelid, c.oid, c.xmin FROM pg_constraint c JOIN rel ON rel.oid = c.conrelid
),
identity AS MATERIALIZED (
    SELECT d.refobjid, s.seqrelid, s.xmin FROM pg_sequence s JOIN pg_depend d
    ON d.classid = 'pg_class'::regclass AND d.objid = s.seqrelid AND d.deptype = 'i'
),
part AS (
    -- Roles are written by name, and who is renamed leaves no trace in the table.
    SELECT oid AS relation, hash_record_extended(ROW (oid, xmin, pg_get_userbyid(relowner), relacl::text), 0) AS mark
    FROM rel WHERE relkind <> 'S' OR oid NOT IN (SELECT seqrelid FROM identity)
    UNION ALL SELECT a.attrelid, hash_record_extended(ROW (a.attnum, a.xmin, a.attacl::text), 1)
    FROM pg_attribute a JOIN rel ON rel.oid = a.attrelid WHERE a.attnum > 0 AND rel.relkind <> 'S'
    UNION ALL SELECT rel.oid, hash_record_extended(ROW (t.oid, t.xmin), 2)
    FROM rel JOIN pg_class t ON t.oid = rel.reltoastrelid
    UNION ALL SELECT d.adrelid, hash_record_extended(ROW (d.oid, d.xmin), 3)
    FROM pg_attrdef d JOIN rel ON rel.oid = d.adrelid
    UNION ALL SELECT conrelid, hash_record_extended(ROW (oid, xmin), 4) FROM con
    UNION ALL SELECT indrelid, hash_record_extended(ROW (indexrelid, xmin), 5) FROM idx
    UNION ALL SELECT idx.indrelid, hash_record_extended(ROW (c.oid, c.xmin), 6)
    FROM idx JOIN pg_class c ON c.oid = idx.indexrelid
    UNION ALL SELECT idx.indrelid, hash_record_extended(ROW (a.attrelid, a.attnum, a.xmin), 7)
    FROM idx JOIN pg_attribute a ON a.attrelid = idx.indexrelid
    UNION ALL SELECT h.inhrelid, hash_record_extended(ROW (h.inhparent, h.xmin), 8)
    FROM pg_inherits h JOIN rel ON rel.oid = h.inhrelid
    UNION ALL SELECT refobjid, hash_record_extended(ROW (seqrelid, xmin), 9) FROM identity
    UNION ALL SELECT f.ftrelid, hash_record_extended(ROW (f.ftserver, f.xmin), 10) FROM pg_foreign_table f
    UNION ALL SELECT rel.oid, hash_record_extended(ROW (d.objoid, d.objsubid, d.xmin), 11)
    FROM pg_description d JOIN rel ON rel.oid = d.objoid WHERE d.classoid = 'pg_class'::regclass
    UNION ALL SELECT idx.indrelid, hash_record_extended(ROW (d.objoid, d.xmin), 12)
    FROM pg_description d JOIN idx ON idx.indexrelid = d.objoid WHERE d.classoid = 'pg_class'::regclass
    UNION ALL SELECT con.conrelid, hash_record_extended(ROW (d.objoid, d.xmin), 13)
    FROM pg_description d JOIN con ON con.oid = d.objoid WHERE d.classoid = 'pg_constraint'::regclass
),
-- Relations that are no part of the snapshot, except by their names.
other AS MATERIALIZED (
    SELECT c.oid, c.relname, n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid >= {users} AND n.nspname !~ '^pg_' AND (c.relkind = 'c'
        OR c.relkind IN ('r', 'p', 'f', 'm', 'v', 'S') AND c.relnamespace NOT IN (SELECT oid FROM ns))
),
surroundings AS (
    SELECT hash_record_extended(ROW (current_setting('server_version_num')), 20) AS mark
    UNION ALL SELECT hash_record_extended(ROW (oid, nspname), 21) FROM pg_namespace WHERE nspname !~ '^pg_'
    UNION ALL SELECT hash_record_extended(ROW (oid, xmin), 22) FROM pg_type
    WHERE oid >= {users} AND typtype <> 'c' AND typcategory <> 'A'
    UNION ALL SELECT hash_record_extended(ROW (classid, objid), 23) FROM pg_depend WHERE deptype = 'e'
    UNION ALL SELECT hash_record_extended(ROW (oid, relname, nspname), 24) FROM other
    UNION ALL SELECT hash_record_extended(ROW (a.attrelid, a.attnum, a.attname), 25)
    FROM pg_attribute a JOIN other ON other.oid = a.attrelid WHERE a.attnum > 0
    {named}
)
SELECT rel.nspname::text, rel.relname::text, bit_xor(part.mark) FROM part JOIN rel ON rel.oid = part.relation
GROUP BY rel.oid, rel.nspname, rel.relname
UNION ALL SELECT '', '', bit_xor(mark) FROM surroundings
"""

# Whose definitions name one of some relations: foreign keys, partitions and children, columns of its type, and
# expressions. Views, triggers, policies and functions are read in any case.
DEPENDENT = """
WITH named AS MATERIALIZED (
    SELECT c.oid, c.reltype FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE (n.nspname, c.relname) IN ({relations})
),
dependent AS MATERIALIZED (
    SELECT d.classid, d.objid FROM named
    JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = named.oid
    UNION SELECT d.classid, d.objid FROM named
    JOIN pg_type t ON named.reltype <> 0 AND named.reltype IN (t.oid, t.typelem)
    JOIN pg_depend d ON d.refclassid = 'pg_type'::regclass AND d.refobjid = t.oid
),
relation AS (
    SELECT h.inhrelid AS oid FROM named JOIN pg_inherits h ON h.inhparent = named.oid
    UNION SELECT objid FROM dependent WHERE classid = 'pg_class'::regclass
    UNION SELECT i.indrelid FROM dependent JOIN pg_index i ON i.indexrelid = objid WHERE classid = 'pg_class'::regclass
    UNION SELECT def.adrelid FROM dependent JOIN pg_attrdef def ON def.oid = objid
    WHERE classid = 'pg_attrdef'::regclass
    UNION SELECT con.conrelid FROM dependent JOIN pg_constraint con ON con.oid = objid
    WHERE classid = 'pg_constraint'::regclass
)
SELECT n.nspname::text, c.relname::text FROM relation JOIN pg_class c ON c.oid = relation.oid
JOIN pg_namespace n ON n.oid = c.relnamespace
"""


def take_fingerprints(connection: Connection, schemas: Collection[str]) -> Fingerprints:
    """Return the fingerprints of what some schemas hold. Reads only; any role may."""
    named = "".join(
        f" UNION ALL SELECT hash_record_extended(ROW (oid, xmin), {number}) FROM {catalog} WHERE oid >= {USERS}"  # noqa: S608 - no values
        for number, catalog in enumerate(NAMED, 30)
    )
    question = RELATIONS.format(schemas=", ".join(map(literal, sorted(schemas))), users=USERS, named=named)
    rows = connection.exec_driver_sql(question, execution_options=AS_IT_IS)
    found = {(schema, name): mark for schema, name, mark in rows}
    return Fingerprints(found.pop(("", "")), found)


def naming(connection: Connection, places: Collection[Place]) -> set[Place]:
    """Return the relations whose definitions name one of some others, which may have been renamed."""
    pairs = ", ".join(f"({literal(schema)}, {literal(name)})" for schema, name in sorted(places))
    rows = connection.exec_driver_sql(DEPENDENT.format(relations=pairs), execution_options=AS_IT_IS) if pairs else ()
    return {(schema, name) for schema, name in rows}
