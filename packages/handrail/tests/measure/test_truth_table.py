"""What the truth table says is what PostgreSQL does: the one that these tests run on."""

from __future__ import annotations

from collections import Counter

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from handrail.connection import ServerMessage, with_connection
from handrail.measure import Measured, measure
from handrail.scratch import ScratchServer
from truth_table import TRUTH_TABLE, Truth, disagreements, is_minor

AS_IT_IS = {"no_parameters": True}


@pytest.mark.parametrize("truth", TRUTH_TABLE, ids=lambda truth: truth.name)
def test_the_truth_table(truth: Truth, handrail_scratch: ScratchServer, request: pytest.FixtureRequest) -> None:
    """Locks, scans, rewrites and losses of each statement, or the error with which it ends."""
    # What leaves nothing behind is run on one database; to copy it takes longer than everything else here.
    copy = request.getfixturevalue("copy" if truth.setup or truth.autocommit else "shared")
    major = int(handrail_scratch.scalar("SHOW server_version_num")) // 10000
    if not truth.holds_on(major):
        return  # there is another row for this version

    def run(connection: Connection) -> list[Measured]:
        for statement in truth.setup:
            connection.exec_driver_sql(statement, execution_options=AS_IT_IS)
        if not truth.autocommit:
            connection.commit()
        return measure(connection, [truth.statement], server=handrail_scratch.url)

    url = handrail_scratch.url.set(database=copy)
    if truth.fails:
        with pytest.raises(DBAPIError) as refused:
            with_connection(url, run, application="handrail test", autocommit=truth.autocommit)
        assert ServerMessage.of(refused.value).sqlstate == truth.fails
        return
    (measured,) = with_connection(url, run, application="handrail test", autocommit=truth.autocommit)

    effect = measured.effect
    if truth.autocommit:
        # Somebody else looks on meanwhile; what that one saw is so, but on a busy machine it may not be all.
        known = truth.effect.locks
        assert all(mode <= known[name] for name, mode in effect.locks.items() if not is_minor(name))
        effect.locks = known
    else:
        assert effect.unknown == []
    assert disagreements(truth, effect) == []


def test_no_row_is_there_twice() -> None:
    """Each says something of its own."""
    assert [name for name, number in Counter(truth.name for truth in TRUTH_TABLE).items() if number > 1] == []
