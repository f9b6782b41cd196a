"""Read a catalog: one statement, under settings that make the server write every text in one way."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from handrail.catalog.objects import KINDS, Catalog, Name
from handrail.catalog.queries import FRAME, LATER, OF_TABLES, OTHERS
from handrail.quoting import literal

if TYPE_CHECKING:
    from sqlalchemy import Connection

# With an empty search path every name is qualified; the others decide how constants are written.
CANONICAL = {
    "search_path": "",
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "quote_all_identifiers": "off",
    "lc_monetary": "C",
    # Compiling the statement takes longer than running it.
    "jit": "off",
    # Whoever only looks does not wait for who changes a table: it would be for as long as that takes.
    "lock_timeout": "1s",
}

# Otherwise psycopg would take a % in a statement for a parameter.
AS_IT_IS = {"no_parameters": True}


def read_catalog(
    connection: Connection,
    *,
    schemas: Collection[str] | None = None,
    relations: Collection[tuple[str, str]] | None = None,
) -> Catalog:
    """Return what the database holds, in one bulk query. Reads only; an ordinary role is enough.

    Args:
        connection: In a transaction of the caller's or not; its settings are as before when this returns.
        schemas: Look only at these; otherwise at all but PostgreSQL's own.
        relations: Of tables and materialized views, look only at these (schema and name), with what belongs to them.
    """
    # (18, 6), which the server itself counts as 180006.
    major, minor, *_ = (*map(int, connection.dialect.server_version_info or ()), 0, 0)
    number = major * 10000 + minor
    began = not connection.in_transaction()
    with canonical_settings(connection):
        question = statement(
            number,
            None if schemas is None else tuple(sorted(schemas)),
            None if relations is None else tuple(sorted(relations)),
        )
        rows = connection.exec_driver_sql(question, execution_options=AS_IT_IS).all()
    objects = dict(zip((Name(KINDS[row[0]], *row[1:4]) for row in rows), attributes(rows), strict=True))
    if began and connection.in_transaction():
        connection.rollback()
    return Catalog(number, dict(sorted(objects.items())))


# How `name IN ('a', 'b')` comes out when name is a varchar. Read back, it would come out in another way again.
TEXT_ARRAY = re.compile(
    r"\b(ANY|ALL) \(\((ARRAY\[(?:E?'(?:[^']|'')*'::character varying(?:\(\d+\))?(?:, )?)+\])\)::text\[\]\)"
)


def attributes(rows: Sequence[Any]) -> Iterator[Any]:
    """Yield each object's attributes, with SQL that PostgreSQL writes in the same way when it has read it again."""
    texts = [row[4] for row in rows]
    # All at once: to call the parser for each of ten thousand texts takes five times as long.
    for text, found in zip(texts, json.loads(f"[{','.join(texts)}]"), strict=True):
        yield read_alike(found) if ")::text[])" in text else found


def read_alike(value: Any) -> Any:
    """Take the cast off lists of varchar, wherever they are; PostgreSQL adds it by itself."""
    if isinstance(value, dict):
        return {key: part if key == "comment" else read_alike(part) for key, part in value.items()}
    if isinstance(value, list):
        return [read_alike(part) for part in value]
    return TEXT_ARRAY.sub(r"\1 (\2)", value) if isinstance(value, str) else value


@contextmanager
def canonical_settings(connection: Connection) -> Iterator[None]:
    """Let the server write its texts in one way, whatever role, database and session are set to."""
    # Imported here, because predictions know catalogs and no database.
    from sqlalchemy.exc import DBAPIError

    query = ", ".join(f"current_setting('{name}')" for name in CANONICAL)
    before = connection.exec_driver_sql(f"SELECT {query}", execution_options=AS_IT_IS).one()
    _set(connection, dict(CANONICAL))
    try:
        yield
    finally:
        # In a transaction that has failed the settings come back with its rollback.
        with suppress(DBAPIError):
            _set(connection, dict(zip(CANONICAL, before, strict=True)))


def _set(connection: Connection, settings: dict[str, str]) -> None:
    calls = [f"set_config('{name}', {literal(value)}, false)" for name, value in settings.items()]
    connection.exec_driver_sql(f"SELECT {', '.join(calls)}", execution_options=AS_IT_IS)


@lru_cache
def statement(
    version: int, schemas: tuple[str, ...] | None, relations: tuple[tuple[str, str], ...] | None = None
) -> str:
    """Return the whole question for a server of this version."""
    # To plan what nobody wants takes longer than all the rest.
    groups = OTHERS if relations == () else (*OTHERS, *OF_TABLES)
    text = FRAME + "\nUNION ALL\n".join(groups) + "\n) AS object"
    for column, (since, before) in LATER.items():
        text = text.replace(f"{{{column.partition('.')[2]}}}", column if version >= since else before)
    text = re.sub(r"\{(\w+):([^{}]*)\}", lambda found: MACROS[found[1]].format(*found[2].split(",")), text)
    # Names come last, and all at once: they may hold anything.
    names = "" if schemas is None else f"AND nspname = ANY (ARRAY[{', '.join(map(literal, schemas))}]::name[])"
    pairs = ", ".join(f"({literal(schema)}, {literal(name)})" for schema, name in relations or ())
    chosen = {"in_schemas": names, "in_relations": pairs and f"WHERE (nspname, relname) IN ({pairs})"}
    return re.sub(r"\{(in_\w+)\}", lambda found: chosen[found[1]], text)


ROLE = "CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS role"

# What recurs in the queries, by the name with which they use it.
MACROS = {
    # What was granted beyond what owner and PUBLIC have by themselves, and what was taken away of that. Sorted, because
    # the order of grants says nothing; whether the initial privileges are written down says nothing either.
    "granted": 'CASE WHEN {0} IS NOT NULL THEN (SELECT jsonb_agg(said ORDER BY said COLLATE "C") FROM ('  # noqa: S608 - no values
    "SELECT privilege_type || ' TO ' || role || CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS said "
    f"FROM (SELECT {ROLE}, privilege_type, is_grantable FROM aclexplode({{0}}) EXCEPT "
    f"SELECT {ROLE}, privilege_type, is_grantable FROM aclexplode(acldefault({{1}}, {{2}}))) acl) beyond) END",
    "revoked": 'CASE WHEN {0} IS NOT NULL THEN (SELECT jsonb_agg(said ORDER BY said COLLATE "C") FROM ('  # noqa: S608 - no values
    "SELECT privilege_type || ' FROM ' || role AS said "
    f"FROM (SELECT {ROLE}, privilege_type FROM aclexplode(acldefault({{1}}, {{2}})) EXCEPT "
    f"SELECT {ROLE}, privilege_type FROM aclexplode({{0}})) acl) missing) END",
    "options": "(SELECT jsonb_object_agg(option_name, option_value) FROM pg_options_to_table({0}))",
    # Some builds of PostgreSQL 15 keep a number of their own there (pg_attver) that differs between equal databases.
    "column_options": "(SELECT jsonb_object_agg(option_name, option_value) FROM pg_options_to_table({0}) "
    "WHERE NOT starts_with(option_name, 'pg_'))",
    "qualified": "(SELECT CASE WHEN q.nspname = 'pg_catalog' THEN quote_ident({1}) "
    "ELSE quote_ident(q.nspname) || '.' || quote_ident({1}) END FROM pg_namespace q WHERE q.oid = {0})",
    "columns": "(SELECT jsonb_agg(ca.attname ORDER BY k.n) FROM unnest({0}) WITH ORDINALITY k(attnum, n) "
    "JOIN pg_attribute ca ON ca.attrelid = {1} AND ca.attnum = k.attnum)",
    "storage": "CASE {0} WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END",
    "compression": "CASE {0} WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END",
    "action": "CASE {0} WHEN 'r' THEN 'RESTRICT' WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' "
    "WHEN 'd' THEN 'SET DEFAULT' END",
}
