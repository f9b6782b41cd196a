"""What PostgreSQL or SQLAlchemy refused of the models' own DDL, told with what to do about it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from handrail.connection import ServerMessage
from handrail.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import MetaData

STATEMENT_LENGTH = 200  # characters of a refused statement that an error shows

MISSING = (
    "Neither PostgreSQL nor the revisions have that. If it is to be created by a revision, write that one first "
    '(`alembic revision -m "..."`, with op.execute("CREATE ...") in it); otherwise correct the model.'
)
TWICE = "Two models give the same name to something in one schema: rename one of them."
REMEDIES = {
    "42883": MISSING,
    "42704": MISSING,
    "42P01": MISSING,
    "3F000": MISSING,
    "42703": "Correct the name in the model, or declare the column.",
    "42P07": TWICE,
    "42710": TWICE,
    "42P06": "The DDL event creates what is there already: let it say IF NOT EXISTS.",
    "42723": "The DDL event creates what is there already: let it say CREATE OR REPLACE.",
    "42830": "Declare the columns that the foreign key points to unique, or let it point to the primary key.",
    "42804": "Give both columns, or the column and its default, the same type.",
    "42601": "Correct the SQL in the model's text(...), Computed(...) or CheckConstraint(...).",
}


@contextmanager
def refused_models() -> Iterator[None]:
    """Turn what is wrong with the models into one message.

    Raises:
        ModelError: In place of SQLAlchemy's exception with its traceback.
    """
    try:
        yield
    except DBAPIError as error:
        message = ServerMessage.of(error)
        statement = " ".join((error.statement or "").split())
        if len(statement) > STATEMENT_LENGTH:
            statement = statement[:STATEMENT_LENGTH] + " …"
        hint = f" ({message.hint})" if message.hint else ""
        remedy = REMEDIES.get(message.sqlstate or "", "Correct the model from which this statement comes.")
        raise ModelError(
            f"the models cannot be created as they are, so there is nothing to compare the revisions with. PostgreSQL "
            f"refused this in a throwaway database: {message.text.rstrip('.')}{hint}. {remedy} Statement: {statement}"
        ) from error
    except SQLAlchemyError as error:
        raise ModelError(
            "the models cannot be created as they are, so there is nothing to compare the revisions with. SQLAlchemy "
            f"refused to write their DDL: {' '.join(str(error).split())}"
        ) from error


def refuse_unnamed_indexes(metadata: MetaData) -> None:
    """Refuse indexes for which SQLAlchemy would have no name, and ends with an empty AssertionError.

    Raises:
        ModelError: There is one.
    """
    for table in metadata.tables.values():
        for index in table.indexes:
            if index.name is None:
                raise ModelError(
                    f"the index on {', '.join(map(str, index.expressions))} has no name: the naming_convention of the "
                    'MetaData has nothing for indexes. Add "ix": "ix_%(column_0_label)s" to it, or name the index.'
                )
