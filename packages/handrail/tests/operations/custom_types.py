"""Types of a project's own, of each sort that SQLAlchemy knows."""

from __future__ import annotations

import enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator, UserDefinedType

Status = enum.Enum("Status", ["new", "paid"])


class Money(TypeDecorator[Any]):
    """A type of the project's own, over one of SQLAlchemy's."""

    impl = sa.Numeric(12, 2)
    cache_ok = True


class State(TypeDecorator[Any]):
    """A type that brings an enum along."""

    impl = sa.Enum(Status, name="state", schema="shop")
    cache_ok = True


class Point(UserDefinedType[Any]):
    """A type that SQLAlchemy does not have."""

    cache_ok = True

    def __init__(self, note: str = "x") -> None:
        self.note = note

    def get_col_spec(self, **_: Any) -> str:
        return "POINT"


class Unwritable(UserDefinedType[Any]):
    """A type whose text is not Python."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "POINT"

    def __repr__(self) -> str:
        return "<a point>"
