"""What the migrating session promises the others on the server: it keeps nobody waiting, not even when it dies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from handrail.connection import POOLED, PREPARED, ServerMessage, quoted
from handrail.errors import AccessDeniedError, PoolerError, ReadOnlyError

if TYPE_CHECKING:
    from sqlalchemy import Connection

# Milliseconds. While one of our statements waits for a table, everybody who comes later waits behind it.
LOCK_TIMEOUT = 1000
SETTINGS = {
    "lock_timeout": f"{LOCK_TIMEOUT}ms",
    # A migrator that is frozen or cut off between two statements lets go of its locks after this time. A revision that
    # works longer than this in Python sets it for itself: SET LOCAL idle_in_transaction_session_timeout = '10min'.
    "idle_in_transaction_session_timeout": "5s",
    # The same for a connection that no longer answers: seconds, instead of two hours.
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    # A session that does nothing but hold a lock is not idle.
    "idle_session_timeout": "0",
    # A killed client's statement stays in the queue of a table otherwise, and everybody behind it.
    "client_connection_check_interval": "1s",
}
NOT_EVERYWHERE = {"client_connection_check_interval"}  # only where the server's system can tell (not on Windows)

ROUNDS = 3  # of questions, after which two sessions of a pool would have met


@contextmanager
def considerate(connection: Connection) -> Iterator[None]:
    """Set the session up while the block runs, and as it was before after it."""
    current = ", ".join(f"current_setting('{name}') AS {name}" for name in SETTINGS)
    before: Any = connection.execute(text(f"SELECT {current}")).mappings().one()
    connection.commit()
    set_up(connection, {name: value for name, value in SETTINGS.items() if name not in NOT_EVERYWHERE})
    with suppress(DBAPIError):
        set_up(connection, {name: SETTINGS[name] for name in NOT_EVERYWHERE})
    try:
        yield
    finally:
        # After a lost connection there is nothing to set, and an error of ours is on its way.
        with suppress(SQLAlchemyError):
            if connection.in_transaction():
                connection.rollback()
            set_up(connection, before)


def set_up(connection: Connection, settings: Mapping[str, str]) -> None:
    """Change settings for the rest of the session."""
    calls = ", ".join(f"set_config('{name}', :{name}, false)" for name in settings)
    with connection.begin():
        connection.execute(text(f"SELECT {calls}"), dict(settings))


def refuse_pooler(migrator: Connection, keeper: Connection) -> None:
    """Make sure that each of the two sessions has a server process to itself.

    Raises:
        PoolerError: A pooler gives the server's sessions to whoever has a transaction at the moment.
    """
    if driver_pid(migrator) == pid_of(migrator):
        return  # no pooler at all: these hand out numbers of their own
    pids: dict[Connection, set[int]] = {migrator: set(), keeper: set()}
    try:
        for _ in range(ROUNDS):
            for connection, seen in pids.items():
                seen.add(pid_of(connection))
    except DBAPIError as error:
        if ServerMessage.of(error).sqlstate in PREPARED:
            raise PoolerError(POOLED) from error
        raise
    if any(len(seen) > 1 for seen in pids.values()) or pids[migrator] & pids[keeper]:
        raise PoolerError(POOLED)


def pid_of(connection: Connection) -> int:
    """Return the number of the server process that answers at this moment."""
    pid: int = connection.scalar(text("SELECT pg_backend_pid()")) or 0
    if connection.in_transaction():
        connection.commit()
    return pid


def driver_pid(connection: Connection) -> int:
    """Return the number that was told when the connection was made."""
    driver: Any = connection.connection.driver_connection
    pid: int = driver.get_server_pid() if hasattr(driver, "get_server_pid") else driver.info.backend_pid
    return pid


def refuse_read_only(connection: Connection) -> None:
    """Raise ReadOnlyError on a standby, and where the role or the database is set to read-only."""
    recovery, read_only = connection.execute(
        text("SELECT pg_is_in_recovery(), current_setting('transaction_read_only')::boolean")
    ).one()
    if recovery:
        raise ReadOnlyError(
            "nothing was changed: this server is a standby (a read-only replica). Name the primary in DATABASE_URL, or "
            "let the URL find it: …@host1,host2/database?target_session_attrs=read-write"
        )
    if read_only:
        raise ReadOnlyError(
            "nothing was changed: default_transaction_read_only is on for this role or database. Whoever may end that, "
            f"runs: ALTER DATABASE {quoted(connection.engine.url.database or '')} RESET default_transaction_read_only;"
        )


def refuse_wrong_role(connection: Connection, expected: str | None) -> None:
    """Raise AccessDeniedError when another role than `expect_role` would own what the revisions create."""
    role = connection.scalar(text("SELECT current_user"))
    if expected is not None and role != expected:
        raise AccessDeniedError(
            f'nothing was changed: the connection belongs to the role "{role}", and [tool.handrail] says expect_role = '
            f'"{expected}". Everything would be owned by "{role}". Connect as "{expected}", for instance with '
            "MIGRATION_DATABASE_URL."
        )
