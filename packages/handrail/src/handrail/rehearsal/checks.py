"""Values that pass the checks of a table: the server itself says which do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from handrail.catalog.read import AS_IT_IS
from handrail.connection import quoted
from handrail.rehearsal.values import I

if TYPE_CHECKING:
    from sqlalchemy import Connection

TRIES = 300  # combinations of values for columns that checks connect
SAMPLE = 50  # rows at either end on which a combination is tried


@dataclass(frozen=True)
class Check:
    """A condition on some columns of a table.

    Attributes:
        columns: Their names.
        expression: SQL in which they stand by themselves.
    """

    columns: frozenset[str]
    expression: str


def connected(checks: Sequence[Check]) -> Iterator[tuple[frozenset[str], list[Check]]]:
    """Yield groups of columns that can be chosen without looking at the others, with their checks."""
    rest = [check for check in checks if check.columns]
    while rest:
        columns, group = frozenset(rest[0].columns), [rest.pop(0)]
        while touching := [check for check in rest if check.columns & columns]:
            group += touching
            columns = columns.union(*(check.columns for check in touching))
            rest = [check for check in rest if check not in touching]
        yield columns, group


def passing(
    connection: Connection, checks: Sequence[Check], choices: Mapping[str, Sequence[str]], source: str, rows: int
) -> dict[str, str] | None:
    """Return the first combination of values that passes all checks; None when none of the tried ones does.

    Args:
        connection: In a transaction.
        checks: All that are about these columns.
        choices: By column what to try, the best first.
        source: A FROM clause with the number of the row and whatever else the values are made of.
        rows: How many there will be.
    """
    names = list(choices)
    condition = " AND ".join(f"coalesce(({check.expression})::boolean, true)" for check in checks)
    for values in islice(_simple_first([choices[name] for name in names]), TRIES):
        chosen = ", ".join(f"{value} AS {quoted(name)}" for name, value in zip(names, values, strict=True))
        sample = f"SELECT {chosen} FROM {source} WHERE {I} <= {SAMPLE} OR {I} > {rows - SAMPLE}"  # noqa: S608 - of our own making
        try:
            with connection.begin_nested():
                question = f"SELECT bool_and({condition}) FROM ({sample}) AS tried"  # noqa: S608
                if connection.exec_driver_sql(question, execution_options=AS_IT_IS).scalar_one():
                    return dict(zip(names, values, strict=True))
        except DBAPIError:
            continue  # a value that the expression cannot even be worked out for
    return None


def _simple_first(choices: Sequence[Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """Yield combinations, those first in which most columns have their best value."""
    places = islice(product(*(range(len(values)) for values in choices)), 20_000)
    for combination in sorted(places, key=lambda chosen: (len(chosen) - chosen.count(0), sum(chosen))):
        yield tuple(values[place] for values, place in zip(choices, combination, strict=True))


def of_domain(checks: Mapping[str, str], column: str) -> Iterator[Check]:
    """Yield the checks of a column's domain."""
    for definition in checks.values():
        body = re.sub(r"^CHECK (.*?)( NOT VALID)?$", r"\1", definition, flags=re.DOTALL)
        yield Check(frozenset({column}), re.sub(r"\bVALUE\b", lambda _: quoted(column), body))
