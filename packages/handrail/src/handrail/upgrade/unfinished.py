"""What an interrupted statement left behind, for those that PostgreSQL does not undo.

A failed or killed CREATE INDEX CONCURRENTLY leaves an INVALID index: no query uses it, every write maintains it, and
`IF NOT EXISTS` takes it for the wanted one. (https://www.postgresql.org/docs/current/sql-createindex.html)
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sqlalchemy import text

from handrail.catalog.read import AS_IT_IS

if TYPE_CHECKING:
    from sqlalchemy import Connection

_PART = r'(?:"(?:[^"]|"")+"|[\w$]+)'
_NAME = rf"({_PART}(?:\s*\.\s*{_PART})?)"
_OPTIONS = re.IGNORECASE | re.DOTALL
CREATE = re.compile(
    rf"CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?{_NAME}\s+ON\s+(?:ONLY\s+)?{_NAME}",
    _OPTIONS,
)
DROP = re.compile(rf"DROP\s+INDEX\s+CONCURRENTLY\s+(?:IF\s+EXISTS\s+)?{_NAME}", _OPTIONS)
REINDEX = re.compile(rf"REINDEX\s+(?:\([^)]*\)\s*)?(?:TABLE|INDEX)\s+CONCURRENTLY\s+{_NAME}", _OPTIONS)
DETACH = re.compile(
    rf"ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?{_NAME}\s+DETACH\s+PARTITION\s+{_NAME}\s+CONCURRENTLY", _OPTIONS
)
# Statements that PostgreSQL refuses inside of a transaction, or that end transactions by themselves.
ALONE = re.compile(
    r"\bCONCURRENTLY\b|\b(CREATE|DROP)\s+(DATABASE|TABLESPACE|SUBSCRIPTION)\b|^\s*(VACUUM|CLUSTER|CALL|DO|BEGIN|COMMIT"
    r"|ROLLBACK|START|END|SAVEPOINT|REINDEX|ALTER\s+(SYSTEM|DATABASE|SUBSCRIPTION))\b",
    re.IGNORECASE,
)
VALIDATES = re.compile(rf"ALTER\s+TABLE\s+(?:ONLY\s+)?{_NAME}\s+VALIDATE\s+CONSTRAINT\b", _OPTIONS)
COMMENTS = re.compile(r"\A(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)

INVALID = text(
    """
    SELECT c.oid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE NOT i.indisvalid AND c.relname = :name
        AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass(:table))
    """
)
VALID = text(INVALID.text.replace("NOT i.indisvalid", "i.indisvalid"))
COPIES = text(
    """
    SELECT c.oid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE NOT i.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$' AND to_regclass(:name) IN (
        i.indrelid, (SELECT original.indexrelid FROM pg_index original WHERE original.indrelid = i.indrelid
            AND original.indexrelid = to_regclass(:name)))
    """
)
PENDING = text(
    "SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = to_regclass(:child) AND inhparent = to_regclass(:parent)"
)


def bare(statement: str) -> str:
    """Return a statement without the comments before it."""
    return COMMENTS.sub("", statement, count=1)


def runs_alone(statement: str) -> bool:
    """Whether a statement cannot be part of a transaction, or of several there is no telling."""
    return bool(ALONE.search(bare(statement))) or ";" in statement.rstrip().rstrip(";")


def waits_harmlessly(statement: str) -> bool:
    """Whether nobody who reads or writes has to wait behind the statement while it waits for others."""
    said = bare(statement)
    return bool(VALIDATES.match(said)) or ("CONCURRENTLY" in said.upper() and not DETACH.match(said))


def clear(connection: Connection, statement: str) -> None:
    """Drop the INVALID index that stands where this statement creates one. On an autocommit connection."""
    found = CREATE.match(bare(statement))
    if found:
        drop_all(connection, connection.scalars(INVALID, {"name": unquoted(found[1]), "table": found[2]}).all())


def is_over(connection: Connection, statement: str) -> bool:
    """Whether a statement of which only the beginning is known did its work; if not, make room for it to run again."""
    said = bare(statement)
    if found := CREATE.match(said):
        clear(connection, statement)
        return bool(connection.scalar(VALID, {"name": unquoted(found[1]), "table": found[2]}))
    if found := DROP.match(said):
        return connection.scalar(text("SELECT to_regclass(:name) IS NULL"), {"name": found[1]}) is True
    if found := REINDEX.match(said):
        drop_all(connection, connection.scalars(COPIES, {"name": found[1]}).all())
        return False
    if found := DETACH.match(said):
        pending = connection.scalar(PENDING, {"parent": found[1], "child": found[2]})
        if pending:
            connection.exec_driver_sql(
                f"ALTER TABLE {found[1]} DETACH PARTITION {found[2]} FINALIZE", execution_options=AS_IT_IS
            )
        return pending is not False
    return False


def drop_all(connection: Connection, indexes: Iterable[str]) -> None:
    """Drop indexes that nobody can use, without being in anybody's way."""
    for index in indexes:
        print(f"Dropping the INVALID index {index}, left behind by a build that failed.", file=sys.stderr, flush=True)
        connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {index}", execution_options=AS_IT_IS)


def unquoted(name: str) -> str:
    """Return an identifier as the catalog has it."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
