"""What psql gets of a URL that was written for SQLAlchemy."""

from __future__ import annotations

import pytest

from handrail.errors import ConfigurationError
from handrail.postgres.libpq import for_libpq, with_password


@pytest.mark.parametrize(
    ("url", "place", "password"),
    [
        ("postgresql+asyncpg://me:pw@db:6543/shop", "postgresql://me@db:6543/shop", "pw"),
        ("postgresql://me:p%40ss%25@db/shop", "postgresql://me@db/shop", "p@ss%"),
        ("postgresql://me:p@ss/w:rd@db/shop", "postgresql://me@db/shop", "p@ss/w:rd"),
        ("postgres://me@db/shop", "postgresql://me@db/shop", None),
        ("postgresql://me%40corp:pw@db/shop", "postgresql://me%40corp@db/shop", "pw"),
        ("postgresql:///shop?host=/run/pg&password=pw", "postgresql:///shop?host=/run/pg", "pw"),
        ("postgresql+asyncpg://db/shop?ssl=require", "postgresql://db/shop?sslmode=require", None),
        ("postgresql+asyncpg://db/shop?prepared_statement_cache_size=0", "postgresql://db/shop", None),
        ("postgresql://me:pw@a:1,b:2/shop?target_session_attrs=any", None, "pw"),
        ("postgresql://db/shop?application_name=a%40b", "postgresql://db/shop?application_name=a%40b", None),
        ("postgresql://me:pw@[::1]:5432/shop", "postgresql://me@[::1]:5432/shop", "pw"),
    ],
)
def test_password_and_driver_are_taken_out(url: str, place: str | None, password: str | None) -> None:
    """The password comes apart from the rest, unescaped; driver names and driver options are gone."""
    clean, found = for_libpq(url)
    assert found == password
    assert clean == (place or "postgresql://me@a:1,b:2/shop?target_session_attrs=any")


def test_password_is_put_back_escaped() -> None:
    """`handrail db url` prints a URL that other programs can read."""
    assert with_password(*for_libpq("postgresql+psycopg://me:p@s@db/shop")) == "postgresql://me:p%40s@db/shop"
    assert with_password(*for_libpq("postgresql://db/shop")) == "postgresql://db/shop"


@pytest.mark.parametrize("url", ["sqlite:///shop.db", "shop", "mysql://me:pw@db/shop"])
def test_other_databases_are_refused(url: str) -> None:
    """A URL that is not PostgreSQL's is refused without repeating it, for it may hold a password."""
    with pytest.raises(ConfigurationError, match="postgresql://user:password@host:5432/database") as caught:
        for_libpq(url)
    assert ":pw" not in str(caught.value)
