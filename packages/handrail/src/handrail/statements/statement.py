"""One statement of a revision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Existing(NamedTuple):
    """What a revision says about a column that is there: `existing_type=`, `existing_nullable=`.

    Attributes:
        schema: Empty for the default one.
        table: Of which table.
        column: Its name.
        type: In SQL; empty where it is not said.
        not_null: Whether it is said to be NOT NULL.
    """

    schema: str
    table: str
    column: str
    type: str = ""
    not_null: bool = False


@dataclass(frozen=True)
class Statement:
    """SQL that would be sent to the server.

    Attributes:
        sql: Its text; values that were bound stand in it as `$1`, `$2`.
        line: Of the revision file, from 1; the line that called what sent it.
        transaction: Counts the transactions of the revision; None where every statement commits by itself.
        certain: Whether it runs on every database; false where only some answers of the database lead to it.
        existing: What the revision says about the column that it changes.
    """

    sql: str
    line: int
    transaction: int | None = 0
    certain: bool = True
    existing: Existing | None = None
