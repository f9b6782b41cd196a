"""How large tables are: from the connected database, or from a file that was made there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handrail.effects import Relation
from handrail.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import Connection

# A table below both is read or written anew in about a tenth of a second: nobody notices.
SMALL_ROWS = 100_000
SMALL_BYTES = 16 * 1024 * 1024

QUERY = """
    SELECT n.nspname, c.relname,
        CASE WHEN c.relkind <> 'p' AND pg_relation_size(c.oid) = 0 THEN 0 ELSE c.reltuples::bigint END,
        CASE WHEN c.relkind = 'p' THEN (SELECT coalesce(sum(pg_total_relation_size(t.relid)), 0)
            FROM pg_partition_tree(c.oid) t WHERE t.isleaf) ELSE pg_total_relation_size(c.oid) END
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""


@dataclass(frozen=True)
class Size:
    """How large a table is.

    Attributes:
        rows: As the planner estimates; None when nobody has counted yet.
        bytes: With its indexes.
    """

    rows: int | None
    bytes: int

    @property
    def small(self) -> bool:
        """Whether reading it or writing it anew takes no time that matters."""
        return (self.rows or 0) < SMALL_ROWS and self.bytes < SMALL_BYTES

    def __str__(self) -> str:
        """Return it in words: `1,200,000 rows, 340 MB`."""
        amount = f"{self.bytes / 1024 / 1024:,.0f} MB" if self.bytes >= SMALL_BYTES else f"{self.bytes // 1024:,} kB"
        return amount if self.rows is None else f"{self.rows:,} rows, {amount}"


@dataclass(frozen=True)
class Sizes:
    """Sizes of a database's tables.

    Attributes:
        tables: Each table's.
        known: Whether there are any; where nobody knows, a table may be of any size.
    """

    tables: Mapping[Relation, Size] = field(default_factory=dict)
    known: bool = False

    def matters(self, table: Relation) -> bool:
        """Whether a table may be so large that people notice when it is locked while it is read."""
        size = self.tables.get(table)
        return not (size.small if size is not None else self.known)

    def words(self, table: Relation) -> str:
        """Return a table's size in words, in brackets; nothing where it is not known."""
        size = self.tables.get(table)
        return f" ({size})" if size is not None else ""

    @classmethod
    def of(cls, connection: Connection) -> Sizes:
        """Read the sizes of the connected database; needs no rights on the tables."""
        return cls(
            {
                Relation(schema, name): Size(rows if rows >= 0 else None, int(size))
                for schema, name, rows, size in connection.exec_driver_sql(QUERY)
            },
            known=True,
        )

    @classmethod
    def load(cls, path: Path) -> Sizes:
        """Read a file that `handrail stats` wrote.

        Raises:
            ConfigurationError: It is not there, or no such file.
        """
        try:
            content: Any = json.loads(path.read_text(encoding="utf-8"))
            tables = {Relation(*name.split("/", 1)): Size(**size) for name, size in content["tables"].items()}
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror}. Make it with: handrail stats > {path}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigurationError(
                f"{path} is no statistics file. Make it where the data is: handrail stats > {path.name}"
            ) from error
        return cls(tables, known=True)

    def dump(self) -> str:
        """Return the text of such a file: names of tables and their sizes, nothing of what is in them."""
        tables = {f"{table.schema}/{table.name}": vars(size) for table, size in sorted(self.tables.items())}
        return json.dumps({"version": 1, "tables": tables}, indent=2) + "\n"
