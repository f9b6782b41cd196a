"""What can go wrong, as one tree.

    HandrailError                 1   anything below, when nothing more exact is known
    ├── ConfigurationError        3   a setting is missing or wrong
    ├── DiscoveryError            4   a model module could not be imported
    ├── DatabaseUnavailableError  5   no answer: server down, wrong host, too many connections
    ├── AccessDeniedError         6   the server answered no: password, unknown role or database, privilege
    ├── MigrationError            7   a revision failed in the database; it was rolled back
    ├── ServerError               8   the development PostgreSQL could not be started, stopped or reset
    └── ModelError                9   the models' own DDL cannot be run

The number is the exit code of `handrail …`; 2 is a wrong command line. Plain `alembic …` exits with 255, as always.
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
    """A statement of a revision failed; the revision's transaction was rolled back."""

    exit_code = 7


class ServerError(HandrailError):
    """The development PostgreSQL could not do what was asked."""

    exit_code = 8


class ModelError(HandrailError):
    """PostgreSQL or SQLAlchemy refused to create what the models declare."""

    exit_code = 9
