"""Rows for the tables of a throwaway database: they keep every rule, and what could not be filled is said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from handrail.catalog import Kind, Name, read_catalog
from handrail.catalog.read import AS_IT_IS
from handrail.connection import ServerMessage, literal, quoted
from handrail.rehearsal.checks import Check, connected, of_domain, passing
from handrail.rehearsal.tables import ForeignKey, Table, in_order, in_sql, tables_of
from handrail.rehearsal.values import I, alternatives, base_type, user_type, value_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from handrail.catalog import Catalog

# PostgreSQL has no other name for what the bound of a partition demands.
BOUNDS = """
SELECT n.nspname::text, c.relname::text, pg_get_partition_constraintdef(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relispartition AND c.relkind IN ('r', 'p')
"""
# Sequences go on behind the numbers that we have used ourselves.
SEQUENCES = """
SELECT setval(pg_get_serial_sequence({table}, {column}), greatest(max({quoted}), 1)) FROM {sql}
"""
SKIPPING = " ON CONFLICT DO NOTHING"
REPLICA, ORIGIN = "SET LOCAL session_replication_role = replica", "SET LOCAL session_replication_role = origin"


@dataclass
class Filling:
    """What became of the tables.

    Attributes:
        rows: By table how many rows were inserted.
        problems: By table why it has fewer rows than wanted, or columns without values.
    """

    rows: dict[Name, int] = field(default_factory=dict)
    problems: dict[Name, list[str]] = field(default_factory=dict)

    @property
    def in_words(self) -> list[str]:
        """The problems, one line for each."""
        return [f"{name}: {text}" for name, texts in self.problems.items() for text in texts]

    def problem(self, name: Name, text: str) -> None:
        self.problems.setdefault(name, []).append(text)


def fill(connection: Connection, rows: int, leave_out: Iterable[Name] = ()) -> Filling:
    """Insert rows into every table that has fewer than wanted, and commit.

    Args:
        connection: To a throwaway database; rows that are there stay.
        rows: How many in each table; a table whose rules allow fewer gets fewer.
        leave_out: Tables to leave alone.
    """
    catalog = read_catalog(connection)
    filler = _Filler(connection, catalog, rows)
    tables, refused = tables_of(catalog, leave_out)
    for name, reason in refused.items():
        filler.filling.problem(name, reason)
    tables = [table for table in tables if filler.count(table) < rows]
    late: list[tuple[Table, list[ForeignKey]]] = []
    for table, keys in in_order(tables):
        late.append((table, [key for key in keys if table.optional(key)]))
        filler.fill(table, keys)
    for table, keys in late:
        for key in keys:
            filler.refer(table, key)
    connection.commit()
    return filler.filling


class _Filler:
    """Fills one database."""

    def __init__(self, connection: Connection, catalog: Catalog, rows: int) -> None:
        self.connection, self.catalog, self.wanted = connection, catalog, rows
        self.filling = Filling()
        self._run("SET CONSTRAINTS ALL DEFERRED")
        bounds = connection.exec_driver_sql(BOUNDS, execution_options=AS_IT_IS)
        self.bounds = {(schema, name): text for schema, name, text in bounds if text}

    def _run(self, statement: str) -> int:
        with self.connection.begin_nested():
            return self.connection.exec_driver_sql(statement, execution_options=AS_IT_IS).rowcount

    def count(self, table: Table) -> int:
        """Return how many rows it has."""
        return int(self.connection.exec_driver_sql(f"SELECT count(*) FROM {table.sql}").scalar_one())  # noqa: S608

    def fill(self, table: Table, late: list[ForeignKey]) -> None:
        """Insert rows into one table.

        Args:
            table: Which.
            late: Foreign keys to rows that are not there yet: left empty, or if they may not be, to the row with the
                same number.
        """
        values, source = self._values(table), f"generate_series(1, {self.wanted}) AS numbers({I})"
        # What a key of several columns says about one of them also fits the key of that one alone.
        for number, key in enumerate(sorted(table.foreign_keys, key=lambda key: len(key.columns))):
            if key in late:
                values |= self._to_come(table, key, values)
            else:
                alias = f"parent_{number}"
                source += f" {'LEFT ' if table.optional(key) else ''}{_join(key, alias)}"
                values |= {
                    column: f"{alias}.{quoted(f'c{place}')}"
                    for place, column in enumerate(key.columns)
                    if column in table.columns
                }
        values |= self._checked(table, values, source)
        for name in [name for name, value in values.items() if value is None]:
            column = table.columns[name]
            del values[name]
            if not column.get("default"):
                self.filling.problem(table.name, f"{name} is empty: no values are known for {column['type']}")
        self._insert(table, values, source)

    def _values(self, table: Table) -> dict[str, str | None]:
        return {name: value_of(a["type"], name, self.catalog) for name, a in table.columns.items()}

    def _to_come(self, table: Table, key: ForeignKey, values: Mapping[str, str | None]) -> dict[str, str | None]:
        """Return values of a foreign key whose parents are not there: NULL, or what the row of this number will get."""
        if table.optional(key):
            return {column: "NULL" for column in key.columns if not table.columns[column].get("not_null")}
        if key.parent == table.name:
            return {own: values[theirs] for own, theirs in zip(key.columns, key.parent_columns, strict=True)}
        types = {name: a["type"] for name, a in self.catalog.parts(key.parent, Kind.COLUMN).items()}
        pairs = zip(key.columns, key.parent_columns, strict=True)
        return {own: value_of(types[theirs], theirs, self.catalog) for own, theirs in pairs}

    def _checked(self, table: Table, values: Mapping[str, str | None], source: str) -> dict[str, str]:
        """Return other values for columns whose first ones do not pass the checks."""
        found: dict[str, str] = {}
        for columns, checks in connected(self._checks(table)):
            expressions = [check.expression for check in checks]
            choices = {}
            for name in columns & set(values):
                column, first = table.columns[name], values[name]
                type_ = base_type(column["type"], self.catalog)
                own = alternatives(type_, expressions, column.get("default"), not column.get("not_null"))
                refers = any(name in key.columns for key in table.foreign_keys)
                rest = ["NULL"] if refers and not column.get("not_null") else [] if refers else list(own)
                choices[name] = [value for value in (first, *rest) if value is not None]
                if "NULL" in rest and re.search(r"IS (NOT )?NULL|num_n(on)?nulls", " ".join(expressions)):
                    # Of several columns some are to be empty: that is tried soon.
                    choices[name] = list(dict.fromkeys([*choices[name][:1], "NULL", *choices[name][1:]]))
            passed = passing(self.connection, checks, choices, source, self.wanted)
            if passed is None:
                self.filling.problem(table.name, f"no values were found that pass {' and '.join(expressions)}")
            found |= passed or {}
        return found

    def _checks(self, table: Table) -> list[Check]:
        constraints = self.catalog.parts(table.name, Kind.CONSTRAINT).values()
        own = [a for a in constraints if a["type"] == "check" and a.get("columns")]
        checks = [Check(frozenset(a["columns"]), a["expression"]) for a in own]
        for name, column in table.columns.items():
            kind, attributes = user_type(column["type"], self.catalog)
            if kind is Kind.DOMAIN:
                checks += of_domain(attributes.get("checks", {}), name)
        bound = self.bounds.get((table.name.schema, table.name.name))
        if bound is not None:
            checks.append(Check(frozenset(name for name in table.columns if name in bound), bound))
        return checks

    def _insert(self, table: Table, values: Mapping[str, str | None], source: str) -> None:
        columns = ", ".join(map(quoted, values))
        chosen = ", ".join(str(value) for value in values.values())
        insert = f"INSERT INTO {table.sql} ({columns}) OVERRIDING SYSTEM VALUE SELECT {chosen} FROM {source}"  # noqa: S608
        if not values:
            insert = f"INSERT INTO {table.sql} SELECT FROM {source}"
        inserted, refusal = 0, ""
        # Without ON CONFLICT, which a deferrable unique constraint does not allow; then without the triggers.
        for statements in ((insert + SKIPPING,), (insert,), (REPLICA, insert + SKIPPING, ORIGIN)):
            try:
                with self.connection.begin_nested():
                    inserted = max(self._run(statement) for statement in statements)
                break
            except DBAPIError as error:
                refusal = refusal or _said(error)
        else:
            self.filling.problem(table.name, f"it is empty: PostgreSQL says: {refusal}")
            return
        self.filling.rows[table.name] = inserted
        there = inserted if inserted >= self.wanted else self.count(table)
        if there < self.wanted:
            self.filling.problem(
                table.name, f"it has only {there} rows: others would not be unique, or have nothing to refer to"
            )
        self._advance(table)

    def _advance(self, table: Table) -> None:
        for name, column in table.columns.items():
            if "identity" in column or "nextval(" in column.get("default", ""):
                self._run(
                    SEQUENCES.format(
                        table=literal(table.sql), column=literal(name), quoted=quoted(name), sql=table.sql
                    )
                )  # fmt: skip

    def refer(self, table: Table, key: ForeignKey) -> None:
        """Fill a foreign key that was left empty, now that the rows are there to which it can refer."""
        columns = [column for column in key.columns if column in table.columns]
        given = ", ".join(f"{quoted(column)} = parent.{quoted(f'c{key.columns.index(column)}')}" for column in columns)
        statement = (
            f"UPDATE {table.sql} AS child SET {given} "  # noqa: S608
            f"FROM (SELECT ctid AS place, row_number() OVER () AS {I} FROM {table.sql}) AS numbered "
            f"{_join(key, 'parent')} WHERE child.ctid = numbered.place"
        )
        try:
            self._run(statement)
        except DBAPIError as error:
            names = ", ".join(key.columns)
            self.filling.problem(table.name, f"{names} is empty: PostgreSQL says: {_said(error)}")


def _said(error: DBAPIError) -> str:
    return ServerMessage.of(error).text.partition(" DETAIL:")[0]


def _join(key: ForeignKey, alias: str) -> str:
    """Return a join with the parent's rows, which are dealt out in turn."""
    columns = ", ".join(f"{quoted(column)} AS c{place}" for place, column in enumerate(key.parent_columns))
    parent = in_sql(key.parent)
    return (
        f"JOIN (SELECT {columns}, row_number() OVER (ORDER BY {quoted(key.parent_columns[0])}) AS place, "  # noqa: S608
        f"count(*) OVER () AS every FROM {parent}) AS {alias} ON {alias}.place = ({I} - 1) % {alias}.every + 1"
    )
