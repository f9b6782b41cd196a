"""See that a database exists in a running cluster."""

from __future__ import annotations

import sys
import time

from handrail.errors import ServerError
from handrail.postgres.account import Account
from handrail.postgres.binaries import Binaries
from handrail.postgres.faults import program_failed
from handrail.postgres.greeting import Answer
from handrail.postgres.spawn import run

if sys.platform == "win32":
    from handrail.postgres.windows import Server
else:
    from handrail.postgres.server import Server

CREATE_SECONDS = 60
# How long a server may take to collect itself after one of its processes crashed.
RECOVERY_SECONDS = 60.0
POLL_SECONDS = 0.02
# psql needs no rights in the data directory, so it runs as ourselves even when the server does not.
OURSELVES = Account(uid=-1, gid=-1, dropped=False)


def ensure_database(server: Server, binaries: Binaries, database: str) -> None:
    """Create the database if the running server has none of this name; the layout's lock must be held.

    Raises:
        ServerError: The server does not answer, or cannot create it.
    """
    answer = server.answer(database)
    deadline = time.monotonic() + RECOVERY_SECONDS
    while answer is Answer.NOT_YET and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        answer = server.answer(database)
    if answer is Answer.PRESENT:
        return
    if answer is not Answer.MISSING:
        raise ServerError(
            f"PostgreSQL runs but does not answer at {server.address.url(database)}. Its log is {server.layout.log}; "
            "`handrail db stop` and the same command again start it afresh."
        )
    quoted = database.replace('"', '""')
    created = run(
        [
            binaries.program("psql"),
            "-Xq",
            f"--dbname={server.address.url('postgres')}",
            "-c",
            f'CREATE DATABASE "{quoted}"',
        ],
        OURSELVES,
        timeout_seconds=CREATE_SECONDS,
    )
    if created.returncode != 0:
        raise program_failed(f"the database {database} could not be created", server.layout.data, created.stdout)
