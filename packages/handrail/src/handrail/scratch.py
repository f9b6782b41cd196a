"""Throwaway databases, on a server where they may be created: the configured one or the project's own.

Only databases that this file created are ever dropped: each carries a comment that says which process made it.
"""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, text

from handrail.connection import parse_url, quoted, with_connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from handrail.config import Project

PREFIX = "handrail_"
OWNER_COMMENT = "Throwaway database of handrail, process {pid} on {host}"


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
        comment = OWNER_COMMENT.format(pid=os.getpid(), host=socket.gethostname()).replace("'", "''")
        self.execute(
            f"CREATE DATABASE {quoted(name)} TEMPLATE {quoted(template or 'template0')}",
            f"COMMENT ON DATABASE {quoted(name)} IS '{comment}'",
        )
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
            for statement in statements:
                connection.exec_driver_sql(statement)

        self._with_connection(database, work)

    def scalar(self, query: str, database: str | None = None, **parameters: object) -> Any:
        """Return the first column of the first row of a query."""
        return self._with_connection(database, lambda connection: connection.scalar(text(query), parameters))

    def sweep(self) -> None:
        """Drop what processes of this machine left behind that died before they could clean up."""
        if os.name == "nt":
            return  # there is no harmless way to ask for a process there
        query = (
            "SELECT string_agg(datname || E'\\t' || shobj_description(oid, 'pg_database'), E'\\n') "
            "FROM pg_database WHERE starts_with(datname, :prefix)"
        )
        for line in (self.scalar(query, prefix=PREFIX) or "").splitlines():
            name, _, comment = line.partition("\t")
            pid = _owner(comment)
            if pid is not None and not _alive(pid):
                self.execute(f"DROP DATABASE IF EXISTS {quoted(name)} WITH (FORCE)")

    def _with_connection(self, database: str | None, work: Any) -> Any:
        url = self.url.set(database=database) if database else self.url
        return with_connection(url, work, application="handrail scratch", autocommit=True)


def new_name() -> str:
    """Return a name that no other database has."""
    return f"{PREFIX}{os.getpid()}_{secrets.token_hex(4)}"


def _owner(comment: str) -> int | None:
    """Return the process that a comment of ours names, if that was on this machine."""
    words = comment.split()
    template = OWNER_COMMENT.format(pid="{pid}", host=socket.gethostname()).split()
    if len(words) != len(template):
        return None
    pid = words[template.index("{pid}")]
    return int(pid) if pid.isdigit() and comment == " ".join(template).format(pid=pid) else None


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
    if project.scratch_url:
        server = ScratchServer(parse_url(project.scratch_url))
        server.sweep()
        yield server
        return
    from handrail.postgres import scratch_cluster

    cluster = scratch_cluster(project.root)
    with cluster.use():
        server = ScratchServer(parse_url(cluster.url("postgres")))
        server.sweep()
        yield server


def scratch_database_url(project: Project, name: str) -> str:
    """Return the URL that a throwaway database will have, before the server runs."""
    if project.scratch_url:
        return ScratchServer(parse_url(project.scratch_url)).url_of(name)
    from handrail.postgres import scratch_cluster

    return scratch_cluster(project.root).url(name)
