"""Default expressions: which give the same value to every row, and which have to be worked out for each."""

from __future__ import annotations

import re

# PostgreSQL's own functions that are volatile and make sense in a default (pg_proc.provolatile = 'v').
VOLATILE = {
    "clock_timestamp",
    "currval",
    "gen_random_bytes",
    "gen_random_uuid",
    "lastval",
    "nextval",
    "random",
    "random_normal",
    "timeofday",
    "txid_current",
    "uuid_generate_v1",
    "uuid_generate_v1mc",
    "uuid_generate_v4",
    "uuidv4",
    "uuidv7",
}
CALL = re.compile(r'(?P<schema>(?:"(?:[^"]|"")+"|\w+)\.)?(?P<name>"(?:[^"]|"")+"|[a-z_]\w*)\(', re.IGNORECASE)
TEXT = re.compile(r"'(?:[^']|'')*'")


def is_volatile(expression: str) -> bool:
    """Whether adding a column with this default rewrites the table.

    A function that is not PostgreSQL's own may be anything, so it counts as volatile.
    """
    calls = CALL.finditer(TEXT.sub("''", expression))
    return any(call["schema"] is not None or call["name"].strip('"') in VOLATILE for call in calls)
