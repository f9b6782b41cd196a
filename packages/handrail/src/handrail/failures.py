"""Errors on their way to the person: what PostgreSQL refused, with the line of the revision, and ours as Alembic's."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from alembic.util import CommandError, msg
from sqlalchemy.exc import DBAPIError

from handrail.connection import INSUFFICIENT_PRIVILEGE, LOCK_NOT_AVAILABLE, POOLED, ServerMessage, was_interrupted
from handrail.errors import (
    AccessDeniedError,
    BlockedError,
    DatabaseUnavailableError,
    DiskFullError,
    HandrailError,
    MigrationError,
    PoolerError,
    ReadOnlyError,
    StatementTimeoutError,
)
from handrail.place import gap, place_of_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from alembic.config import Config

KINDS = {
    "53100": DiskFullError,
    "57014": StatementTimeoutError,
    "25006": ReadOnlyError,
    "42P05": PoolerError,
    "26000": PoolerError,
    INSUFFICIENT_PRIVILEGE: AccessDeniedError,
}
ADVICE = {
    DiskFullError: "The server has no space left: free some, or give the volume more.",
    StatementTimeoutError: "The statement was cancelled, by statement_timeout of the role or database or by a person. "
    "If it needs longer: op.execute(\"SET LOCAL statement_timeout = '10min'\") before it in the revision.",
    ReadOnlyError: "The server takes no changes: name the primary in DATABASE_URL.",
    PoolerError: f"Somebody else uses our session: {POOLED.removeprefix('nothing was changed: ')}",
    AccessDeniedError: "Let migrations connect as the role that owns all of it, MIGRATION_DATABASE_URL="
    "postgresql://owner:password@host:5432/database, and name it as expect_role in [tool.handrail]; or let the owner "
    "grant what is missing.",
}
# Where it was no statement of a revision that took too long.
LONGER = (
    "The role or database allows less than handrail's own questions take: ALTER ROLE <role> IN DATABASE <database> SET "
    "statement_timeout = '1min';"
)
GOES_ON = (
    " Revisions that were complete stay as they are, and of the one that was running the open transaction is rolled "
    "back. The same command goes on from there."
)
STATEMENT_LENGTH = 200  # characters of a refused statement that an error shows


@contextmanager
def located_errors(versions: list[Path], root: Path) -> Iterator[None]:
    """Name the line of the revision file that failed: whose statement PostgreSQL refused, or whose Python.

    Args:
        versions: The folders of the revision files.
        root: The project's folder, to which the file is named relatively.

    Raises:
        MigrationError: In place of the exception with its traceback.
        AccessDeniedError: A privilege is missing outside the revisions, for instance on the version table.
        DatabaseUnavailableError: The connection was lost on the way.
    """
    try:
        yield
    except DBAPIError as error:
        message = ServerMessage.of(error)
        if error.connection_invalidated:
            raise DatabaseUnavailableError(
                f"the connection was lost during the migration ({message.text}). What was logged as running last may "
                "or may not be applied: `alembic current` tells; then run the same command again."
            ) from error
        statement = " ".join((error.statement or "").split())
        if len(statement) > STATEMENT_LENGTH:
            statement = statement[:STATEMENT_LENGTH] + " …"
        hint = f" ({message.hint})" if message.hint else ""
        if "multiple commands" in message.text:
            hint = " (asyncpg takes one statement per op.execute(); postgresql+psycopg:// takes several)"
        if kind := KINDS.get(message.sqlstate or ""):
            place = _revision_line(error, versions, root)
            advice = LONGER if kind is StatementTimeoutError and place is None else ADVICE[kind]
            raise kind(
                f"{place or 'outside of the revisions'}: {message.text}. {advice} Revisions before it stay "
                "applied, and of this one the open transaction was rolled back; the same command goes on from there."
            ) from error
        said = f"PostgreSQL refused this: {message.text}{hint}."
        place = _revision_line(error, versions, root)
        if place is None:
            raise MigrationError(f"{said} Statement: {statement}") from error
        raise MigrationError(
            f"{place}: {said} Revisions before this one stay applied, and of this one the open transaction was rolled "
            f"back. Statement: {statement}"
        ) from error
    except (HandrailError, CommandError):
        raise
    except (Exception, SystemExit) as error:  # a revision is code: it can fail in any way, and even end the process
        known = None if was_interrupted(error) else _own_failure(error, versions, root)
        if known is None:
            raise
        raise known from error


def refused(error: DBAPIError) -> HandrailError:
    """Return what there is to say when PostgreSQL does not answer a question of ours, outside of any migration."""
    message = ServerMessage.of(error)
    if error.connection_invalidated:
        return DatabaseUnavailableError(f"the connection was lost ({message.text}). Run the same command again.")
    if message.sqlstate == LOCK_NOT_AVAILABLE:
        return BlockedError(
            "another session holds a table so that nobody can look at it. `handrail status` names it; run the same "
            "command again when it is done."
        )
    if kind := KINDS.get(message.sqlstate or ""):
        return kind(f"{message.text}. {LONGER if kind is StatementTimeoutError else ADVICE[kind]}")
    statement = " ".join((error.statement or "").split())[:STATEMENT_LENGTH]
    return HandrailError(f"PostgreSQL refused a question of handrail's: {message.text}. It was: {statement}")


@contextmanager
def shown_as_alembic_errors(config: Config) -> Iterator[None]:
    """Let the `alembic` command show our errors like its own: `FAILED: …` and no traceback, with their exit codes."""
    options = config.cmd_opts
    # Called from Python, from another command of ours, or with --raiseerr: then Alembic's own exception.
    called = options is None or options.raiseerr or bool(config.attributes)
    try:
        yield
    except BaseException as error:
        known = understood(error)
        if known is None and not called and not isinstance(error, SystemExit) and was_interrupted(error):
            changes = options is not None and options.cmd[0].__name__ in ("upgrade", "downgrade", "stamp")
            msg(f"FAILED: interrupted.{GOES_ON if changes else ''}", **config.messaging_opts)
            raise SystemExit(128 + signal.SIGINT) from error
        if known is None:
            raise
        if called:
            # To who called from Python, what a revision raised itself is more than a sentence about it.
            raised = known.__cause__ if isinstance(known, MigrationError) else None
            if isinstance(raised, Exception) and not isinstance(raised, DBAPIError):
                raise raised from raised.__cause__
            raise CommandError(str(known)) from error
        msg(f"FAILED: {known}", **config.messaging_opts)
        raise SystemExit(known.exit_code) from error


def understood(error: BaseException) -> HandrailError | None:
    """Return what there is to say about an error; None when it is none that was foreseen."""
    if isinstance(error, HandrailError):
        return error
    return gap(error)


def _own_failure(error: BaseException, versions: list[Path], root: Path) -> MigrationError | None:
    """Return what there is to say when the Python of a revision failed; None when it was not a revision's."""
    place = place_of_error(error, versions)
    if place is None:
        return None
    said = " ".join((error.msg if isinstance(error, SyntaxError) else str(error)).split())
    failed = f"{place.shown(root)}: {type(error).__name__}{said and f': {said}'}."
    if place.loading:
        return MigrationError(f"nothing was changed: {failed} So this revision cannot be imported, and none is run.")
    return MigrationError(
        f"{failed} Revisions before this one stay applied, and of this one the open transaction was rolled back. "
        "Correct it, and the same command goes on from there; with --raiseerr after `alembic` it shows the traceback."
    )


def _revision_line(error: BaseException, versions: list[Path], root: Path) -> str | None:
    """Return `file:line` of the innermost frame that lies in a revision file."""
    place = place_of_error(error, versions)
    return place.shown(root) if place else None
