"""Which values tables hold, so that two moments can be compared: a hash of each value, without its row's place.

Hashes are salted with the row's primary key, so that values which change places are noticed; they are kept sorted, so
that it does not matter in which order PostgreSQL stores the rows.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handrail.connection import quoted
from handrail.measure.snapshot import TABLE, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from handrail.effects import Relation
    from handrail.measure.snapshot import Ask, Column

ROW_LIMIT = 20_000  # a table with more is only asked whether it holds anything
AT_ONCE = 50  # tables that are read with one query


@dataclass(frozen=True)
class Contents:
    """What a table holds.

    Attributes:
        rows: How many rows; ROW_LIMIT + 1 stands for any number above the limit.
        key: The numbers of the columns of its primary key.
        values: By number of the column the sorted hashes of its values, NULL left out. Above the limit only whether
            there is a value at all.
    """

    rows: int
    key: tuple[int, ...]
    values: Mapping[int, bytes]

    @property
    def comparable(self) -> bool:
        """Whether all values were read."""
        return self.rows <= ROW_LIMIT

    def fits(self, columns: Mapping[int, Column]) -> bool:
        """Whether it tells of all columns that a table has now."""
        now = {number: column for number, column in columns.items() if not column.generated}
        return set(self.values) == set(now) and set(self.key) == {n for n, column in now.items() if column.key}

    def missing(self, number: int, after: Contents) -> int:
        """Return how many of a column's values are not there any more."""
        before, now = self.values.get(number, b""), after.values.get(number, b"")
        if before == now:
            return 0
        return (Counter(array("q", before)) - Counter(array("q", now))).total()


def read_contents(
    ask: Ask, snapshot: Snapshot, oids: Collection[int], as_before: Mapping[int, Mapping[int, Column]] | None = None
) -> dict[int, Contents]:
    """Return what tables hold; partitions count, the table that they are parts of has nothing by itself.

    Args:
        ask: Runs a query.
        snapshot: Tells names and columns.
        oids: Of which tables.
        as_before: Earlier columns, as whose types the values are read: 1 and 1.00 are the same to an integer.
    """
    tables = [oid for oid in oids if oid in snapshot.relations and snapshot.relations[oid].kind == TABLE]
    found: dict[int, Contents] = {}
    for chunk in (tables[start : start + AT_ONCE] for start in range(0, len(tables), AT_ONCE)):
        rows = dict(ask(" UNION ALL ".join(_number_of_rows(snapshot, oid) for oid in chunk)))
        readings = [_Reading(snapshot, oid, rows[oid], (as_before or {}).get(oid)) for oid in chunk]
        values = dict(ask(" UNION ALL ".join(reading.query() for reading in readings)))
        for reading in readings:
            hashes = (bytes(value or b"") for value in values[reading.oid])
            found[reading.oid] = Contents(
                reading.rows, reading.key, dict(zip(reading.columns, hashes, strict=True))
            )  # fmt: skip
    return found


def _number_of_rows(snapshot: Snapshot, oid: int) -> str:
    rows = f"SELECT FROM ONLY {_in_sql(snapshot, oid)} LIMIT {ROW_LIMIT + 1}"
    return f"SELECT {oid}::int8, (SELECT count(*) FROM ({rows}) AS first_rows)::int8"  # noqa: S608


def _in_sql(snapshot: Snapshot, oid: int) -> str:
    schema, name = snapshot.relations[oid].name
    return f"{quoted(schema)}.{quoted(name)}"


class _Reading:
    """One table's part of a query."""

    def __init__(self, snapshot: Snapshot, oid: int, rows: int, before: Mapping[int, Column] | None) -> None:
        self.oid, self.rows = oid, rows
        self.table = _in_sql(snapshot, oid)
        now = snapshot.columns.get(oid, {})
        wanted = before or now
        self.columns = {number: now[number] for number in wanted if number in now and not now[number].generated}
        self.types = {number: wanted[number].type for number in self.columns}
        self.key = tuple(number for number in self.columns if wanted[number].key)

    def query(self) -> str:
        hashes = list(self._hashes())
        if self.rows <= ROW_LIMIT:
            given = ", ".join(f"{value} AS h{position}" for position, value in enumerate(hashes))
            chosen = ", ".join(
                f"string_agg(int8send(h{position}), ''::bytea ORDER BY h{position})" for position in range(len(hashes))
            )
            # OFFSET keeps PostgreSQL from working out the salt for each column anew.
            salted = f"(SELECT *, {self._salt()} AS handrail_salt FROM ONLY {self.table} OFFSET 0) AS salted"  # noqa: S608
            source = f"(SELECT {given} FROM {salted}) AS hashed" if hashes else "(SELECT) AS nothing"  # noqa: S608
        else:
            columns = (quoted(column.name) for column in self.columns.values())
            chosen = ", ".join(f"CASE WHEN count({column}) > 0 THEN int8send(1) END" for column in columns)
            source = f"ONLY {self.table}"
        return f"SELECT {self.oid}::int8, ARRAY[{chosen}]::bytea[] FROM {source}"  # noqa: S608

    def _salt(self) -> str:
        keys = ", ".join(self._as_text(number) for number in self.key)
        return f"hashtextextended(concat_ws('/', {keys}), 0)" if keys else "0"

    def _hashes(self) -> Iterator[str]:
        for number in self.columns:
            yield f"hashtextextended({self._as_text(number)}, {'0' if number in self.key else 'handrail_salt'})"

    def _as_text(self, number: int) -> str:
        column, type_ = self.columns[number], self.types[number]
        value = quoted(column.name)
        return f"{value}::text" if column.type == type_ else f"CAST({value} AS {type_})::text"


@dataclass(frozen=True)
class Held:
    """What a table holds, by names.

    Attributes:
        rows: See `Contents`.
        comparable: See `Contents`.
        key: The columns of its primary key.
        values: By name of the column the sorted hashes of its values, 8 bytes each.
    """

    rows: int
    comparable: bool
    key: tuple[str, ...]
    values: Mapping[str, bytes]


def values_by_name(connection: Connection, known: dict[int, Contents]) -> dict[Relation, Held]:
    """Return what all tables hold, comparable also with tables of the same names that are made anew.

    Args:
        connection: Where.
        known: What is known of some of them already; what has to be read is added.
    """

    def ask(question: str) -> list[Any]:
        return [tuple(row) for row in connection.exec_driver_sql(question, execution_options={"no_parameters": True})]

    snapshot = Snapshot.take(ask, in_transaction=True)
    new = [oid for oid in snapshot.relations if oid not in known or not known[oid].fits(snapshot.columns.get(oid, {}))]
    known |= read_contents(ask, snapshot, new)
    return {
        snapshot.relations[oid].name: Held(
            held.rows,
            held.comparable,
            tuple(snapshot.columns[oid][number].name for number in held.key),
            {snapshot.columns[oid][number].name: values for number, values in held.values.items()},
        )
        for oid, held in known.items()
        if oid in snapshot.relations
    }
