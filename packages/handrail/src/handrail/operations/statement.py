"""SQL in a revision, where Alembic has no operation of its own: kept as it is by `text()`, and readable in the file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from alembic.autogenerate.render import renderers
from alembic.operations.ops import ExecuteSQLOp
from sqlalchemy import TextClause, text

from handrail.catalog.ddl import create_statements, drop_statement

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext
    from alembic.operations.ops import MigrateOperation

    from handrail.catalog.objects import Catalog, Name


class Statement(ExecuteSQLOp):
    """One SQL statement.

    Attributes:
        outside_transaction: PostgreSQL must have committed it before what follows can use its result.
    """

    def __init__(self, sql: str, *, outside_transaction: bool = False) -> None:
        super().__init__(escaped(sql))
        self.outside_transaction = outside_transaction


def escaped(sql: str) -> str:
    """Return SQL that `sqlalchemy.text` leaves as it is: no `:word` in it is taken for a parameter."""
    kept = re.sub(r"\\(?=:\w*(?![:\w]))", r"\\\\", sql)
    return re.sub(r"(?<![:\w\\]):(\w+)(?![:\w])", r"\\:\1", kept)


def sql_text(sql: str) -> TextClause:
    """Return an expression of the server's as SQLAlchemy has it."""
    return text(escaped(sql))


def create(catalog: Catalog, name: Name) -> list[MigrateOperation]:
    """Create something that Alembic knows nothing of, or not all."""
    return [Statement(sql) for sql in create_statements(catalog, name)]


def drop(catalog: Catalog, name: Name) -> list[MigrateOperation]:
    """Drop something that Alembic knows nothing of."""
    return [Statement(drop_statement(catalog, name))]


@renderers.dispatch_for(Statement)
def render_statement(context: AutogenContext, operation: Statement) -> list[str]:
    """Write `op.execute(…)`."""
    prefix = context.opts["alembic_module_prefix"]
    call = f"{prefix}execute({in_python(str(operation.sqltext))})"
    if not operation.outside_transaction:
        return [call]
    # The empty line makes Mako's printer end the block.
    return [f"with {prefix}get_context().autocommit_block():", call, ""]


def in_python(sql: str) -> str:
    """Return SQL as a person would put it into a call: on lines of its own, with as few backslashes as possible."""
    lines = sql.splitlines(keepends=True)
    if len(lines) == 1:
        return string(sql)
    if all(map(may_be_indented, lines)):
        inside = "".join(f"    {line}" for line in lines).rstrip().replace("\\", "\\\\")
        return f'"""\n{inside}\n"""'
    return "\n" + "".join(f"    {string(line)}\n" for line in lines)


def may_be_indented(line: str) -> bool:
    """Whether a line holds no part of a longer string or of a function, which Alembic's indentation would change."""
    return line.count("'") % 2 == 0 and line.count('"') % 2 == 0 and "$" not in line and '"""' not in line


def string(line: str) -> str:
    """Return a line as a string; one with both sorts of quotes within three of them."""
    both = "'" in line and '"' in line
    if not both or '"""' in line or line.endswith(('"', "\n")):
        return repr(line)
    return '"""' + line.replace("\\", "\\\\") + '"""'
