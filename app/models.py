"""What all tables share. Feature models import from here: `from app.models import Base, CreatedAt, Key, UpdatedAt`.

Alembic imports this file for every command, so it imports SQLAlchemy and nothing slower. Files with models do without
`from __future__ import annotations`: SQLAlchemy would have to evaluate every annotation again from its text.
"""

import enum
from datetime import datetime
from typing import Annotated
from uuid import UUID

from sqlalchemy import DateTime, Enum, MetaData, Text, func
from sqlalchemy.orm import DeclarativeBase, mapped_column
from uuid_utils.compat import uuid7

SCHEMA = "starter-fastapi-project"

# Without fixed names a constraint cannot be dropped by a migration: PostgreSQL would have invented its name.
NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

# UUIDv7 begins with the time: new rows go to the end of the index, and sorting by key is sorting by age.
Key = Annotated[UUID, mapped_column(primary_key=True, default=uuid7)]
CreatedAt = Annotated[datetime, mapped_column(server_default=func.now())]
UpdatedAt = Annotated[datetime, mapped_column(server_default=func.now(), onupdate=func.now())]


class Base(DeclarativeBase):
    metadata = MetaData(schema=SCHEMA, naming_convention=NAMING_CONVENTION)
    type_annotation_map = {
        datetime: DateTime(timezone=True),
        str: Text(),
        # Without the schema the type would go where the search path says, and there the service may have no rights.
        enum.Enum: Enum(enum.Enum, schema=SCHEMA),
    }
    # Values that the server computes come back with the INSERT or UPDATE itself: an async session cannot fetch them
    # later, when they are read.
    __mapper_args__ = {"eager_defaults": True}
