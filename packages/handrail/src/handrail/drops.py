"""What is at stake when tables and columns are dropped: the rows and values in the development database."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from alembic.autogenerate.render import renderers
from alembic.operations import Operations
from alembic.operations.ops import MigrateOperation
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from handrail.catalog.objects import Kind, Name
from handrail.connection import with_connection
from handrail.errors import HandrailError
from handrail.operations.identifiers import ident, qualified, table_of
from handrail.operations.statement import sql_text

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext
    from sqlalchemy import URL, Connection

EXACT = 1_000_000  # rows up to which they are counted rather than estimated
TIMEOUT_MILLISECONDS = 3000
RULE = {Kind.TABLE: "drops-table", Kind.COLUMN: "drops-column"}


class Remark(MigrateOperation):
    """Comment lines in a revision.

    Attributes:
        lines: Their texts, without the `#`.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return ("remark", *self.lines)


@renderers.dispatch_for(Remark)
def render_remark(_context: AutogenContext, remark: Remark) -> list[str]:
    return [f"# {line}" for line in remark.lines]


@Operations.implementation_for(Remark)
def run_remark(_operations: Operations, _remark: Remark) -> None:
    """Nothing happens."""


def remark(lost: Iterable[Name], dropped: Iterable[Name], url: URL | None) -> Remark:
    """Return the lines that mark what a revision destroys, and tell how much that is.

    Args:
        lost: Tables and columns that go, and columns and types whose values may not fit any more.
        dropped: Those of them that go.
        url: The development database; None when it is not running. It is only asked, and for a moment.
    """
    lost, gone = list(lost), set(dropped)
    amounts = at_stake([name for name in lost if name.kind in RULE], url)
    lines: list[str] = []
    mark = ""
    for name in lost:
        mark = f"{RULE[name.kind] if name in gone else 'narrows-type'} {spelled(name)}"
        lines += [f"handrail: {mark}"]
        lines += [f"  {amounts[name]}"] if name in amounts else []
    lines.append("  It is not run before a line like this one says why, for each of them:")
    # No note itself: it does not begin with handrail.
    lines.append(f"      `# handrail: allow {mark} — nobody has used it since …`")
    return Remark(lines)


def spelled(name: Name) -> str:
    """Return a name as notes and marks have it: `shop.orders.note`."""
    return ".".join(part for part in (name.schema, name.table, name.name) if part)


def at_stake(names: Iterable[Name], url: URL | None) -> Mapping[Name, str]:
    """Return for each table or column how many rows or values the development database holds, in words.

    Never fails: what cannot be found out is said.
    """
    names = list(names)
    if url is None:
        return dict.fromkeys(names, "not known how many: the development database is not running")
    today = datetime.datetime.now(tz=datetime.UTC).date()

    def work(connection: Connection) -> dict[Name, str]:
        connection.execute(text(f"SET statement_timeout = {TIMEOUT_MILLISECONDS}"))
        connection.commit()
        return {name: f"{_amount(connection, name)} in the development database ({today})" for name in names}

    try:
        return with_connection(url, work, application="handrail drops")
    except (HandrailError, DBAPIError, OSError):
        return dict.fromkeys(names, "not known how many: the development database does not answer")


def _amount(connection: Connection, name: Name) -> str:
    """Return how much there is of a table or column, in words."""
    table = qualified(name.schema, name.name) if name.kind is Kind.TABLE else table_of(name)
    try:
        with connection.begin():
            estimate = connection.scalar(
                text("SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(:table)"), {"table": table}
            )
            if estimate is None:
                return "no such table"
            if estimate > EXACT:
                return f"about {estimate:,} rows"
            counted = "count(*)" if name.kind is Kind.TABLE else f"count({ident(name.name)}), count(*)"
            row = connection.execute(sql_text(f"SELECT {counted} FROM {table}")).one()  # noqa: S608 - quoted identifiers
    except DBAPIError:
        return "not known how many (no right to look, no such column, or it took too long)"
    return f"{row[0]:,} rows" if len(row) == 1 else f"{row[0]:,} of {row[1]:,} rows hold a value"
