"""What can go wrong, as one tree.

    HandrailError                 1   anything below, when nothing more exact is known
    ├── ConfigurationError        3   a setting is missing or wrong
    ├── DiscoveryError            4   a model module could not be imported
    ├── DatabaseUnavailableError  5   no answer: server down, wrong host, too many connections
    ├── AccessDeniedError         6   the server answered no: password, unknown role or database, privilege
    ├── MigrationError            7   a revision failed in the database; it was rolled back
    ├── ServerError               8   the development PostgreSQL could not be started, stopped or reset
    ├── ModelError                9   the models' own DDL cannot be run
    ├── BusyError                10   another process is migrating this database, or took our turn away
    ├── BlockedError             11   other sessions did not let go of a table in time
    ├── DatabaseAheadError       12   the database has revisions that this code does not have
    ├── VersionTableError        13   the version table contradicts itself or the tables that are there
    ├── HeadsError               14   it is not clear which revision was meant
    ├── EditedRevisionError      15   a revision that was applied has been edited since, or its file is gone
    ├── ReadOnlyError            16   a standby, or a database that is set to read-only
    ├── DiskFullError            17   the server has no space left
    ├── StatementTimeoutError    18   the server stopped a statement that took too long
    ├── PoolerError              19   a connection pooler hands our session to others
    ├── InvalidIndexError        20   everything is applied, but an index is INVALID: no query uses it
    ├── DriftError               21   the database was changed by hand where it matters
    └── RefusedError             22   a pending revision is dangerous here and does not say that it may be

The number is the exit code of `handrail …` and of `alembic …`; 2 is a wrong command line. What Alembic itself refuses
ends with 255, as always.
Every message is written for the person at the terminal: what happened, why it matters, what to do.
"""

from __future__ import annotations


class HandrailError(Exception):
    """A fault that was foreseen: shown as its message alone, never as a traceback."""

    exit_code = 1


class ConfigurationError(HandrailError):
    """A setting is missing, wrong or contradicts another."""

    exit_code = 3


class DiscoveryError(HandrailError):
    """The models could not be found completely, so nothing may be concluded from them."""

    exit_code = 4


class DatabaseUnavailableError(HandrailError):
    """The server did not answer."""

    exit_code = 5


class AccessDeniedError(HandrailError):
    """The server answered, and refused this role."""

    exit_code = 6


class MigrationError(HandrailError):
    """A revision failed, with a statement or in Python; its transaction was rolled back."""

    exit_code = 7


class ServerError(HandrailError):
    """The development PostgreSQL could not do what was asked."""

    exit_code = 8


class ModelError(HandrailError):
    """PostgreSQL or SQLAlchemy refused to create what the models declare."""

    exit_code = 9


class BusyError(HandrailError):
    """Somebody else is migrating; nothing was changed by this command, or nothing after the step that was named."""

    exit_code = 10


class BlockedError(HandrailError):
    """A lock was not to be had within the time; the revision's transaction was rolled back."""

    exit_code = 11


class DatabaseAheadError(HandrailError):
    """The version table names revisions whose files are not here."""

    exit_code = 12


class VersionTableError(HandrailError):
    """The version table does not say where the database stands."""

    exit_code = 13


class HeadsError(HandrailError):
    """No revision, or more than one, is what the command named."""

    exit_code = 14


class EditedRevisionError(HandrailError):
    """The file of an applied revision says something else than when it was applied."""

    exit_code = 15


class ReadOnlyError(HandrailError):
    """The server takes no changes."""

    exit_code = 16


class DiskFullError(HandrailError):
    """The server ran out of space; the statement was rolled back."""

    exit_code = 17


class StatementTimeoutError(HandrailError):
    """`statement_timeout` or a person ended a statement."""

    exit_code = 18


class PoolerError(HandrailError):
    """Between us and the server is a pooler in transaction mode, under which no session keeps a lock."""

    exit_code = 19


class InvalidIndexError(HandrailError):
    """An index that a failed build has left behind, which nothing would ever mend."""

    exit_code = 20


class DriftError(HandrailError):
    """The database is not as its revisions left it, and going on would build on that."""

    exit_code = 21


class RefusedError(HandrailError):
    """The gate has found something in the pending revisions; nothing was run."""

    exit_code = 22
