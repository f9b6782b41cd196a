"""What lies between us and the server: a network that breaks at the worst moment, and poolers."""

from __future__ import annotations

import pytest

from faults.proxies import cutting_at_commit, pooling
from faults.shop import Shop
from handrail.errors import DatabaseUnavailableError, PoolerError


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("target", ["r3", "r5"])
def test_the_truth_is_told_when_the_connection_breaks_at_commit(shop: Shop, after: bool, target: str) -> None:
    """At the last of the revisions or not, the client sees the same; what the server did is asked again."""
    shop.project.succeeds("upgrade", "r2")
    with cutting_at_commit(shop.url, after=after) as (url, cuts):
        done = shop.project.alembic("upgrade", target, DATABASE_URL=url)
    version = shop.sql("SELECT version_num FROM shop.alembic_version")

    told = done.stdout + done.stderr
    assert cuts == ["after" if after else "before"], told
    assert "Traceback" not in told
    if done.returncode == 0:
        assert version == target, told
    else:
        assert done.returncode == DatabaseUnavailableError.exit_code, told
        assert f"The database is at {version};" in told
    shop.project.succeeds("upgrade", "head")
    shop.assert_whole()


def test_a_pooler_in_transaction_mode_is_refused(shop: Shop) -> None:
    """No lock would hold; the way around it is in the message, and works."""
    shop.project.succeeds("upgrade", "r2")
    with pooling(shop.url) as url:
        refused = shop.project.alembic("upgrade", "head", DATABASE_URL=url)
        # By now the pooler's sessions know the statements that asyncpg prepares when it connects.
        others = [
            shop.project.alembic(*command, DATABASE_URL=url) for command in (["downgrade", "-1"], ["stamp", "r1"])
        ]
        direct = shop.project.alembic("upgrade", "head", DATABASE_URL=url, MIGRATION_DATABASE_URL=shop.url)

    assert refused.returncode == PoolerError.exit_code, refused.stdout + refused.stderr
    assert "MIGRATION_DATABASE_URL" in refused.stdout
    for other in others:
        assert other.returncode == PoolerError.exit_code, other.stdout + other.stderr
        assert "MIGRATION_DATABASE_URL=postgresql://" in other.stdout
    assert direct.returncode == 0, direct.stdout + direct.stderr
    shop.assert_whole()
