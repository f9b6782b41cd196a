"""What is asked of PostgreSQL's system catalogs: one SELECT for each group of kinds, all sent as a single statement.

Each yields kind, schema, table, name and the attributes as jsonb, in which what is ordinary is left out. They can be
read by any role: pg_catalog shows definitions to everybody (https://www.postgresql.org/docs/current/catalogs.html).
Columns that came later than PostgreSQL 14 are named in `LATER`.
"""

from __future__ import annotations

# Column of a catalog, the version that brought it, and what stands for it before.
LATER = {
    "i.indnullsnotdistinct": (150000, "false"),
    "con.conenforced": (180000, "true"),
    "con.confdelsetcols": (150000, "NULL::int2[]"),
}

# The schemas that count, and the members of extensions, which never do.
FRAME = """
WITH ns AS MATERIALIZED (
    SELECT oid, nspname, nspowner, nspacl FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' {in_schemas}
),
member AS MATERIALIZED (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
),
rel AS MATERIALIZED (
    SELECT c.*, ns.nspname FROM pg_class c JOIN ns ON ns.oid = c.relnamespace
    WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_class'::regclass AND m.objid = c.oid)
),
wanted AS (
    SELECT * FROM rel {in_relations}
)
SELECT kind, schema, "table", name, attributes::text FROM (
"""

SCHEMAS = """
SELECT 'schema' AS kind, '' AS schema, '' AS "table", ns.nspname::text AS name, jsonb_strip_nulls(jsonb_build_object(
    'comment', obj_description(ns.oid, 'pg_namespace'),
    'owner', pg_get_userbyid(ns.nspowner),
    'privileges', {granted:ns.nspacl,'n',ns.nspowner},
    'revoked', {revoked:ns.nspacl,'n',ns.nspowner})) AS attributes
FROM ns WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_namespace'::regclass AND m.objid = ns.oid)
UNION ALL
SELECT 'extension', '', '', e.extname, jsonb_build_object(
    'schema', n.nspname, 'version', e.extversion, 'owner', pg_get_userbyid(e.extowner))
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname <> 'plpgsql'
UNION ALL
SELECT 'collation', ns.nspname, '', c.collname, jsonb_strip_nulls(jsonb_build_object(
    'provider', c.collprovider,
    'deterministic', c.collisdeterministic,
    'locale', coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale'),
    'lc_collate', c.collcollate, 'lc_ctype', c.collctype,
    'rules', to_jsonb(c) ->> 'collicurules',
    'comment', obj_description(c.oid, 'pg_collation'), 'owner', pg_get_userbyid(c.collowner)))
FROM pg_collation c JOIN ns ON ns.oid = c.collnamespace
WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_collation'::regclass AND m.objid = c.oid)
UNION ALL
SELECT 'default privileges', coalesce(n.nspname, ''), '', pg_get_userbyid(d.defaclrole) || ' ' || d.defaclobjtype::text,
    jsonb_strip_nulls(jsonb_build_object(
    'privileges', {granted:d.defaclacl,initial.type,d.defaclrole},
    'revoked', CASE WHEN d.defaclnamespace = 0 THEN {revoked:d.defaclacl,initial.type,d.defaclrole} END))
FROM pg_default_acl d
-- In one schema they come on top of the general ones, which are where acldefault calls sequences `s`.
CROSS JOIN LATERAL (SELECT CASE WHEN d.defaclnamespace <> 0 THEN 'c' WHEN d.defaclobjtype = 'S' THEN 's'
    ELSE d.defaclobjtype END::"char" AS type) initial
LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
WHERE d.defaclnamespace = 0 OR EXISTS (SELECT FROM ns WHERE ns.oid = d.defaclnamespace)
"""

TYPES = """
SELECT CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'c' THEN 'composite' ELSE 'range' END,
    ns.nspname, '', t.typname,
    jsonb_strip_nulls(CASE t.typtype
    WHEN 'e' THEN jsonb_build_object('values',
        (SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid))
    WHEN 'd' THEN jsonb_build_object(
        'type', format_type(t.typbasetype, t.typtypmod),
        'not_null', nullif(t.typnotnull, false),
        'default', coalesce(pg_get_expr(t.typdefaultbin, 0), t.typdefault),
        'collation', (SELECT {qualified:c.collnamespace,c.collname} FROM pg_collation c, pg_type b
            WHERE c.oid = t.typcollation AND b.oid = t.typbasetype AND b.typcollation <> t.typcollation),
        'checks', (SELECT jsonb_object_agg(con.conname, pg_get_constraintdef(con.oid))
            FROM pg_constraint con WHERE con.contypid = t.oid AND con.contype = 'c'))
    WHEN 'c' THEN jsonb_build_object('attributes',
        (SELECT jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod),
            (SELECT {qualified:c.collnamespace,c.collname} FROM pg_collation c, pg_type b
             WHERE c.oid = a.attcollation AND b.oid = a.atttypid AND b.typcollation <> a.attcollation))
            ORDER BY a.attnum)
         FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped))
    ELSE (SELECT jsonb_build_object(
            'subtype', format_type(r.rngsubtype, NULL),
            'subtype_opclass', (SELECT {qualified:o.opcnamespace,o.opcname} FROM pg_opclass o
                WHERE o.oid = r.rngsubopc AND NOT o.opcdefault),
            'collation', (SELECT {qualified:c.collnamespace,c.collname} FROM pg_collation c, pg_type b
                WHERE c.oid = r.rngcollation AND b.oid = r.rngsubtype AND b.typcollation <> r.rngcollation),
            'canonical', nullif(r.rngcanonical::regproc::text, '-'),
            'subtype_diff', nullif(r.rngsubdiff::regproc::text, '-'),
            'multirange', m.typname)
          FROM pg_range r JOIN pg_type m ON m.oid = r.rngmultitypid WHERE r.rngtypid = t.oid)
    END || jsonb_build_object(
        'comment', obj_description(t.oid, 'pg_type'),
        'owner', pg_get_userbyid(t.typowner),
        'privileges', {granted:t.typacl,'T',t.typowner}, 'revoked', {revoked:t.typacl,'T',t.typowner}))
FROM pg_type t JOIN ns ON ns.oid = t.typnamespace LEFT JOIN pg_class tc ON tc.oid = t.typrelid
WHERE (t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND tc.relkind = 'c'))
    AND NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_type'::regclass AND m.objid = t.oid)
UNION ALL
SELECT 'sequence', rel.nspname, '', rel.relname, jsonb_strip_nulls(jsonb_build_object(
    'type', format_type(s.seqtypid, NULL),
    'start', s.seqstart, 'increment', s.seqincrement, 'min', s.seqmin, 'max', s.seqmax,
    'cache', s.seqcache, 'cycle', s.seqcycle,
    'owned_by', (SELECT jsonb_build_array(tn.nspname, tc.relname, ta.attname)
        FROM pg_depend d JOIN pg_class tc ON tc.oid = d.refobjid JOIN pg_namespace tn ON tn.oid = tc.relnamespace
        JOIN pg_attribute ta ON ta.attrelid = d.refobjid AND ta.attnum = d.refobjsubid
        WHERE d.classid = 'pg_class'::regclass AND d.objid = rel.oid AND d.deptype = 'a'
            AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0),
    'unlogged', nullif(rel.relpersistence = 'u', false),
    'comment', obj_description(rel.oid, 'pg_class'),
    'owner', pg_get_userbyid(rel.relowner),
    'privileges', {granted:rel.relacl,'s',rel.relowner}, 'revoked', {revoked:rel.relacl,'s',rel.relowner}))
FROM rel JOIN pg_sequence s ON s.seqrelid = rel.oid
WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = rel.oid
    AND d.deptype = 'i')
"""

TABLES = """
SELECT 'table', rel.nspname, '', rel.relname, jsonb_strip_nulls(jsonb_build_object(
    'type', CASE rel.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned' ELSE 'foreign' END,
    'unlogged', nullif(rel.relpersistence = 'u', false),
    'options', {options:rel.reloptions},
    'toast_options', (SELECT {options:tt.reloptions} FROM pg_class tt WHERE tt.oid = rel.reltoastrelid),
    'partition_by', CASE WHEN rel.relkind = 'p' THEN pg_get_partkeydef(rel.oid) END,
    'partition_of', CASE WHEN rel.relispartition THEN parent.first END,
    'bound', CASE WHEN rel.relispartition THEN pg_get_expr(rel.relpartbound, rel.oid) END,
    'inherits', CASE WHEN NOT rel.relispartition THEN parent.names END,
    'of_type', CASE WHEN rel.reloftype <> 0 THEN format_type(rel.reloftype, NULL) END,
    'row_security', nullif(rel.relrowsecurity, false),
    'force_row_security', nullif(rel.relforcerowsecurity, false),
    'replica_identity', CASE rel.relreplident WHEN 'f' THEN to_jsonb('full'::text)
        WHEN 'n' THEN to_jsonb('nothing'::text)
        WHEN 'i' THEN (SELECT jsonb_build_object('index', ic.relname) FROM pg_index ri JOIN pg_class ic
            ON ic.oid = ri.indexrelid WHERE ri.indrelid = rel.oid AND ri.indisreplident) END,
    'access_method', (SELECT am.amname FROM pg_am am WHERE am.oid = rel.relam AND am.amname <> 'heap'),
    'tablespace', (SELECT ts.spcname FROM pg_tablespace ts WHERE ts.oid = rel.reltablespace),
    'server', (SELECT fs.srvname FROM pg_foreign_table ft JOIN pg_foreign_server fs ON fs.oid = ft.ftserver
        WHERE ft.ftrelid = rel.oid),
    'foreign_options', (SELECT {options:ft.ftoptions} FROM pg_foreign_table ft WHERE ft.ftrelid = rel.oid),
    'comment', des.description,
    'owner', pg_get_userbyid(rel.relowner),
    'privileges', {granted:rel.relacl,'r',rel.relowner}, 'revoked', {revoked:rel.relacl,'r',rel.relowner}))
FROM wanted rel
LEFT JOIN pg_description des ON des.classoid = 'pg_class'::regclass AND des.objoid = rel.oid AND des.objsubid = 0
LEFT JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_array(pn.nspname, pc.relname) ORDER BY h.inhseqno) AS names,
        jsonb_agg(jsonb_build_array(pn.nspname, pc.relname) ORDER BY h.inhseqno) -> 0 AS first
    FROM pg_inherits h JOIN pg_class pc ON pc.oid = h.inhparent JOIN pg_namespace pn ON pn.oid = pc.relnamespace
    WHERE h.inhrelid = rel.oid) parent ON true
WHERE rel.relkind IN ('r', 'p', 'f')
"""

COLUMNS = """
SELECT 'column', rel.nspname, rel.relname, a.attname, jsonb_strip_nulls(jsonb_build_object(
    'position', row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum),
    'type', format_type(a.atttypid, a.atttypmod),
    'not_null', a.attnotnull,
    'not_null_validated', nullif(nn.convalidated, true),
    'not_null_no_inherit', nullif(nn.connoinherit, false),
    'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(def.adbin, def.adrelid) END,
    'generated', CASE WHEN a.attgenerated <> '' THEN jsonb_build_object(
        'expression', pg_get_expr(def.adbin, def.adrelid), 'stored', a.attgenerated = 's') END,
    'identity', CASE WHEN a.attidentity <> '' THEN (
        SELECT jsonb_build_object('always', a.attidentity = 'a', 'start', s.seqstart, 'increment', s.seqincrement,
            'min', s.seqmin, 'max', s.seqmax, 'cache', s.seqcache, 'cycle', s.seqcycle)
        FROM pg_depend d JOIN pg_sequence s ON s.seqrelid = d.objid
        WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
            AND d.deptype = 'i' AND d.classid = 'pg_class'::regclass LIMIT 1) END,
    'collation', CASE WHEN a.attcollation <> t.typcollation THEN
        (SELECT {qualified:c.collnamespace,c.collname} FROM pg_collation c WHERE c.oid = a.attcollation) END,
    'storage', CASE WHEN a.attstorage <> t.typstorage THEN {storage:a.attstorage} END,
    'compression', {compression:a.attcompression},
    'statistics', nullif(a.attstattarget, -1),
    'options', {column_options:a.attoptions},
    'foreign_options', {options:a.attfdwoptions},
    'inherited', CASE WHEN NOT a.attislocal THEN true END,
    'comment', des.description,
    'privileges', {granted:a.attacl,'c',rel.relowner}))
FROM wanted rel JOIN pg_attribute a ON a.attrelid = rel.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef def ON def.adrelid = a.attrelid AND def.adnum = a.attnum
LEFT JOIN pg_description des ON des.classoid = 'pg_class'::regclass AND des.objoid = rel.oid AND des.objsubid = a.attnum
-- There are such since PostgreSQL 18.
LEFT JOIN pg_constraint nn ON nn.conrelid = a.attrelid AND nn.contype = 'n' AND nn.conkey = ARRAY[a.attnum]
WHERE rel.relkind IN ('r', 'p', 'f')
"""

CONSTRAINTS = """
SELECT 'constraint', rel.nspname, rel.relname, con.conname, jsonb_strip_nulls(jsonb_build_object(
    'type', CASE con.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique' WHEN 'c' THEN 'check'
        WHEN 'f' THEN 'foreign key' ELSE 'exclude' END,
    'definition', regexp_replace(pg_get_constraintdef(con.oid), ' NOT VALID$', ''),
    'columns', {columns:con.conkey,con.conrelid},
    'validated', con.convalidated,
    'expression', CASE WHEN con.contype = 'c' THEN pg_get_expr(con.conbin, con.conrelid) END,
    'no_inherit', CASE WHEN con.contype = 'c' AND con.connoinherit THEN true END,
    'deferrable', CASE WHEN con.condeferred THEN 'deferred' WHEN con.condeferrable THEN 'immediate' END,
    'references', CASE WHEN con.contype = 'f' THEN jsonb_build_object(
        'schema', fn.nspname, 'table', fc.relname, 'columns', {columns:con.confkey,con.confrelid},
        'on_update', {action:con.confupdtype}, 'on_delete', {action:con.confdeltype},
        'on_delete_columns', {columns:{confdelsetcols},con.conrelid},
        'match', CASE con.confmatchtype WHEN 'f' THEN 'FULL' WHEN 'p' THEN 'PARTIAL' END) END,
    'include', (SELECT jsonb_agg(a.attname ORDER BY k.n) FROM unnest(i.indkey) WITH ORDINALITY k(attnum, n)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
        WHERE i.indnatts > i.indnkeyatts AND k.n > i.indnkeyatts),
    'nulls_not_distinct', CASE WHEN con.contype = 'u' THEN nullif({indnullsnotdistinct}, false) END,
    'options', {options:ic.reloptions},
    'tablespace', (SELECT ts.spcname FROM pg_tablespace ts WHERE ts.oid = ic.reltablespace),
    'clustered', CASE WHEN i.indisclustered THEN true END,
    'enforced', nullif({conenforced}, true),
    'inherited', CASE WHEN NOT con.conislocal OR con.conparentid <> 0 THEN true END,
    'comment', des.description))
FROM wanted rel JOIN pg_constraint con ON con.conrelid = rel.oid AND con.contype IN ('p', 'u', 'c', 'f', 'x')
LEFT JOIN pg_class fc ON fc.oid = con.confrelid LEFT JOIN pg_namespace fn ON fn.oid = fc.relnamespace
LEFT JOIN pg_index i ON con.contype IN ('p', 'u', 'x') AND i.indexrelid = con.conindid
LEFT JOIN pg_class ic ON ic.oid = i.indexrelid
LEFT JOIN pg_description des ON des.classoid = 'pg_constraint'::regclass AND des.objoid = con.oid
"""

INDEXES = """
SELECT 'index', rel.nspname, rel.relname, ic.relname, jsonb_strip_nulls(jsonb_build_object(
    'definition', pg_get_indexdef(i.indexrelid),
    'method', am.amname,
    'unique', i.indisunique,
    'keys', (
        SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
            'text', pg_get_indexdef(i.indexrelid, k.n::int, false),
            'column', a.attname,
            'opclass', CASE WHEN NOT o.opcdefault OR (o.opcintype <> a.atttypid AND (o.opcmethod, a.atttypid)
                IN (SELECT opcmethod, opcintype FROM pg_opclass WHERE opcdefault))
                THEN {qualified:o.opcnamespace,o.opcname} END,
            'opclass_options', {column_options:ia.attoptions},
            'collation', CASE WHEN i.indcollation[k.n - 1] <> coalesce(a.attcollation, it.typcollation) THEN
                (SELECT {qualified:c.collnamespace,c.collname} FROM pg_collation c
                 WHERE c.oid = i.indcollation[k.n - 1]) END,
            'descending', (i.indoption[k.n - 1] & 1) = 1,
            'nulls_first', CASE WHEN ((i.indoption[k.n - 1] & 1) = 1) <> ((i.indoption[k.n - 1] & 2) = 2)
                THEN (i.indoption[k.n - 1] & 2) = 2 END,
            'statistics', nullif(ia.attstattarget, -1)
        )) ORDER BY k.n)
        FROM unnest(i.indkey) WITH ORDINALITY k(attnum, n)
        LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum <> 0
        JOIN pg_attribute ia ON ia.attrelid = i.indexrelid AND ia.attnum = k.n
        JOIN pg_type it ON it.oid = ia.atttypid
        JOIN pg_opclass o ON o.oid = i.indclass[k.n - 1]
        WHERE k.n <= i.indnkeyatts),
    'include', (SELECT jsonb_agg(a.attname ORDER BY k.n) FROM unnest(i.indkey) WITH ORDINALITY k(attnum, n)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
        WHERE i.indnatts > i.indnkeyatts AND k.n > i.indnkeyatts),
    'where', pg_get_expr(i.indpred, i.indrelid),
    'nulls_not_distinct', nullif({indnullsnotdistinct}, false),
    'options', {options:ic.reloptions},
    'tablespace', (SELECT ts.spcname FROM pg_tablespace ts WHERE ts.oid = ic.reltablespace),
    'valid', i.indisvalid AND i.indisready,
    'clustered', CASE WHEN i.indisclustered THEN true END,
    'inherited', CASE WHEN ic.relispartition THEN true END,
    'comment', des.description))
FROM wanted rel JOIN pg_index i ON i.indrelid = rel.oid JOIN pg_class ic ON ic.oid = i.indexrelid
JOIN pg_am am ON am.oid = ic.relam
LEFT JOIN pg_description des ON des.classoid = 'pg_class'::regclass AND des.objoid = ic.oid AND des.objsubid = 0
WHERE rel.relkind IN ('r', 'p', 'm') AND NOT EXISTS (
    SELECT FROM pg_constraint con WHERE con.conindid = i.indexrelid AND con.contype IN ('p', 'u', 'x'))
"""

CODE = """
SELECT CASE rel.relkind WHEN 'v' THEN 'view' ELSE 'materialized view' END, rel.nspname, '', rel.relname,
    jsonb_strip_nulls(jsonb_build_object(
    'definition', pg_get_viewdef(rel.oid),
    'columns', (SELECT jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum)
        FROM pg_attribute a WHERE a.attrelid = rel.oid AND a.attnum > 0 AND NOT a.attisdropped),
    'defaults', (SELECT jsonb_object_agg(a.attname, pg_get_expr(def.adbin, def.adrelid))
        FROM pg_attrdef def JOIN pg_attribute a ON a.attrelid = def.adrelid AND a.attnum = def.adnum
        WHERE def.adrelid = rel.oid),
    'column_comments', (SELECT jsonb_object_agg(a.attname, des.description)
        FROM pg_description des JOIN pg_attribute a ON a.attrelid = des.objoid AND a.attnum = des.objsubid
        WHERE des.classoid = 'pg_class'::regclass AND des.objoid = rel.oid AND des.objsubid > 0),
    'column_privileges', (SELECT jsonb_object_agg(a.attname, {granted:a.attacl,'c',rel.relowner}) FROM pg_attribute a
        WHERE a.attrelid = rel.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attacl IS NOT NULL),
    'column_settings', CASE WHEN rel.relkind = 'm' THEN (
        SELECT jsonb_object_agg(a.attname, own.settings) FROM pg_attribute a
        JOIN pg_type t ON t.oid = a.atttypid
        CROSS JOIN LATERAL (SELECT jsonb_strip_nulls(jsonb_build_object(
            'storage', CASE WHEN a.attstorage <> t.typstorage THEN {storage:a.attstorage} END,
            'compression', {compression:a.attcompression},
            'statistics', nullif(a.attstattarget, -1),
            'options', {column_options:a.attoptions})) AS settings) own
        WHERE a.attrelid = rel.oid AND a.attnum > 0 AND NOT a.attisdropped AND own.settings <> '{}') END,
    'options', {options:rel.reloptions},
    'access_method', (SELECT am.amname FROM pg_am am WHERE am.oid = rel.relam AND am.amname <> 'heap'),
    'tablespace', (SELECT ts.spcname FROM pg_tablespace ts WHERE ts.oid = rel.reltablespace),
    'populated', CASE WHEN rel.relkind = 'm' THEN nullif(rel.relispopulated, true) END,
    'comment', obj_description(rel.oid, 'pg_class'),
    'owner', pg_get_userbyid(rel.relowner),
    'privileges', {granted:rel.relacl,'r',rel.relowner}, 'revoked', {revoked:rel.relacl,'r',rel.relowner}))
FROM rel WHERE rel.relkind IN ('v', 'm')
UNION ALL
SELECT 'function', ns.nspname, '', p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
    jsonb_strip_nulls(jsonb_build_object(
    'type', CASE p.prokind WHEN 'f' THEN 'function' WHEN 'p' THEN 'procedure' WHEN 'w' THEN 'window'
        ELSE 'aggregate' END,
    'definition', CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END,
    'aggregate', CASE WHEN p.prokind = 'a' THEN (SELECT jsonb_strip_nulls(jsonb_build_object(
        'sfunc', ag.aggtransfn::regproc::text, 'stype', format_type(ag.aggtranstype, NULL),
        'finalfunc', nullif(ag.aggfinalfn::regproc::text, '-'),
        'combinefunc', nullif(ag.aggcombinefn::regproc::text, '-'),
        'initcond', ag.agginitval, 'parallel', p.proparallel)) FROM pg_aggregate ag WHERE ag.aggfnoid = p.oid) END,
    'comment', obj_description(p.oid, 'pg_proc'),
    'owner', pg_get_userbyid(p.proowner),
    'privileges', {granted:p.proacl,'f',p.proowner}, 'revoked', {revoked:p.proacl,'f',p.proowner}))
FROM pg_proc p JOIN ns ON ns.oid = p.pronamespace
WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_proc'::regclass AND m.objid = p.oid)
    -- A range type brings functions of its own.
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
        AND d.deptype = 'i')
UNION ALL
SELECT 'trigger', rel.nspname, rel.relname, t.tgname, jsonb_strip_nulls(jsonb_build_object(
    'definition', pg_get_triggerdef(t.oid),
    'enabled', CASE t.tgenabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always' END,
    'inherited', CASE WHEN t.tgparentid <> 0 THEN true END,
    'comment', obj_description(t.oid, 'pg_trigger')))
FROM rel JOIN pg_trigger t ON t.tgrelid = rel.oid WHERE NOT t.tgisinternal
UNION ALL
SELECT 'rule', rel.nspname, rel.relname, r.rulename, jsonb_strip_nulls(jsonb_build_object(
    'definition', pg_get_ruledef(r.oid),
    'enabled', CASE r.ev_enabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always' END,
    'comment', obj_description(r.oid, 'pg_rewrite')))
FROM rel JOIN pg_rewrite r ON r.ev_class = rel.oid WHERE r.rulename <> '_RETURN'
UNION ALL
SELECT 'policy', rel.nspname, rel.relname, pol.polname, jsonb_strip_nulls(jsonb_build_object(
    'command', CASE pol.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
        WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
    'permissive', pol.polpermissive,
    'roles', (SELECT jsonb_agg(r ORDER BY r COLLATE "C") FROM (SELECT CASE WHEN role = 0 THEN 'public'
        ELSE pg_get_userbyid(role)::text END AS r FROM unnest(pol.polroles) role) roles),
    'using', pg_get_expr(pol.polqual, pol.polrelid),
    'check', pg_get_expr(pol.polwithcheck, pol.polrelid),
    'comment', obj_description(pol.oid, 'pg_policy')))
FROM rel JOIN pg_policy pol ON pol.polrelid = rel.oid
UNION ALL
SELECT 'statistics', ns.nspname, '', st.stxname, jsonb_strip_nulls(jsonb_build_object(
    'definition', pg_get_statisticsobjdef(st.oid),
    'table', (SELECT jsonb_build_array(tn.nspname, tc.relname) FROM pg_class tc JOIN pg_namespace tn
        ON tn.oid = tc.relnamespace WHERE tc.oid = st.stxrelid),
    'target', nullif(st.stxstattarget, -1),
    'comment', obj_description(st.oid, 'pg_statistic_ext'),
    'owner', pg_get_userbyid(st.stxowner)))
FROM pg_statistic_ext st JOIN ns ON ns.oid = st.stxnamespace
"""

OF_TABLES = (TABLES, COLUMNS, CONSTRAINTS, INDEXES)
OTHERS = (SCHEMAS, TYPES, CODE)
