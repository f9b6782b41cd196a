"""A history with made-up rows in it, kept like the history itself: to make them takes longer than to copy them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy.exc import DBAPIError

from handrail.cache import Cache
from handrail.connection import with_connection
from handrail.history import KEPT, copy_of, forget, publish
from handrail.rehearsal.rows import fill

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import URL

    from handrail.catalog import Name
    from handrail.config import Project
    from handrail.scratch import ScratchServer

FORMAT = "1"  # to be raised when other rows are made


class Filled(NamedTuple):
    """A database of one's own with rows in it.

    Attributes:
        database: Its name.
        problems: What could not be filled, in words; None when there are no rows yet.
    """

    database: str
    problems: list[str] | None


def filled_copy(
    server: ScratchServer, history: URL, project: Project, rows: int, leave_out: Collection[Name]
) -> Filled:
    """Return a copy of a history with rows in every table.

    Args:
        server: The scratch server.
        history: From `history_database`.
        project: Whose it is.
        rows: How many in each table.
        leave_out: Tables that stay empty.
    """
    kept, cache = f"{history.database}_rows{FORMAT}_{rows}", Cache.of(project.root)
    problems = cache.read(kept)
    try:
        if not problems:
            problems = json.dumps(_keep(server, history, project, rows, leave_out, kept))
            cache.write(kept, problems)
        return Filled(server.create(template=kept), json.loads(problems))
    except DBAPIError:
        # Somebody is reading the history, or has dropped what was kept.
        cache.write(kept, "")
        return Filled(copy_of(server, history.database), None)


def _keep(
    server: ScratchServer, history: URL, project: Project, rows: int, leave_out: Collection[Name], kept: str
) -> list[str]:
    unfinished = server.create(template=history.database)
    try:
        url = server.url.set(database=unfinished)
        filling = with_connection(url, lambda opened: fill(opened, rows, leave_out), application="handrail rows")
        publish(server, unfinished, kept, project)
    finally:
        server.drop(unfinished)
    forget(server, project, keep=KEPT)
    return filling.in_words
