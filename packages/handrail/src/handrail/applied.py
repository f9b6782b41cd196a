"""What a database has applied: asked with one query, within a second, of a server that is there anyway."""

from __future__ import annotations

import importlib
import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from handrail.ask import ask, driver_of
from handrail.development import database_url_at_hand
from handrail.errors import HandrailError
from handrail.revisions import ini_url
from handrail.version_table import name_in_sql, schema_of_version_table

if TYPE_CHECKING:
    from handrail.config import Project

ANSWER_SECONDS = 1.0  # whoever only wants to look at files does not wait for a server
NO_TABLE = ("42P01", "3F000")  # there is no such table, or no such schema


@dataclass(frozen=True)
class Applied:
    """A database's answer, or that it gave none.

    Attributes:
        versions: The ids in its version table; None when they are not known.
        place: Which database that is, in words and without secrets: `localhost:5432/shop (DATABASE_URL)`.
        why_not: Why they are not known; empty when they are.
    """

    versions: frozenset[str] | None
    place: str = ""
    why_not: str = ""


def applied(project: Project) -> Applied:
    """Ask the database that is configured; nothing is started, and nothing waited for."""
    try:
        url, source = _url(project)
    except HandrailError:
        url, source = None, ""  # a development server that cannot be looked at
    if url is None:
        return Applied(None, why_not="no database is configured or runs here")
    schema = schema_of_version_table(project) if project.metadata else ""
    if schema is None:
        return Applied(None, why_not="only the models' own code tells in which schema the version table is")
    table = name_in_sql(schema, project.version_table)
    answer = _within_a_second(url, f"SELECT coalesce(json_agg(version_num), '[]')::text FROM {table}")  # noqa: S608
    if isinstance(answer, str):
        return Applied(frozenset(json.loads(answer)), f"{_place(url)} ({source})")
    if getattr(answer, "sqlstate", None) in NO_TABLE and project.metadata:
        return Applied(frozenset(), f"{_place(url)} ({source})")
    return Applied(None, why_not=f"the database of {source} {_reason(answer)}")


def _url(project: Project) -> tuple[str | None, str]:
    """Return the URL that `alembic` would use without what it would start for it, and where it comes from."""
    named = ini_url(project)
    if named is not None:
        return named, "alembic.ini"
    if project.migration_url:
        return project.migration_url, "MIGRATION_DATABASE_URL"
    return database_url_at_hand(project), "DATABASE_URL" if project.database_url else "the development PostgreSQL"


def _within_a_second(url: str, question: str) -> str | Exception:
    """Return the answer, or the error in its place; no answer in time is one, too."""
    try:
        importlib.import_module(driver_of(url))  # whose own start is not the server's
    except (ValueError, ImportError) as error:
        return error
    found: list[str | Exception] = []

    def work() -> None:
        try:
            found.append(ask(url, question, "handrail review"))
        except Exception as error:  # noqa: BLE001 - a driver's errors, or that there is none
            found.append(error)

    # A thread that may be left behind: no driver's own timeout covers all that can hang, as name servers.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(ANSWER_SECONDS)
    return found[0] if found else TimeoutError()


def _place(url: str) -> str:
    """Return host and database of a URL that a driver has understood."""
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}".removeprefix("/")


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"does not answer within {ANSWER_SECONDS:g} second"
    if isinstance(error, ValueError | KeyError | ImportError):
        return "cannot be asked with this URL or driver"
    if getattr(error, "sqlstate", None) is None:
        return "does not answer"
    return f"does not tell ({type(error).__name__})"
