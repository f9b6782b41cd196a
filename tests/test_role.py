"""The service's role works with rows, and with nothing else."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import SCHEMA

USERS, VERSION = f'"{SCHEMA}".users', f'"{SCHEMA}".alembic_version'


@pytest.mark.parametrize(
    "statement",
    [
        f'CREATE TABLE "{SCHEMA}".more (id int)',
        "CREATE SCHEMA more",
        f"ALTER TABLE {USERS} ADD COLUMN more int",
        f"DROP TABLE {USERS}",
        f"TRUNCATE {USERS} CASCADE",
        f"CREATE INDEX ON {USERS} (name)",
        f"DELETE FROM {VERSION}",
        "CREATE ROLE more",
    ],
)
async def test_no_ddl(session: AsyncSession, statement: str) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        await session.execute(text(statement))


@pytest.mark.parametrize("statement", [f"SELECT * FROM {USERS}", f"DELETE FROM {USERS}", f"SELECT * FROM {VERSION}"])
async def test_rows(session: AsyncSession, statement: str) -> None:
    await session.execute(text(statement))
