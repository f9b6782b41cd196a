"""The models, cut into what can be created by itself: types, sequences, and tables with all that belongs to them.

A unit's digest changes whenever what PostgreSQL would make of it could change: it is taken from the very DDL.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy
from sqlalchemy import Table, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY, CreateDomainType, CreateEnumType
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.dialects.postgresql.named_types import DOMAIN, NamedType
from sqlalchemy.schema import (
    DDL,
    AddConstraint,
    CreateIndex,
    CreateSchema,
    CreateSequence,
    CreateTable,
    SetColumnComment,
    SetConstraintComment,
    SetTableComment,
)
from sqlalchemy.sql.sqltypes import SchemaType
from sqlalchemy.types import TypeDecorator, TypeEngine

from handrail.catalog.objects import Kind, Name
from handrail.target.names import stored, table_name

if TYPE_CHECKING:
    from sqlalchemy import ForeignKeyConstraint, Index, MetaData
    from sqlalchemy.sql.ddl import ExecutableDDLElement

Item: TypeAlias = "Table | NamedType | sqlalchemy.Sequence"

# One that never connects: it only writes texts, in which % is not doubled as for psycopg.
DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
COMPILER = DIALECT.ddl_compiler(DIALECT, None)  # type: ignore[arg-type]


class NotPlainError(Exception):
    """The models do more than to declare: only `create_all` as a whole tells what comes of it."""


@dataclass(frozen=True)
class Unit:
    """One part of the models.

    Attributes:
        item: SQLAlchemy's object.
        needs: What must be there before it.
        references: Tables whose keys its foreign keys point to; their columns and keys are part of its digest.
        digest: Of its DDL and of what it says about others, without the digests of what it needs.
    """

    name: Name
    item: Item
    needs: tuple[Name, ...]
    references: tuple[Name, ...]
    digest: str


def units_of(metadata: MetaData, default_schema: str) -> dict[Name, Unit]:
    """Return all units of the models, each after those that it needs.

    Raises:
        NotPlainError: There are event functions, views, or types of one name that are not the same.
        SQLAlchemyError: The DDL cannot be written.
    """
    _refuse_events([metadata])
    units: dict[Name, Unit] = {}
    for sequence in metadata._sequences.values():  # noqa: SLF001 - there is no public way to see them all
        _add(units, _unit_of_sequence(sequence, default_schema))
    for item in metadata._objects:  # noqa: SLF001 - the public one asks for one schema at a time
        if isinstance(item, TypeEngine):
            _add_types(units, item, default_schema)
    for table in _parents_first(metadata):
        _add(units, _unit_of_table(units, table, default_schema))
    return units


def _add(units: dict[Name, Unit], unit: Unit) -> None:
    if units.setdefault(unit.name, unit).digest != unit.digest:
        raise NotPlainError


def digest_of(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _text(element: ExecutableDDLElement) -> str:
    # One compiler for all: to make one for each takes longer than what they do.
    return str(COMPILER.process(element))


# --- Tables ---


def _unit_of_table(units: dict[Name, Unit], table: Table, default_schema: str) -> Unit:
    if table._creator_ddl is not None:  # noqa: SLF001 - a view, or DDL of the project's own
        raise NotPlainError
    _refuse_events([table, *table.constraints, *table.indexes])
    needs = [name for column in table.columns for name in _add_types(units, column.type, default_schema)]
    needs += [
        _sequence_name(column.default, default_schema)
        for column in table.columns
        if isinstance(column.default, sqlalchemy.Sequence)
    ]
    needs += [table_name(parent, default_schema) for parent in _parents(table)]
    keys = list(foreign_keys(table))
    facts = sorted(_referenced(key) for key in keys)
    return Unit(
        table_name(table, default_schema),
        table,
        tuple(dict.fromkeys(needs)),
        tuple(dict.fromkeys(table_name(key.referred_table, default_schema) for key in keys)),
        digest_of(*map(_text, _complete_ddl(table)), *facts),
    )


def table_ddl(table: Table) -> Iterator[ExecutableDDLElement]:
    """Yield the statements for a table with its indexes and comments, without foreign keys to other tables."""
    # One to the table itself is written where SQLAlchemy writes it: before the indexes, even if it needs one of them.
    inner = [key for key in foreign_keys(table) if key.referred_table is table]
    yield CreateTable(table, include_foreign_key_constraints=inner)
    yield from _beside_table(table)


def _beside_table(table: Table) -> Iterator[ExecutableDDLElement]:
    yield from map(CreateIndex, indexes(table))
    if table.comment is not None:
        yield SetTableComment(table)
    yield from (SetColumnComment(column) for column in table.columns if column.comment is not None)
    yield from (
        SetConstraintComment(constraint)
        for constraint in sorted(table.constraints, key=_order)
        if constraint.comment is not None and constraint not in table.foreign_key_constraints
    )


def _complete_ddl(table: Table) -> Iterator[ExecutableDDLElement]:
    """Yield statements that say all about a table, in as few as possible: they are only read."""
    keys = foreign_keys(table)
    yield CreateTable(table, include_foreign_key_constraints=keys)
    yield from _beside_table(table)
    # What SQLAlchemy writes into no CREATE TABLE.
    yield from (AddConstraint(key, isolate_from_table=False) for key in keys if key.use_alter)
    yield from (SetConstraintComment(key) for key in keys if key.comment is not None)


def foreign_key_ddl(table: Table) -> Iterator[ExecutableDDLElement]:
    """Yield the statements for a table's foreign keys to others, once all tables are there, and for all comments."""
    for key in foreign_keys(table):
        if key.referred_table is not table:
            yield AddConstraint(key, isolate_from_table=False)
        if key.comment is not None:
            yield SetConstraintComment(key)


def stub_ddl(table: Table) -> Iterator[ExecutableDDLElement]:
    """Yield the statements for as much of a table as a foreign key that points to it asks for."""
    yield CreateTable(table, include_foreign_key_constraints=[])
    yield from (CreateIndex(index) for index in indexes(table) if index.unique)


def foreign_keys(table: Table) -> list[ForeignKeyConstraint]:
    """Return a table's foreign keys in the order in which SQLAlchemy writes them."""
    return sorted(table.foreign_key_constraints, key=_order)


def indexes(table: Table) -> list[Index]:
    """Return a table's indexes in an order that is the same in every process: SQLAlchemy keeps them in a set."""
    return sorted(table.indexes, key=lambda index: str(index.name))


def _order(item: Any) -> int:
    order: int = item._creation_order  # noqa: SLF001 - as SQLAlchemy's own CREATE TABLE sorts them
    return order


def _referenced(key: ForeignKeyConstraint) -> str:
    """Return all that a foreign key's own DDL does not say, and that decides whether it can be created."""
    table = key.referred_table
    columns = [f"{element.column.name} {element.column.type.compile(dialect=DIALECT)}" for element in key.elements]
    unique = [constraint for constraint in table.constraints if isinstance(constraint, UniqueConstraint)]
    keys = [sorted(map(str, constraint.columns.keys())) for constraint in (table.primary_key, *unique)]
    return repr((columns, sorted(keys), [_text(CreateIndex(index)) for index in indexes(table) if index.unique]))


def _parents(table: Table) -> list[Table]:
    """Return the tables of which PostgreSQL lets this one inherit its columns."""
    names = table.dialect_options["postgresql"]["inherits"] or ()
    names = [names] if isinstance(names, str) else list(names)
    tables = table.metadata.tables
    if any(name not in tables for name in names):
        raise NotPlainError
    return [tables[name] for name in names]


def _parents_first(metadata: MetaData) -> list[Table]:
    ordered: dict[Table, None] = {}

    def visit(table: Table) -> None:
        for parent in _parents(table):
            visit(parent)
        ordered.setdefault(table)

    for table in metadata.tables.values():
        visit(table)
    return list(ordered)


# --- Types and sequences ---


def created_types(metadata: MetaData, default_schema: str) -> frozenset[Name]:
    """Return the types and sequences that `create_all` makes beside the tables."""
    types = [
        found
        for table in metadata.tables.values()
        for column in table.columns
        for found in named_types(column.type)
        if found.create_type
    ]
    types += [found for item in metadata._objects if isinstance(item, TypeEngine) for found in named_types(item)]  # noqa: SLF001
    sequences = metadata._sequences.values()  # noqa: SLF001
    names = [_type_name(found, default_schema) for found in types if found.create_type]
    return frozenset([*names, *(_sequence_name(sequence, default_schema) for sequence in sequences)])


def _add_types(units: dict[Name, Unit], type_: TypeEngine[Any], default_schema: str) -> list[Name]:
    """Add the enums and domains that a column's type consists of; return their names."""
    names = []
    for found in named_types(type_):
        if not found.create_type:
            continue
        _refuse_events([found])
        unit = _unit_of_type(found, default_schema)
        _add(units, unit)
        names.append(unit.name)
    return names


def named_types(type_: TypeEngine[Any]) -> Iterator[NamedType]:
    """Yield the enums and domains that PostgreSQL knows by a name, innermost first."""
    found: Any = type_.dialect_impl(DIALECT)
    while isinstance(found, TypeDecorator):
        found = found.impl_instance
    if isinstance(found, ARRAY):
        yield from named_types(found.item_type)
    elif isinstance(found, DOMAIN):
        yield from named_types(found.data_type)
    if isinstance(found, NamedType):
        yield found


def _unit_of_type(type_: NamedType, default_schema: str) -> Unit:
    domain = isinstance(type_, DOMAIN)
    inner = [found for found in named_types(type_.data_type) if found.create_type] if isinstance(type_, DOMAIN) else []
    return Unit(
        _type_name(type_, default_schema),
        type_,
        tuple(_type_name(found, default_schema) for found in inner),
        (),
        digest_of("domain" if domain else "enum", *map(_text, type_ddl(type_))),
    )


def _type_name(type_: Any, default_schema: str) -> Name:
    kind = Kind.DOMAIN if isinstance(type_, DOMAIN) else Kind.ENUM
    return Name(kind, stored(type_.schema or default_schema), "", stored(type_.name))


def type_ddl(type_: NamedType) -> Iterator[ExecutableDDLElement]:
    """Yield the statement for an enum or a domain."""
    create = CreateDomainType if isinstance(type_, DOMAIN) else CreateEnumType
    yield create(type_)


def _unit_of_sequence(sequence: sqlalchemy.Sequence, default_schema: str) -> Unit:
    _refuse_events([sequence])
    name = _sequence_name(sequence, default_schema)
    return Unit(name, sequence, (), (), digest_of(_text(CreateSequence(sequence))))


def _sequence_name(sequence: sqlalchemy.Sequence, default_schema: str) -> Name:
    return Name(Kind.SEQUENCE, stored(sequence.schema or default_schema), "", stored(sequence.name))


def ddl(units: Iterable[Unit], complete: Collection[Name]) -> Iterator[ExecutableDDLElement]:
    """Yield the statements for units in this order, foreign keys at last.

    Args:
        units: Each comes after those that it needs.
        complete: Those of which everything is wanted; of other tables only as much as these refer to.
    """
    tables: list[Table] = []
    for unit in units:
        if isinstance(unit.item, sqlalchemy.Sequence):
            yield CreateSequence(unit.item)
        elif not isinstance(unit.item, Table):
            yield from type_ddl(unit.item)
        elif unit.name in complete:
            tables.append(unit.item)
            yield from table_ddl(unit.item)
        else:
            yield from stub_ddl(unit.item)
    for table in tables:
        yield from foreign_key_ddl(table)


# --- Events ---


def _refuse_events(items: Sequence[Any]) -> None:
    """Refuse functions that run when something is created, or decide whether it is: nobody knows what they do."""
    for item in items:
        if getattr(item, "_ddl_if", None) is not None:
            raise NotPlainError
        for when in (item.dispatch.before_create, item.dispatch.after_create):
            if not all(map(_is_harmless, when)):
                raise NotPlainError


def _is_harmless(listener: object) -> bool:
    """Whether it makes a schema, which we do anyway, or is SQLAlchemy's own way to create enums with their tables."""
    if isinstance(listener, CreateSchema):
        return True
    if isinstance(listener, DDL):
        return re.fullmatch(r"\s*CREATE\s+SCHEMA\s[^;]*;?\s*", listener.statement, re.IGNORECASE) is not None
    function = listener.func if isinstance(listener, functools.partial) else listener
    return isinstance(getattr(function, "__self__", None), SchemaType)
