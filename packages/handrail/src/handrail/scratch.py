"""Throwaway databases, on a server where they may be created: the configured one or the project's own.

Only databases that handrail created are ever dropped: each carries a comment that says which process made it, or of
which project it is a history.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError

from handrail.boot import boot_id
from handrail.connection import literal, parse_url, quoted, with_connection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

    from handrail.config import Project

PREFIX = "handrail_"
# A pid says something only in its own PID namespace (containers may share a host name) and until the next boot.
OWNER_COMMENT = "Throwaway database of handrail, process {pid} on {host}, boot {boot}, namespace {namespace}"
HISTORY_COMMENT = "History of the revisions of {root} on {host}, kept by handrail"

# The copy of files is three times as fast as that by way of the write-ahead log, but for its two checkpoints: they wait
# for the disk where anything does. https://www.postgresql.org/docs/current/sql-createdatabase.html
STRATEGY = """
SELECT CASE WHEN current_setting('fsync') = 'off' AND current_setting('server_version_num')::int >= 150000
THEN 'STRATEGY file_copy' ELSE '' END
"""

# Of another role's databases we could drop none.
COMMENTED = """
SELECT json_object_agg(datname, coalesce(shobj_description(oid, 'pg_database'), ''))::text
FROM pg_database WHERE starts_with(datname, :prefix) AND pg_has_role(datdba, 'USAGE')
"""


@dataclass(frozen=True)
class ScratchServer:
    """A PostgreSQL on which databases may come and go.

    Attributes:
        url: An existing database on it, from which others are created.
    """

    url: URL
    _created: set[str] = field(default_factory=set, repr=False)

    def url_of(self, name: str) -> str:
        """Return the URL of one of its databases, without a driver's name, password included."""
        return self.url.set(drivername="postgresql", database=name).render_as_string(hide_password=False)

    def create(self, name: str | None = None, template: str | None = None) -> str:
        """Create a database, empty or as a copy of `template`, and return its name."""
        name = name or new_name()
        comment = literal(OWNER_COMMENT.format(pid=os.getpid(), **whereabouts()))

        def work(connection: Connection) -> None:
            strategy = connection.scalar(text(STRATEGY))
            copied = f"CREATE DATABASE {quoted(name)} TEMPLATE {quoted(template or 'template0')} {strategy}"
            connection.exec_driver_sql(copied)
            connection.exec_driver_sql(f"COMMENT ON DATABASE {quoted(name)} IS {comment}")

        self._with_connection(None, work)
        self._created.add(name)
        return name

    def drop(self, name: str) -> None:
        """Drop a database that this object created, closing whatever is still connected to it."""
        if name in self._created:
            self.execute(f"DROP DATABASE IF EXISTS {quoted(name)} WITH (FORCE)")
            self._created.discard(name)

    def execute(self, *statements: str, database: str | None = None) -> None:
        """Run statements one by one, each committed by itself, as a superuser or owner."""

        def work(connection: Connection) -> None:
            # Without this psycopg would take a %s of format() for a parameter.
            connection = connection.execution_options(no_parameters=True)
            for statement in statements:
                connection.exec_driver_sql(statement)

        self._with_connection(database, work)

    def scalar(self, query: str, database: str | None = None, **parameters: object) -> Any:
        """Return the first column of the first row of a query."""
        return self._with_connection(database, lambda connection: connection.scalar(text(query), parameters))

    def sweep(self) -> None:
        """Drop what this machine left behind: of processes that died before they could clean up, of deleted projects.

        What cannot be dropped, because somebody else is doing it or is connected to it, stays for another time.
        """
        if os.name == "nt":
            return  # there is no harmless way to ask for a process there
        for name, comment in json.loads(self.scalar(COMMENTED, prefix=PREFIX) or "{}").items():
            with suppress(DBAPIError):
                if _is_of_a_dead_process(comment):
                    self.execute(f"DROP DATABASE IF EXISTS {quoted(name)} WITH (FORCE)")
                elif _is_of_an_earlier_boot(comment) or _is_of_a_deleted_project(comment):
                    # Nobody who has a right to it can be connected, so one that is in use is not what it seems.
                    self.execute(f"DROP DATABASE IF EXISTS {quoted(name)}")

    def _with_connection(self, database: str | None, work: Any) -> Any:
        url = self.url.set(database=database) if database else self.url
        return with_connection(url, work, application="handrail scratch", autocommit=True)


def new_name() -> str:
    """Return a name that no other database has."""
    return f"{PREFIX}{os.getpid()}_{secrets.token_hex(4)}"


@cache
def whereabouts() -> dict[str, str]:
    """Return where a pid of this process means anything: host, boot and PID namespace, as far as there are such."""
    namespace = Path("/proc/self/ns/pid")
    return {
        "host": socket.gethostname(),
        "boot": boot_id() or "unknown",
        "namespace": str(namespace.readlink()) if namespace.is_symlink() else "unknown",
    }


def _owner(comment: str) -> dict[str, str]:
    """Return what a comment of ours says about the process that made the database; of any other comment nothing."""
    words = {name: rf"(?P<{name}>\S+)" for name in whereabouts()}
    found = re.fullmatch(OWNER_COMMENT.format(pid=r"(?P<pid>\d+)", **words), comment)
    return found.groupdict() if found else {}


def _is_of_a_dead_process(comment: str) -> bool:
    owner = _owner(comment)
    return owner.items() >= whereabouts().items() and not _alive(int(owner["pid"]))


def _is_of_an_earlier_boot(comment: str) -> bool:
    """Return whether the machine was started again since: then the process is dead, whatever its namespace was."""
    owner, here = _owner(comment), whereabouts()
    if owner.get("host") != here["host"] or "unknown" in (owner["boot"], here["boot"]):
        return False
    return owner["boot"] != here["boot"]


def _is_of_a_deleted_project(comment: str) -> bool:
    """Return whether it is the history of a folder that was on this machine; it can always be built again."""
    found = re.fullmatch(HISTORY_COMMENT.format(root="(.+)", host=re.escape(socket.gethostname())), comment)
    if found is None:
        return False
    try:
        Path(found[1]).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False  # we may not look: then it may well be there
    return False


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def scratch_server(project: Project) -> Iterator[ScratchServer]:
    """Yield the server for throwaway databases, started for the occasion when it is the project's own.

    The first of: `HANDRAIL_SCRATCH_URL`, `[tool.handrail] scratch_url`, an embedded PostgreSQL in `.postgres/scratch`.
    The embedded one is shared by all processes that use it and stops with the last of them.
    """
    server, running = _chosen(project)
    with running:
        server.sweep()
        yield server


def scratch_database_url(project: Project, name: str) -> str:
    """Return the URL that a throwaway database will have, before the server runs."""
    server, _ = _chosen(project)
    return server.url_of(name)


def _chosen(project: Project) -> tuple[ScratchServer, AbstractContextManager[object]]:
    """Return the server of `scratch_server`, and inside what it runs."""
    if project.scratch_url:
        return ScratchServer(parse_url(project.scratch_url)), nullcontext()
    from handrail.postgres import scratch_cluster

    cluster = scratch_cluster(project.root)
    return ScratchServer(parse_url(cluster.url("postgres"))), cluster.use()
