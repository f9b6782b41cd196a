"""INVALID indexes: what the server calls those that a failed build has left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handrail.errors import InvalidIndexError
from handrail.upgrade.interrupted import finishes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handrail.upgrade.journal import Entry

# Of one schema: `:schema`.
INVALID = """
    SELECT c.oid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT i.indisvalid AND n.nspname = :schema AND c.relkind = 'i'
        AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = c.oid) ORDER BY 1
"""


def refuse_invalid(indexes: Sequence[str], unfinished: Sequence[Entry]) -> None:
    """Do not end well with an index that nobody can use.

    Args:
        indexes: That are INVALID.
        unfinished: Revisions of which a part is there; theirs it may be.

    Raises:
        InvalidIndexError: There is one.
    """
    if indexes and unfinished:
        names = " and ".join(entry.revision for entry in unfinished)
        raise InvalidIndexError(
            f"{', '.join(indexes)} is INVALID (no query uses it, and every write maintains it), and {names} was "
            f"interrupted. Finish that, which builds its indexes again: {finishes(unfinished)}"
        )
    if indexes:
        raise InvalidIndexError(
            f"all revisions are applied, but {', '.join(indexes)} is INVALID: a build failed, no query uses it, "
            f"and every write still maintains it. Build it again: REINDEX INDEX CONCURRENTLY {indexes[0]};  or "
            f"drop it: DROP INDEX CONCURRENTLY {indexes[0]};"
        )
