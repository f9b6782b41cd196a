"""Columns whose defaults stock Alembic cannot compare."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from small_project import SmallProject

DEFAULTS = """\
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import JSON, Boolean, DateTime, Numeric, String, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shop.base import Base


class Thing(Base):
    __tablename__ = "things"

    id: Mapped[int] = mapped_column(primary_key=True)
    quote: Mapped[str] = mapped_column(server_default="it's")
    document: Mapped[dict] = mapped_column(JSON, server_default="{}")
    written: Mapped[dict] = mapped_column(JSON, server_default=text("'[1]'::json"))
    binary: Mapped[dict] = mapped_column(JSONB, server_default=text("'{}'"))
    tags: Mapped[list] = mapped_column(ARRAY(String), server_default="{}")
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2), server_default="0")
    count: Mapped[int] = mapped_column(server_default="7")
    active: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    day: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default="2026-01-01")
    key: Mapped[UUID] = mapped_column(server_default=text("gen_random_uuid()"))
    token: Mapped[str] = mapped_column(server_default=text("md5(random()::text)"))
    moment: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=text("clock_timestamp()"))
"""


@pytest.fixture
def project(new_project: Callable[..., SmallProject], url: str) -> SmallProject:
    """A project with a default of every kind, migrated."""
    project = new_project()
    project.use(url)
    project.write("shop/models.py", DEFAULTS)
    project.succeeds("revision", "--autogenerate", "-m", "things")
    project.succeeds("upgrade", "head")
    return project


def test_no_default_is_reported_without_a_change(project: SmallProject) -> None:
    """Quotes, json, arrays, numbers, times and functions compare as equal to themselves."""
    assert "No new upgrade operations" in project.succeeds("check")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('server_default="it\'s"', 'server_default="it\'s not"'),
        ('JSON, server_default="{}"', 'JSON, server_default="[]"'),
        ("'[1]'::json", "'[2]'::json"),
        ('server_default="7"', 'server_default="8"'),
        ('text("true")', 'text("false")'),
        ('server_default="2026-01-01"', 'server_default="2026-01-02"'),
    ],
)
def test_a_changed_default_is_seen(
    new_project: Callable[..., SmallProject], empty_database: str, before: str, after: str
) -> None:
    """What can be compared is not waved through either."""
    project = new_project().use(empty_database)
    project.write("shop/models.py", DEFAULTS)
    project.succeeds("revision", "--autogenerate", "-m", "things")
    assert DEFAULTS.count(before) == 1
    project.write("shop/models.py", DEFAULTS.replace(before, after))

    assert ": default " in project.refuses("check")
