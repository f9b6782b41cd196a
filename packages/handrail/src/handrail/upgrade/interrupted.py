"""Revisions of which a part is there: before they are whole, nothing is built upon them or taken away below them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handrail.errors import VersionTableError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from handrail.upgrade.journal import Entry


def refuse_half_done(command: str, entries: Sequence[Entry], versions: Sequence[str]) -> None:
    """Refuse to turn back in the middle of a revision: what is there of it is known to its journal only.

    That is so also where there is nothing to do: the version says nothing of what is gone already, or there.

    Args:
        command: `upgrade`, `downgrade` or `stamp`.
        entries: The journal.
        versions: Where the database stands, according to its version table.

    Raises:
        VersionTableError: A revision was interrupted on its way up and this goes down, or the other way round.
    """
    for entry in entries:
        if entry.finished_at is None and {entry.direction, command} == {"upgrade", "downgrade"}:
            raise VersionTableError(half_done(entry, versions))


def half_done(entry: Entry, versions: Sequence[str]) -> str:
    """Say that a revision was interrupted, and both ways out."""
    return (
        f"nothing was changed: the {entry.direction} of {entry.revision}, begun on "
        f"{entry.started_at:%Y-%m-%d %H:%M %Z}, was interrupted, so a part of it is there that the version table does "
        f"not tell of. Finish it first: {finishes([entry])}  Then run this command again. If it cannot be finished, "
        "undo by hand what is there of it, and say that the database is where it was before: "
        f"alembic stamp {' '.join(versions) or 'base'}"
    )


def finishes(entries: Collection[Entry]) -> str:
    """Return the command that finishes the oldest of them; empty when there is none."""
    entry = next(iter(entries), None)
    return f"alembic {entry.direction} {entry.revision}{'' if entry.direction == 'upgrade' else '@-1'}" if entry else ""
