"""What a database looks like between two statements, as far as those before tell, or a catalog did at the start."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from handrail.catalog.objects import Kind
from handrail.effects import Relation

if TYPE_CHECKING:
    from handrail.catalog.objects import Catalog

DEFAULT_SCHEMA = "public"
WORD = re.compile(r"\w+")


@dataclass
class Column:
    """A column of a table.

    Attributes:
        type: As `format_type` spells it: `character varying(20)`; of a type of the project's, with its schema.
        not_null: Whether NULL is refused.
        default: Whether an INSERT may leave it out: by default, identity or because it is generated.
        new: Whether it was added since the batch began.
    """

    type: str
    not_null: bool = False
    default: bool = False
    new: bool = False


@dataclass
class Index:
    """An index, of a constraint or its own.

    Attributes:
        table: On which table.
        columns: Its columns; expressions are left out.
        unique: Whether it refuses duplicates.
        plain: Whether it covers all rows by columns alone: no predicate, no expression.
    """

    table: Relation
    columns: tuple[str, ...] = ()
    unique: bool = False
    plain: bool = True


@dataclass
class Constraint:
    """A constraint of a table.

    Attributes:
        kind: `primary key`, `unique`, `check`, `foreign key`, `not null` or `exclude`.
        columns: Which columns it is about.
        valid: Whether it is known to hold for all rows.
        references: The table that a foreign key leads to.
        not_null: The column of which a check says that it is not NULL; empty for other checks.
        referred: The columns that a foreign key leads to; empty where it names none.
    """

    kind: str
    columns: tuple[str, ...] = ()
    valid: bool = True
    references: Relation | None = None
    not_null: str = ""
    referred: tuple[str, ...] = ()


@dataclass
class Table:
    """A table, view or materialized view.

    Attributes:
        kind: `table`, `partitioned`, `foreign`, `view` or `materialized view`.
        columns: By name, in their order; None when nobody has told.
        constraints: By name.
        new: Whether it was created since the batch began, so that nobody uses it and it holds next to nothing.
        parent: The table of which it is a partition.
        default: Whether it is the partition that takes what no other takes.
        unlogged: Whether it is not written ahead.
        triggers: The function of each trigger.
        policies: How many policies of row security it has.
        source: A view's definition.
        assumed: What revisions say about columns of a table that nobody has told about.
    """

    kind: str = "table"
    columns: dict[str, Column] | None = None
    constraints: dict[str, Constraint] = field(default_factory=dict)
    new: bool = False
    parent: Relation | None = None
    default: bool = False
    unlogged: bool = False
    triggers: dict[str, str] = field(default_factory=dict)
    policies: int = 0
    source: str = ""
    assumed: dict[str, Column] = field(default_factory=dict)

    @property
    def words(self) -> set[str]:
        """The names in a view's definition."""
        return set(WORD.findall(self.source))

    def column(self, name: str) -> Column | None:
        return (self.columns or {}).get(name) or self.assumed.get(name)

    def copy(self) -> Table:
        columns = None if self.columns is None else {name: replace(column) for name, column in self.columns.items()}
        constraints = {name: replace(constraint) for name, constraint in self.constraints.items()}
        assumed = {name: replace(column) for name, column in self.assumed.items()}
        return replace(self, columns=columns, assumed=assumed, constraints=constraints, triggers=dict(self.triggers))


class State:
    """All that is known of a database.

    Attributes:
        version: `server_version_num`.
        tables: Tables and views.
        indexes: Indexes by their own names.
        enums: The values of enums.
        domains: The types beneath domains.
        constrained: Domains that have a constraint.
        statistics: The tables of extended statistics.
        functions: Volatility of functions that were created: `volatile`, `stable` or `immutable`.
        complete: Whether what is not known does not exist.
        fresh_values: Values added to enums in the transaction that is open; nothing may use them yet.
        began: Whether something is new since the batch began.
    """

    def __init__(self, version: int = 180000, *, complete: bool = False) -> None:
        self.version = version
        self.complete = complete
        self.tables: dict[Relation, Table] = {}
        self.indexes: dict[Relation, Index] = {}
        self.enums: dict[Relation, list[str]] = {}
        self.domains: dict[Relation, str] = {}
        self.constrained: set[Relation] = set()
        self.statistics: dict[Relation, Relation] = {}
        self.sequences: set[Relation] = set()
        self.schemas: set[str] = {DEFAULT_SCHEMA}
        self.functions: dict[str, str] = {}
        self.fresh_values: dict[str, Relation] = {}
        self.created_types: set[Relation] = set()
        self._shared: set[Relation] = set()

    def copy(self) -> State:
        """Return a state that changes by itself; tables are only copied when they are changed."""
        other = State(self.version, complete=self.complete)
        for name, value in vars(self).items():
            if name not in ("version", "complete", "_shared"):
                setattr(other, name, value.copy())
        other._shared = set(self.tables)
        self._shared = set(self.tables)
        return other

    def begin_batch(self) -> None:
        """Forget what was new: from here on it is in use."""
        for relation, table in list(self.tables.items()):
            if table.new or any(column.new for column in (table.columns or {}).values()):
                changed = self.change(relation)
                changed.new = False
                for column in (changed.columns or {}).values():
                    column.new = False

    def begin_transaction(self) -> None:
        """Values of enums that were added can be used from here on; those of a new enum could at once."""
        self.fresh_values.clear()
        self.created_types.clear()

    def table(self, relation: Relation) -> Table:
        """Return what is known of a table; of one that is not known, nothing."""
        return self.tables.get(relation) or Table()

    def change(self, relation: Relation) -> Table:
        """Return a table in order to change it."""
        table = self.tables.get(relation)
        if table is None:
            table = self.tables[relation] = Table()
        elif relation in self._shared:
            table = self.tables[relation] = table.copy()
        self._shared.discard(relation)
        return table

    def change_column(self, relation: Relation, name: str, **values: Any) -> None:
        """Give a column other attributes; of one that is not known there is nothing to change."""
        column = self.change(relation).column(name)
        if column is not None:
            for attribute, value in values.items():
                setattr(column, attribute, value)

    def create(self, relation: Relation, table: Table) -> None:
        self.tables[relation] = table
        self._shared.discard(relation)

    def drop(self, relation: Relation) -> None:
        """Forget a table and what belongs to it."""
        self.tables.pop(relation, None)
        for name in [name for name, index in self.indexes.items() if index.table == relation]:
            del self.indexes[name]

    def rename(self, old: Relation, new: Relation) -> None:
        if old in self.tables:
            self.create(new, self.tables.pop(old).copy())
        for name, index in list(self.indexes.items()):
            if index.table == old:
                self.indexes[name] = replace(index, table=new)
        for relation, table in list(self.tables.items()):
            for key, constraint in table.constraints.items():
                if constraint.references == old:
                    self.change(relation).constraints[key] = replace(constraint, references=new)

    def is_new(self, relation: Relation) -> bool:
        return self.table(relation).new

    def indexes_of(self, table: Relation) -> Iterator[tuple[Relation, Index]]:
        return ((name, index) for name, index in self.indexes.items() if index.table == table)

    def referring(self, table: Relation) -> Iterator[tuple[Relation, str, Constraint]]:
        """Yield the foreign keys that lead to a table, with the tables that have them."""
        for relation, other in self.tables.items():
            for name, constraint in other.constraints.items():
                if constraint.references == table:
                    yield relation, name, constraint

    def partitions(self, table: Relation) -> list[Relation]:
        return [relation for relation, other in self.tables.items() if other.parent == table]

    def views_of(self, table: Relation) -> Iterator[tuple[Relation, Table]]:
        """Yield the views whose definition speaks of a table."""
        for relation, other in self.tables.items():
            if other.source and table.name in other.words:
                yield relation, other

    def sources_of(self, view: Relation) -> list[Relation]:
        """Return the tables that a view's definition speaks of."""
        words = self.table(view).words
        return [relation for relation, other in self.tables.items() if relation.name in words and relation != view]

    @classmethod
    def of(cls, catalog: Catalog) -> State:
        """Make the state of a database from its catalog."""
        state = cls(catalog.version, complete=True)
        for name, attributes in catalog.objects.items():
            relation = Relation(name.schema, name.name)
            if name.kind is Kind.SCHEMA:
                state.schemas.add(name.name)
            elif name.kind is Kind.TABLE:
                parent = attributes.get("partition_of")
                state.tables[relation] = Table(
                    attributes["type"],
                    {},
                    parent=Relation(*parent) if parent else None,
                    default=attributes.get("bound") == "DEFAULT",
                    unlogged=bool(attributes.get("unlogged")),
                )
            elif name.kind in (Kind.VIEW, Kind.MATERIALIZED_VIEW):
                columns = {column: Column(type_) for column, type_ in attributes.get("columns", ())}
                state.tables[relation] = Table(str(name.kind), columns, source=attributes["definition"])
            elif name.kind is Kind.ENUM:
                state.enums[relation] = list(attributes["values"] or ())
            elif name.kind is Kind.DOMAIN:
                state.domains[relation] = attributes["type"]
                if attributes.get("checks") or attributes.get("not_null"):
                    state.constrained.add(relation)
            elif name.kind is Kind.SEQUENCE:
                state.sequences.add(relation)
            elif name.kind is Kind.FUNCTION:
                state.functions[name.name.partition("(")[0]] = volatility(attributes.get("definition") or "")
        for name, attributes in catalog.objects.items():
            if name.table:
                state._add_part(name.kind, Relation(name.schema, name.table), name.name, attributes)
        return state

    def _add_part(self, kind: Kind, owner: Relation, name: str, attributes: Any) -> None:
        table = self.tables.get(owner)
        if table is None:
            return
        if kind is Kind.COLUMN and table.columns is not None:
            filled = any(attributes.get(key) for key in ("default", "identity", "generated"))
            table.columns[name] = Column(attributes["type"], bool(attributes.get("not_null")), filled)
        elif kind is Kind.CONSTRAINT:
            columns = tuple(attributes.get("columns") or ())
            reference = attributes.get("references")
            expression = attributes.get("expression") or ""
            table.constraints[name] = Constraint(
                attributes["type"],
                columns,
                attributes.get("validated", True),
                Relation(reference["schema"], reference["table"]) if reference else None,
                columns[0] if len(columns) == 1 and expression.endswith("IS NOT NULL)") else "",
                tuple(reference.get("columns") or ()) if reference else (),
            )
            if attributes["type"] in ("primary key", "unique"):
                self.indexes[Relation(owner.schema, name)] = Index(owner, columns, unique=True)
        elif kind is Kind.INDEX:
            keys = [key.get("column") for key in attributes.get("keys") or ()]
            plain = all(keys) and "where" not in attributes
            columns = tuple(key for key in keys if key)
            self.indexes[Relation(owner.schema, name)] = Index(owner, columns, attributes["unique"], plain)
        elif kind is Kind.POLICY:
            table.policies += 1
        elif kind is Kind.TRIGGER:
            called = re.search(r"EXECUTE (?:FUNCTION|PROCEDURE) (?:.*\.)?(.+?)\(", attributes["definition"])
            table.triggers[name] = called[1] if called else ""


def volatility(definition: str) -> str:
    """Return how a function's definition declares it; PostgreSQL's default is volatile."""
    head = definition.upper()
    return next((word.lower() for word in ("IMMUTABLE", "STABLE") if word in head), "volatile")


class Answers:
    """A state as what a revision asks of its database; see `handrail.statements.recorder.Known`."""

    def __init__(self, state: State, note: Any) -> None:
        self.state = state
        self.version = state.version
        self._note = note

    def ran(self, sql: str) -> None:
        self._note(sql, self.state)

    def schemas(self) -> list[str]:
        return sorted(self.state.schemas)

    def tables(self, schema: str | None) -> list[str]:
        return self._named(schema, {"table", "partitioned", "foreign"})

    def views(self, schema: str | None) -> list[str]:
        return self._named(schema, {"view", "materialized view"})

    def _named(self, schema: str | None, kinds: Iterable[str]) -> list[str]:
        wanted = schema or DEFAULT_SCHEMA
        return [r.name for r, table in self.state.tables.items() if r.schema == wanted and table.kind in kinds]

    def columns(self, table: str, schema: str | None) -> list[tuple[str, str, bool]] | None:
        columns = self.state.table(Relation(schema or DEFAULT_SCHEMA, table)).columns
        return None if columns is None else [(name, c.type, c.not_null) for name, c in columns.items()]

    def indexes(self, table: str, schema: str | None) -> list[tuple[str, list[str], bool]]:
        owner = Relation(schema or DEFAULT_SCHEMA, table)
        own = self.state.table(owner).constraints
        return [
            (name.name, list(index.columns), index.unique)
            for name, index in self.state.indexes_of(owner)
            if name.name not in own or own[name.name].kind != "primary key"
        ]

    def constraints(self, table: str, schema: str | None, kind: str) -> list[dict[str, Any]]:
        found = []
        for name, constraint in self.state.table(Relation(schema or DEFAULT_SCHEMA, table)).constraints.items():
            if constraint.kind != kind:
                continue
            described: dict[str, Any] = {"name": name, "comment": None}
            if kind == "check":
                described["sqltext"] = ""
            elif kind == "unique":
                described["column_names"] = list(constraint.columns)
            else:
                described["constrained_columns"] = list(constraint.columns)
            if kind == "foreign key" and constraint.references:
                referred = constraint.references
                other = {"referred_schema": referred.schema if schema else None, "referred_table": referred.name}
                described |= other | {"referred_columns": self._referred(constraint), "options": {}}
            found.append(described)
        return found

    def _referred(self, constraint: Constraint) -> list[str]:
        """Return the columns that a foreign key leads to; without a name it is the other table's primary key."""
        other = self.state.table(constraint.references or Relation("", "")).constraints.values()
        key = next((known.columns for known in other if known.kind == "primary key"), ())
        found = constraint.referred or key
        return list(found if len(found) == len(constraint.columns) else constraint.columns)

    def enums(self, schema: str | None) -> list[tuple[str, list[str]]]:
        wanted = schema or DEFAULT_SCHEMA
        return [(name.name, values) for name, values in self.state.enums.items() if name.schema == wanted]
