"""Find out how a database differs from what its migrations left behind: by the journal, else by the history."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alembic.runtime.environment import EnvironmentContext

from handrail.cache import Cache
from handrail.catalog import Catalog, Kind, Name, read_catalog
from handrail.catalog.difference import NOT_MODELLED
from handrail.config import JOURNAL
from handrail.connection import with_connection
from handrail.discovery import without_garbage_collection
from handrail.errors import ServerError, VersionTableError
from handrail.history import history_catalog, history_database, history_server
from handrail.upgrade.drift import Drift, compared, drift
from handrail.upgrade.journal import Journal
from handrail.upgrade.standing import readable, schema_of
from handrail.upgrade.versions import known, rows
from handrail.version_table import name_in_sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from sqlalchemy import URL, Connection

    from handrail.config import Project

NO_JOURNAL = (
    "There is no journal of this database yet, or its last migration was cut off, so it was compared with what the "
    "revisions create in a throwaway database. Owners and privileges are not known from there. The next `alembic "
    "upgrade`, or `handrail baseline` now, begins the journal."
)


@dataclass(frozen=True)
class Place:
    """A database, the files that belong to it, and where in them it stands.

    Attributes:
        schema: Where version table and journal are.
        revisions: The rows of the version table.
    """

    project: Project
    config: Config
    directory: ScriptDirectory
    url: URL
    schema: str
    revisions: Sequence[str]

    @property
    def version_table(self) -> str:
        """The version table's name in SQL."""
        return name_in_sql(self.schema, self.project.version_table)


def place_of(connection: Connection, project: Project, config: Config, directory: ScriptDirectory, url: URL) -> Place:
    """Return the database behind a connection, and where it stands."""
    schema = schema_of(connection, project)
    revisions = rows(connection, name_in_sql(schema, project.version_table))
    return Place(project, config, directory, url, schema, revisions)


def find(
    project: Project, config: Config, directory: ScriptDirectory, url: URL, *, whole: bool = True
) -> tuple[Place, Drift]:
    """Compare a database with its journal, else with the history at its revision. Reads only.

    Args:
        project: Its settings.
        config: Alembic's.
        directory: The revisions.
        url: Of the database.
        whole: Whether both catalogs are to be complete, as `upgrade.drift` has it.

    Raises:
        AccessDeniedError: The role may not read the journal.
        VersionTableError: It has no revision, so there is nothing to compare it with.
        ServerError: There is neither a journal nor a throwaway server.
    """

    def look(connection: Connection) -> tuple[Place, Drift | None]:
        journal = Journal(schema_of(connection, project))
        with readable(connection, journal):
            place = place_of(connection, project, config, directory, url)
            journal.look(connection)
            return place, drift(connection, journal, project.version_table, project.tolerated, whole=whole)

    # The collector would walk over both catalogs again and again, for a command that ends in a moment.
    with without_garbage_collection():
        place, found = with_connection(url, look, application="handrail drift")
    if found is not None:
        return place, found
    print(NO_JOURNAL, file=sys.stderr)
    with EnvironmentContext(config, directory):
        return place, against_history(place)


def against_history(place: Place, revisions: Sequence[str] | None = None) -> Drift:
    """Compare a database with what the revisions create in a throwaway database. Needs an EnvironmentContext around.

    Args:
        place: The database.
        revisions: At which revisions; None means where the version table says that it stands.
    """
    revisions = list(place.revisions if revisions is None else revisions)
    refuse_unknown(place, revisions)
    expected = without_extras(history_at(place, revisions), place)
    schemas = owned(expected) | {place.schema}
    live = without_extras(
        with_connection(place.url, lambda opened: read_catalog(opened, schemas=schemas), application="handrail drift"),
        place,
    )
    expected = Catalog(expected.version, {n: a for n, a in expected.objects.items() if belongs(n, schemas, live)})
    live = Catalog(live.version, {n: a for n, a in live.objects.items() if belongs(n, schemas, expected)})
    found, allowed = compared(expected, live, place.project.tolerated, NOT_MODELLED | {"version"})
    return Drift(expected, live, found, allowed, revisions)


def owned(history: Catalog) -> set[str]:
    """Return the schemas in which revisions create something."""
    return {name.schema for name in history.objects if name.schema}


def belongs(name: Name, schemas: set[str], other: Catalog) -> bool:
    """Whether an object counts: one of our schemas, or an extension on both sides.

    Others' extensions come with the server, and schemas that hold nothing of ours are somebody else's.
    """
    if name.kind is Kind.EXTENSION:
        return name in other.objects
    return name.name in schemas if name.kind is Kind.SCHEMA else True


def without_extras(catalog: Catalog, place: Place) -> Catalog:
    """Leave out the version table, the journal and what belongs to roles."""
    own = [Name(Kind.TABLE, place.schema, "", name) for name in (place.project.version_table, JOURNAL)]
    rights = [name for name, _ in catalog.of_kind(Kind.DEFAULT_PRIVILEGES)]
    return catalog.without(*own, *rights)


def refuse_unknown(place: Place, revisions: Sequence[str]) -> None:
    unknown = [revision for revision in revisions if not known(place.directory, revision)]
    if unknown or not revisions:
        says = f"names {', '.join(unknown)}, of which there is no file here" if unknown else "is empty or missing"
        raise VersionTableError(
            f"there is nothing to compare this database with: its version table {place.version_table} {says}. If the "
            "database holds what the revisions create, verify and record that:  handrail baseline"
        )


def history_at(place: Place, revisions: Sequence[str]) -> Catalog:
    """Return what the revisions up to these create, with everything that is in that database."""
    with history_server(place.project) as server:
        if server is None:
            raise ServerError(
                "there is no journal of this database, and no throwaway server on which the revisions could be run to "
                "compare it with what they create. Name one: scratch_url in [tool.handrail], or HANDRAIL_SCRATCH_URL."
            )
        table = f"{place.schema}.{place.project.version_table}"
        url = history_database(server, place.config, place.project, table, revisions)
        return history_catalog(server, url, Cache.of(place.project.root))
