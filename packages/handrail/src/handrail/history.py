"""The history: the schema that the revision scripts produce, in a throwaway database of its own.

Models are compared with it rather than with whatever the developer's database happens to hold. It is kept by the
content of the scripts: it costs nothing as long as they do not change, and one revision when one is added.
"""

from __future__ import annotations

import hashlib
import logging
import os
import socket
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from alembic import command, context
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from handrail.catalog import Catalog, read_catalog
from handrail.catalog.objects import FORMAT as CATALOG_FORMAT
from handrail.connection import describe, literal, parse_url, quoted, with_connection
from handrail.errors import MigrationError, ServerError
from handrail.scratch import HISTORY_COMMENT, PREFIX, ScratchServer, scratch_server
from handrail.whole_file import UNFINISHED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from alembic.config import Config
    from alembic.script import Script, ScriptDirectory
    from sqlalchemy import URL, Connection

    from handrail.cache import Cache
    from handrail.config import Project

T = TypeVar("T")

SCHEMA_FILE = "schema.sql"  # what `handrail schema --write` makes of the history
HISTORY_PREFIX = f"{PREFIX}history_"
FORMAT = "1"  # to be raised when what is built from the same scripts becomes different
THROWAWAY = "handrail_throwaway"  # attribute of Alembic's Config: nobody's data is at stake
KEPT = 5  # histories of one project: those of the branches that somebody switches between


@dataclass(frozen=True)
class History:
    """The revision scripts of a project, in the order in which they are run, each with the state after it.

    Attributes:
        scripts: All revisions, the oldest first.
        states: One digest more than there are scripts: of nothing, and of everything up to each script.
    """

    scripts: Sequence[Script]
    states: Sequence[str]

    @classmethod
    def of(
        cls, directory: ScriptDirectory, project: Project, version_table: str, revisions: Sequence[str] = ("heads",)
    ) -> History:
        """Read the scripts, and digest them with all else that decides what they create.

        That is the versions of the tools, the place of the version table, and whatever lies beside the scripts (SQL
        files, helper modules). Modules elsewhere that a script imports are not looked at.
        """
        # An empty sequence means the state before the first one, where Alembic would take it for all.
        scripts = list(directory.walk_revisions(head=tuple(revisions)))[::-1] if revisions else []  # type: ignore[arg-type]
        tools = [f"{name} {version(name)}" for name in ("handrail", "alembic", "sqlalchemy")]
        # The folder, so that no other project of the same beginnings drops what this one is reading.
        state = _digest(
            FORMAT,
            str(project.root),
            *tools,
            version_table,
            *_beside(directory, {Path(script.path) for script in scripts}),
        )
        states = [state]
        for script in scripts:
            state = _digest(state, script.revision, Path(script.path).read_text(encoding="utf-8"))
            states.append(state)
        return cls(scripts, states)


def _beside(directory: ScriptDirectory, scripts: set[Path]) -> Iterator[str]:
    """Yield names and contents of the other files in Alembic's folder, except for what handrail writes there."""
    folder = Path(directory.dir)
    for path in sorted(folder.rglob("*")):
        ours = path == folder / SCHEMA_FILE or any(part.startswith(UNFINISHED) for part in path.parts)
        if (
            path.is_file()
            and path not in scripts
            and path.suffix != ".pyc"
            and path.name != "script.py.mako"
            and not ours
        ):
            yield str(path.relative_to(directory.dir))
            yield hashlib.sha256(path.read_bytes()).hexdigest()


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def history_database(
    server: ScratchServer, config: Config, project: Project, version_table: str, revisions: Sequence[str] = ("heads",)
) -> URL:
    """Return the URL of a database that holds what revisions create; nobody may change it.

    It is built from the nearest state that is there already, in a database that is given its name when it is complete:
    an interruption leaves nothing that could be taken for a history.

    Args:
        server: Where it is.
        config: Alembic's.
        project: Whose revisions.
        version_table: Its name with its schema.
        revisions: Up to which, otherwise all; none for an empty database.

    Raises:
        MigrationError: A revision cannot run on this server.
    """
    history = History.of(context.script, project, version_table, revisions)
    names = [f"{HISTORY_PREFIX}{state[:24]}" for state in history.states]
    there = set((server.scalar(_NAMES, prefix=HISTORY_PREFIX) or "").split())
    if names[-1] in there:
        return server.url.set(database=names[-1])
    template = next((name for name in reversed(names) if name in there), None)
    unfinished = copy_of(server, template)
    try:
        _run_revisions(server, unfinished, config, revisions)
        publish(server, unfinished, names[-1], project)
    finally:
        server.drop(unfinished)
    forget(server, project, keep=KEPT)
    return server.url.set(database=names[-1])


def history_catalog(server: ScratchServer, url: URL, cache: Cache) -> Catalog:
    """Return what a history holds; its database's name says of which scripts, so it is read once."""
    version = server.scalar("SELECT version()")
    key = f"history-{_digest(url.database or '', str(version), str(CATALOG_FORMAT))[:32]}"
    text = cache.read(key)
    if text is not None:
        return Catalog.from_json(text)
    catalog = with_connection(url, read_catalog, application="handrail history")
    cache.write(key, catalog.to_json())
    return catalog


@contextmanager
def history_server(project: Project) -> Iterator[ScratchServer | None]:
    """Yield the server on which the history is kept; None when there is none.

    The first of: `scratch_url`, the embedded PostgreSQL, the configured server if the role may create databases there.
    In production only the first is considered.
    """
    with ExitStack() as stack:
        server = None
        if project.scratch_url or not project.production:
            try:
                server = stack.enter_context(scratch_server(project))
            except ServerError:
                server = _configured_server(project)
        yield server


def _configured_server(project: Project) -> ScratchServer | None:
    if project.database_url is None:
        return None
    server = ScratchServer(parse_url(project.database_url))
    may_create = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
    return server if server.scalar(may_create) else None


_NAMES = "SELECT string_agg(datname, ' ') FROM pg_database WHERE starts_with(datname, :prefix)"
_OLDEST_LAST = (
    "SELECT string_agg(datname, ' ' ORDER BY oid DESC) FROM pg_database "
    "WHERE starts_with(datname, :prefix) AND shobj_description(oid, 'pg_database') = :comment"
)


def forget(server: ScratchServer, project: Project, keep: int = 0) -> None:
    """Drop the project's histories, except for the newest ones; one that is being read stays."""
    comment = _comment(project)
    for name in (server.scalar(_OLDEST_LAST, prefix=HISTORY_PREFIX, comment=comment) or "").split()[keep:]:
        try:
            server.execute(f"DROP DATABASE IF EXISTS {quoted(name)}")
        except DBAPIError:
            continue


def _comment(project: Project) -> str:
    return HISTORY_COMMENT.format(root=project.root, host=socket.gethostname())


def copy_of(server: ScratchServer, template: str | None) -> str:
    """Create a database as a copy of a history, or an empty one where that is in use; return its name."""
    if template is not None:
        try:
            return server.create(template=template)
        except DBAPIError:
            # Somebody is reading it, and PostgreSQL copies no database that is in use. Then from the beginning.
            pass
    return server.create()


def publish(server: ScratchServer, unfinished: str, name: str, project: Project) -> None:
    """Give a database that is complete the name under which it is kept for the project."""
    comment = literal(_comment(project))
    try:
        # A revision may have opened a connection of its own and left it open.
        server.scalar("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = :d", d=unfinished)
        server.execute(
            f"ALTER DATABASE {quoted(unfinished)} RENAME TO {quoted(name)}",
            f"COMMENT ON DATABASE {quoted(name)} IS {comment}",
        )
    except DBAPIError:
        # Another process was faster; the same scripts have the same result.
        if name not in (server.scalar(_NAMES, prefix=name) or ""):
            raise


def _run_revisions(server: ScratchServer, database: str, config: Config, revisions: Sequence[str]) -> None:
    """Run `alembic upgrade` on a database of the scratch server."""

    def work(_connection: Connection) -> None:
        for revision in revisions:
            command.upgrade(config, revision)

    try:
        on_throwaway(server, database, config, work, application="handrail history")
    except CommandError as error:
        raise MigrationError(
            f"the revisions cannot be run on the throwaway server at {describe(server.url)}, so there is nothing to "
            f"compare the models with. {error} If this revision needs what that server does not have (an extension, a "
            'role, another version of PostgreSQL), name one that has it: scratch_url = "postgresql://…" in '
            "[tool.handrail]."
        ) from error


def on_throwaway(
    server: ScratchServer, database: str, config: Config, work: Callable[[Connection], T], *, application: str
) -> T:
    """Return what `work` returns, which may run Alembic's commands: quietly, on this database, inside of another one.

    Args:
        server: The scratch server.
        database: The name of a database on it that is of no value.
        config: Alembic's; the commands in `work` must be given the same object.
        work: Gets the connection on which the commands run.
        application: See `with_connection`.
    """

    def quietly(connection: Connection) -> T:
        config.attributes |= {"connection": connection, THROWAWAY: True}
        try:
            with _quiet("alembic.runtime.migration"):
                return work(connection)
        finally:
            del config.attributes["connection"], config.attributes[THROWAWAY]

    outer = context._proxy  # type: ignore[attr-defined]  # noqa: SLF001
    configured = os.environ.get("DATABASE_URL")
    # A revision that opens a connection of its own must not reach the configured database.
    os.environ["DATABASE_URL"] = server.url_of(database)
    try:
        return with_connection(server.url.set(database=database), quietly, application=application)
    finally:
        os.environ.pop("DATABASE_URL", None)
        if configured is not None:
            os.environ["DATABASE_URL"] = configured
        # The inner command took Alembic's global proxy away from the outer one, which still needs it.
        outer._install_proxy()  # noqa: SLF001


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keep a logger from telling that revisions are run, which would be read as the developer's database."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
