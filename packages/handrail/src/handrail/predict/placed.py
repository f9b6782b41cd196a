"""Statements with what they do: predicted once, for whoever judges, plans or only goes on from there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import postgast

from handrail.effects import Relation
from handrail.predict.parts import Part, predict
from handrail.predict.state import State
from handrail.predict.types import assume
from handrail.statements.statement import Statement


@dataclass(frozen=True)
class Placed:
    """A statement and its parts.

    Attributes:
        statement: Where it stands and how it runs.
        parts: What it does, one after the other.
        error: Why it cannot be read; empty when it can.
    """

    statement: Statement
    parts: tuple[Part, ...] = ()
    error: str = ""


def place(statements: Iterable[Statement], state: State) -> list[Placed]:
    """Return what the statements of one revision do, and let the state be as it is after them."""
    placed: list[Placed] = []
    transaction: int | None = None
    for statement in statements:
        if statement.transaction is None or statement.transaction != transaction:
            state.begin_transaction()
        transaction = statement.transaction
        if statement.existing is not None:
            assume(statement.existing, state)
        try:
            placed.append(Placed(statement, tuple(predict(statement.sql, state))))
        except postgast.PgQueryError as error:
            placed.append(Placed(statement, error=error.message))
    return placed


def there_already(placed: Iterable[Placed]) -> list[Relation]:
    """Return the tables, views and indexes that statements would create although they are there."""
    parts = [part for at in placed for part in at.parts]
    return [one for p in parts for one in p.effect.created if one in p.before.tables or one in p.before.indexes]


def relations(placed: Iterable[Placed]) -> set[Relation]:
    """Return all that statements lock, read, write, create, lose and rename."""
    return {relation for at in placed for part in at.parts for relation in _used(part)}


def _used(part: Part) -> Iterator[Relation]:
    effect = part.effect
    yield from (*effect.locks, *effect.scans, *effect.rewrites, *effect.created)
    for found in (effect.losses, effect.demands, effect.breaks):
        yield from (one.table for one in found)
    if part.table is not None:
        yield part.table
