"""The database of a command: the one that is configured, or the project's own development PostgreSQL."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from handrail.errors import ConfigurationError

if TYPE_CHECKING:
    from handrail.config import Project


def database_url(project: Project) -> str:
    """Return the URL of the project's database, starting the development PostgreSQL when nothing is configured.

    A server that this call starts is left running for the next command and is announced on standard error.

    Raises:
        ConfigurationError: In production nothing is ever started, so `DATABASE_URL` is required there.
        ServerError: The development PostgreSQL could not be started.
    """
    if project.database_url:
        return project.database_url
    refuse_in_production(project)
    # The only way into handrail.postgres from here, and only outside production (see the import contracts).
    from handrail.postgres import development_cluster

    cluster = development_cluster(project.root)
    if cluster.start():
        print("Started the development PostgreSQL in .postgres/ (`handrail db stop` stops it).", file=sys.stderr)
    return cluster.url()


def database_url_at_hand(project: Project) -> str | None:
    """Return the same URL, but start nothing: None where it would be that of a development PostgreSQL that is down."""
    if project.database_url or project.production:
        return project.database_url
    from handrail.postgres import development_cluster

    return development_cluster(project.root).status().url


def refuse_in_production(project: Project) -> None:
    """Raise ConfigurationError where a database may not be invented."""
    if project.production:
        raise ConfigurationError(
            f"ENVIRONMENT={project.environment} needs DATABASE_URL, for instance postgresql://user:password@host:5432/database."
        )
