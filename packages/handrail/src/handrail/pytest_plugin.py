"""The pytest plugin: a throwaway database for every test process, migrated by the real revisions.

Switch it on in pyproject.toml, so that it is there before any conftest is imported:

    [tool.pytest]
    addopts = ["-p", "handrail.pytest_plugin"]

From then on `DATABASE_URL` names a database that only this test process knows, whatever the shell or `.env` says: a
test cannot reach a database that the run did not create.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import DBAPIError

from handrail.config import JOURNAL, Project, load_project
from handrail.connection import ServerMessage
from handrail.errors import HandrailError
from handrail.scratch import ScratchServer, new_name, scratch_database_url, scratch_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.config import Config

# Rows go, tables stay. In a session that replays foreign keys do not matter, and DELETE is some forty times faster than
# TRUNCATE on the few rows of a test; but only a superuser may do that.
EMPTY_ALL_TABLES = """
DO $$
DECLARE found regclass; everything text;
BEGIN
    SET LOCAL lock_timeout = '5s';
    SET LOCAL search_path = '';
    BEGIN
        SET LOCAL session_replication_role = replica;
        FOR found IN {tables} LOOP
            EXECUTE format('DELETE FROM %s', found);
        END LOOP;
    EXCEPTION WHEN insufficient_privilege THEN
        SELECT string_agg(t.found::text, ', ') INTO everything FROM ({tables}) AS t (found);
        IF everything IS NOT NULL THEN
            EXECUTE format('TRUNCATE %s CASCADE', everything);
        END IF;
    END;
END $$
"""
ORDINARY_TABLES = """
SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^(pg_|information_schema$)'
  AND c.relname NOT IN ('{version_table}', '{journal}')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
"""
ASK_FOR_ROWS = "SELECT string_agg(format('EXISTS (SELECT FROM %s)', t.found), ' OR ') FROM ({tables}) AS t (found)"

# Whose transactions hold locks on tables here. Connections that rest in a pool hold none, and may be needed again.
HOLDERS = """
FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND backend_type = 'client backend' AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'relation' AND granted)
"""
NAME_HOLDERS = f"SELECT string_agg(format('%s, last statement: %s', state, query), E'\\n') {HOLDERS}"
END_HOLDERS = f"SELECT count(pg_terminate_backend(pid)) {HOLDERS}"
LOCK_TIMEOUT = "55P03"

NAME = pytest.StashKey[str]()
PROJECT = pytest.StashKey[Project]()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Point `DATABASE_URL` to this process's own database, before the application reads it."""
    name = new_name()
    try:
        project = load_project(early_config.rootpath)
        url = scratch_database_url(project, name)
    except HandrailError as error:
        raise pytest.UsageError(str(error)) from error
    os.environ["DATABASE_URL"] = url
    # What the shell or `.env` named is the developer's own: nothing in a test shall find it.
    early_config.stash[PROJECT] = replace(project, database_url=url)
    early_config.stash[NAME] = name


@dataclass(frozen=True)
class Migrations:
    """The project's revisions, run against one empty throwaway database, in this process."""

    config: Config

    def upgrade(self, revision: str = "head") -> None:
        """Run `alembic upgrade`."""
        from alembic import command

        command.upgrade(self.config, revision)

    def downgrade(self, revision: str = "-1") -> None:
        """Run `alembic downgrade`."""
        from alembic import command

        command.downgrade(self.config, revision)

    def check(self) -> None:
        """Run `alembic check`: raises when the models say something that the revisions do not create."""
        from alembic import command

        command.check(self.config)

    def revisions(self) -> list[str]:
        """Return the ids of all revisions, the oldest first."""
        from alembic.script import ScriptDirectory

        scripts = ScriptDirectory.from_config(self.config)
        return [script.revision for script in scripts.walk_revisions()][::-1]


def config_for(project: Project, url: str) -> Config:
    """Return Alembic's configuration of the project for another database, printing nothing."""
    from handrail.configuration import alembic_config

    config = alembic_config(project)
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


@pytest.fixture(scope="session")
def handrail_project(pytestconfig: pytest.Config) -> Project:
    """The project under test."""
    return pytestconfig.stash[PROJECT]


@pytest.fixture(scope="session")
def handrail_scratch(handrail_project: Project) -> Iterator[ScratchServer]:
    """The server on which this run creates its databases; it leaves nothing behind."""
    with scratch_server(handrail_project) as server:
        yield server


@pytest.fixture(scope="session")
def handrail_database(
    pytestconfig: pytest.Config, handrail_project: Project, handrail_scratch: ScratchServer
) -> Iterator[str]:
    """Name of this process's database, at the newest revision; tests use `database`."""
    name = handrail_scratch.create(pytestconfig.stash[NAME])
    try:
        Migrations(config_for(handrail_project, handrail_scratch.url_of(name))).upgrade("heads")
        yield name
    finally:
        handrail_scratch.drop(name)


@pytest.fixture(scope="session")
def handrail_template(
    handrail_project: Project, handrail_scratch: ScratchServer, handrail_database: str
) -> Iterator[str | None]:
    """Copy of the migrated database if the revisions themselves insert rows, which tests may rely on; else None."""
    tables = ORDINARY_TABLES.format(version_table=handrail_project.version_table, journal=JOURNAL)
    with ExitStack() as stack:
        template = None
        question = handrail_scratch.scalar(ASK_FOR_ROWS.format(tables=tables), database=handrail_database)
        if question and handrail_scratch.scalar(f"SELECT {question}", database=handrail_database):
            template = handrail_scratch.create(template=handrail_database)
            stack.callback(handrail_scratch.drop, template)
        yield template


@pytest.fixture
def database(
    handrail_project: Project, handrail_scratch: ScratchServer, handrail_database: str, handrail_template: str | None
) -> Iterator[str]:
    """URL of a database at the newest revision, the same as `DATABASE_URL`; afterwards its rows are gone.

    Tests may commit, roll back and connect as often as they like, and need not clean up.
    """
    yield handrail_scratch.url_of(handrail_database)
    if handrail_template:
        handrail_scratch.drop(handrail_database)
        handrail_scratch.create(handrail_database, template=handrail_template)
    else:
        tables = ORDINARY_TABLES.format(version_table=handrail_project.version_table, journal=JOURNAL)
        empty(handrail_scratch, handrail_database, EMPTY_ALL_TABLES.format(tables=tables))


def empty(server: ScratchServer, database: str, statement: str) -> None:
    """Empty the tables; if a transaction that is still open prevents it, end that one and fail the test that left it.

    Left alone it would be the following tests that hang and fail.
    """
    try:
        server.execute(statement, database=database)
    except DBAPIError as error:
        if ServerMessage.of(error).sqlstate != LOCK_TIMEOUT:
            raise
        holders = server.scalar(NAME_HOLDERS, database=database)
        server.scalar(END_HOLDERS, database=database)
        server.execute(statement, database=database)
        if holders:
            pytest.fail(
                "this test ended with a transaction still open, which kept its tables locked. The connection was ended "
                "so that the next tests can go on; commit, roll back or close it in the test, or in the fixture that "
                f"opened it:\n{holders}",
                pytrace=False,
            )


@pytest.fixture
def empty_database(handrail_scratch: ScratchServer) -> Iterator[str]:
    """URL of a database with nothing in it, dropped afterwards."""
    name = handrail_scratch.create()
    try:
        yield handrail_scratch.url_of(name)
    finally:
        handrail_scratch.drop(name)


@pytest.fixture
def migrations(handrail_project: Project, empty_database: str) -> Migrations:
    """The project's revisions, to be run against an empty database."""
    return Migrations(config_for(handrail_project, empty_database))
