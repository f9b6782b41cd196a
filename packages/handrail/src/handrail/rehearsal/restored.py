"""What a downgrade does not bring back: objects of the catalog, rows, and values."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handrail.catalog import Catalog, Kind, Name, read_catalog
from handrail.catalog.difference import differences
from handrail.catalog.words import in_words
from handrail.measure import values_by_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from sqlalchemy import Connection

    from handrail.effects import Relation
    from handrail.measure import Contents, Held


@dataclass(frozen=True)
class State:
    """A whole database at one moment.

    Attributes:
        catalog: Its objects, without Alembic's table and ours.
        tables: What its tables hold.
    """

    catalog: Catalog
    tables: Mapping[Relation, Held]

    @classmethod
    def of(cls, connection: Connection, leave_out: Collection[Name], known: dict[int, Contents]) -> State:
        """Read what is not known already, and leave no transaction open."""
        catalog = read_catalog(connection).without(*leave_out)
        tables = values_by_name(connection, known)
        connection.rollback()
        return cls(catalog, {name: held for name, held in tables.items() if _named(name) in catalog.objects})


def _named(name: Relation) -> Name:
    return Name(Kind.TABLE, name.schema, "", name.name)


def schema_differences(before: State, after: State) -> list[str]:
    """Return in words in what the objects differ; the order of columns says nothing."""
    return in_words(differences(before.catalog, after.catalog, ignored={"position"}))


def missing_values(before: State, after: State) -> Iterator[str]:
    """Yield in words which rows and values are not there any more."""
    for name, held in before.tables.items():
        now = after.tables.get(name)
        if held.rows and (now is None or now.rows < held.rows):
            yield f"{held.rows - (now.rows if now else 0)} of {held.rows} rows of {name}"
        if now is None or not (held.comparable and now.comparable) or held.key != now.key:
            continue  # without the same key nothing tells which row is which; that it is another one, the catalog says
        gone = max(held.rows - now.rows, 0)
        for column, values in held.values.items():
            missing = _missing(values, now.values.get(column, b""))
            if missing > gone:
                yield f"{missing} of {len(values) // 8} values of {name}.{column}"


def _missing(before: bytes, after: bytes) -> int:
    return 0 if before == after else (Counter(array("q", before)) - Counter(array("q", after))).total()
