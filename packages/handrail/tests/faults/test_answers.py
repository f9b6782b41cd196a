"""Each thing that can be wrong has a sentence, an exit code, and no traceback."""

from __future__ import annotations

import psycopg
import pytest

from faults.shop import Shop, revision
from handrail import errors
from handrail.connection import parse_url


def refusal(shop: Shop, kind: type[errors.HandrailError], *arguments: str, **environment: str) -> str:
    """Run `alembic …`, which must end with this error, and return what it said."""
    done = shop.project.alembic(*arguments, **environment)
    assert done.returncode == kind.exit_code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return " ".join(done.stdout.split())


@pytest.mark.one_driver
def test_a_database_ahead_of_the_code(shop: Shop) -> None:
    """A rolled back deploy: the journal knows what is missing here."""
    shop.project.succeeds("upgrade", "head")
    (shop.project.root / "alembic/versions/r6.py").unlink()

    message = refusal(shop, errors.DatabaseAheadError, "upgrade", "head")

    assert "the database is at r6, and this code has no such revision. It was applied on" in message


@pytest.mark.one_driver
def test_a_stamp_in_a_database_ahead_of_the_code(shop: Shop) -> None:
    """It says the same, and the command in the message says where the database stands instead; in one transaction."""
    shop.project.succeeds("upgrade", "head")
    (shop.project.root / "alembic/versions/r6.py").unlink()

    message = refusal(shop, errors.DatabaseAheadError, "stamp", "head")

    command = message[message.index("alembic stamp") :].split()
    assert command == ["alembic", "stamp", "--purge", "r5"]
    shop.project.succeeds(*command[1:])
    assert shop.version() == "r5"
    shop.project.succeeds("stamp", "--purge", "base")
    assert shop.version() is None
    assert shop.sql("SELECT heads FROM shop.handrail_journal ORDER BY id DESC LIMIT 1") == ""


@pytest.mark.one_driver
def test_one_of_two_heads_is_gone(shop: Shop) -> None:
    """What is left is the other one, not both it and what is below it."""
    revision(shop.project, "r7", "r5", "pass")
    shop.project.succeeds("upgrade", "heads")
    (shop.project.root / "alembic/versions/r7.py").unlink()

    message = refusal(shop, errors.DatabaseAheadError, "upgrade", "head")

    assert message.endswith("alembic stamp --purge r6")


@pytest.mark.one_driver
def test_a_deleted_revision(shop: Shop) -> None:
    """In the middle: whatever reads the files says which one is missing."""
    shop.project.succeeds("upgrade", "r5")
    (shop.project.root / "alembic/versions/r3.py").unlink()

    for command in ("upgrade head", "downgrade -1", "stamp head", "current --check-heads"):
        assert "One of them follows r3, of which there is no file" in refusal(
            shop, errors.EditedRevisionError, *command.split()
        )
    assert shop.project.handrail("status").returncode == errors.EditedRevisionError.exit_code


def test_a_role_that_owns_nothing(shop: Shop) -> None:
    """Before a revision and in it: one exit code, and whom to connect as."""
    shop.project.succeeds("upgrade", "r2")
    role = f"nobody_of_{shop.database}"  # all databases of a server share them
    with psycopg.connect(shop.dsn, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {role}".encode())
        owner.execute(f'ALTER DATABASE "{shop.database}" SET role = {role}'.encode())  # for all later sessions
        try:
            before = refusal(shop, errors.AccessDeniedError, "upgrade", "head")
            owner.execute(f"GRANT USAGE ON SCHEMA shop TO {role}".encode())
            owner.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA shop TO {role}".encode())
            within = refusal(shop, errors.AccessDeniedError, "-x", "drift=keep", "upgrade", "head")
        finally:
            owner.execute(f'ALTER DATABASE "{shop.database}" RESET role'.encode())
            owner.execute(f"DROP OWNED BY {role}".encode())
            owner.execute(f"DROP ROLE {role}".encode())

    assert "permission denied for schema shop. Let migrations connect as the role that owns all of it" in before
    assert "alembic/versions/r3.py:10: must be owner of table goods." in within


@pytest.mark.one_driver
def test_an_unknown_revision(shop: Shop) -> None:
    """A name that is no revision."""
    assert "r77" in refusal(shop, errors.HeadsError, "upgrade", "r77")


@pytest.mark.one_driver
def test_two_heads(shop: Shop) -> None:
    """Two branches that were merged: which of them is head?"""
    shop.project.succeeds("upgrade", "r1")
    revision(shop.project, "r7", "r5", "pass")

    message = refusal(shop, errors.HeadsError, "upgrade", "head")

    assert "there are 2 heads" in message
    assert 'alembic merge -m "join r6 and r7" r6 r7' in message


@pytest.mark.one_driver
def test_a_version_table_that_was_emptied(shop: Shop) -> None:
    """The journal knows better than to run everything once more."""
    shop.project.succeeds("upgrade", "head")
    shop.sql("DELETE FROM shop.alembic_version")

    message = refusal(shop, errors.VersionTableError, "upgrade", "head")

    assert "alembic stamp r6" in message
    shop.project.succeeds("stamp", "r6")
    shop.project.succeeds("upgrade", "head")


@pytest.mark.one_driver
def test_a_second_project_in_the_same_schema(shop: Shop) -> None:
    """It has a version table of its own, and its first upgrade is not stopped by what the journal says of the other."""
    shop.project.succeeds("upgrade", "r2")
    settings = (shop.project.root / "pyproject.toml").read_text(encoding="utf-8")
    for path in (shop.project.root / "alembic/versions").glob("r*.py"):
        path.rename(path.with_suffix(".other"))
    revision(shop.project, "s1", None, 'op.execute("CREATE TABLE shop.staff (id int)")')
    shop.project.write("pyproject.toml", f'{settings}version_table = "staff_version"\n')

    shop.project.succeeds("upgrade", "head")
    assert shop.sql("SELECT version_num FROM shop.staff_version") == "s1"
    shop.sql("DELETE FROM shop.staff_version")
    assert "alembic stamp s1" in refusal(shop, errors.VersionTableError, "upgrade", "head")

    for path in (shop.project.root / "alembic/versions").glob("*.other"):
        path.rename(path.with_suffix(".py"))
    (shop.project.root / "alembic/versions/s1.py").unlink()
    shop.project.write("pyproject.toml", settings)
    shop.project.succeeds("upgrade", "head")


@pytest.mark.one_driver
def test_a_version_table_with_a_row_twice(shop: Shop) -> None:
    """The statement in the message mends it."""
    shop.project.succeeds("upgrade", "r2")
    shop.sql("ALTER TABLE shop.alembic_version DROP CONSTRAINT alembic_version_pkc")
    shop.sql("INSERT INTO shop.alembic_version VALUES ('r2')")

    message = refusal(shop, errors.VersionTableError, "upgrade", "head")
    assert refusal(shop, errors.VersionTableError, "downgrade", "-1") == message
    assert refusal(shop, errors.VersionTableError, "stamp", "head") == message

    shop.sql(message[message.index("DELETE FROM") :])
    shop.project.succeeds("upgrade", "head")


@pytest.mark.one_driver
def test_a_version_table_with_overlapping_rows(shop: Shop) -> None:
    """One contains the other."""
    shop.project.succeeds("upgrade", "r2")
    shop.sql("INSERT INTO shop.alembic_version VALUES ('r1')")

    message = refusal(shop, errors.VersionTableError, "upgrade", "head")

    shop.sql(message[message.index("DELETE FROM") :])
    shop.project.succeeds("upgrade", "head")


@pytest.mark.one_driver
def test_tables_without_a_version(shop: Shop) -> None:
    """A database that was made in another way; also where branches stay apart."""
    shop.sql("CREATE SCHEMA shop")
    shop.sql("CREATE TABLE shop.goods (id int PRIMARY KEY)")

    planned = shop.project.handrail("plan")
    message = refusal(shop, errors.VersionTableError, "upgrade", "head")

    assert 'the database is not empty: relation "goods" already exists.' in message
    assert "handrail baseline r6" in message
    assert " ".join(planned.stderr.split()) == message.replace("FAILED:", "error:")
    assert planned.returncode == errors.VersionTableError.exit_code
    shop.sql("ALTER TABLE shop.goods RENAME TO elsewhere")
    assert "CREATE TABLE shop.goods" in shop.project.handrail("plan").stdout
    shop.sql("ALTER TABLE shop.elsewhere RENAME TO goods")
    revision(shop.project, "r7", "r5", "pass")
    assert "alembic stamp r6 r7" in refusal(shop, errors.VersionTableError, "upgrade", "heads")


@pytest.mark.one_driver
def test_an_edited_revision(shop: Shop) -> None:
    """Comments may change; what it does may not, unless somebody says that it is meant."""
    shop.project.succeeds("upgrade", "head")
    path = shop.project.root / "alembic/versions/r3.py"
    path.write_text("# a comment\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    shop.project.succeeds("upgrade", "head")
    path.write_text(path.read_text(encoding="utf-8").replace("note text", "note varchar"), encoding="utf-8")

    message = refusal(shop, errors.EditedRevisionError, "upgrade", "head")

    assert "alembic -x accept=r3 upgrade head" in message
    shop.project.succeeds("-x", "accept=r3", "upgrade", "head")
    shop.project.succeeds("upgrade", "head")


@pytest.mark.one_driver
def test_another_role_than_the_expected(shop: Shop) -> None:
    """It would own everything."""
    shop.project.write("pyproject.toml", '[tool.handrail]\nmetadata = "shop.base:Base"\nexpect_role = "owner"\n')

    assert 'expect_role = "owner"' in refusal(shop, errors.AccessDeniedError, "upgrade", "head")
    assert shop.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'shop'") == "0"


def test_a_read_only_database(shop: Shop) -> None:
    """As a standby is."""
    database = shop.dsn.rpartition("/")[2].partition("?")[0]
    shop.sql(f'ALTER DATABASE "{database}" SET default_transaction_read_only = on')

    assert "RESET default_transaction_read_only" in refusal(shop, errors.ReadOnlyError, "upgrade", "head")


def test_no_server(shop: Shop) -> None:
    """One line."""
    message = refusal(
        shop, errors.DatabaseUnavailableError, "upgrade", "head", DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing"
    )

    assert "no PostgreSQL answers at 127.0.0.1:1" in message


def test_no_second_connection(shop: Shop) -> None:
    """Others have taken the last ones; that is no matter of a revision."""
    role = f"lonely_{shop.database}"  # all databases of a server share them
    with psycopg.connect(shop.dsn, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 1".encode())
        try:
            url = parse_url(shop.url).set(username=role).render_as_string(hide_password=False)
            message = refusal(shop, errors.DatabaseUnavailableError, "upgrade", "head", DATABASE_URL=url)
        finally:
            owner.execute(f"DROP ROLE {role}".encode())

    assert "nothing was changed: a migration needs a second connection, which holds its turn, and PostgreSQL" in message
    assert f'takes no connection now: too many connections for role "{role}". Try again shortly.' in message


def test_a_statement_that_takes_too_long(shop: Shop) -> None:
    """Stopped by the server; which setting, and what to do."""
    shop.project.succeeds("upgrade", "r2")
    revision(
        shop.project, "r3", "r2", 'op.execute("SET LOCAL statement_timeout = 100")\nop.execute("SELECT pg_sleep(5)")'
    )

    message = refusal(shop, errors.StatementTimeoutError, "upgrade", "head")

    assert "alembic/versions/r3.py:11: canceling statement due to statement timeout" in message


def test_the_python_of_a_revision_fails(shop: Shop) -> None:
    """With the line, and without a traceback; nothing of it is there, and nothing passes for a success."""
    shop.project.succeeds("upgrade", "r2")
    change = 'op.execute("ALTER TABLE shop.goods ADD COLUMN note text")\n'
    said = {
        'raise ValueError("no\\nsuch good")': "alembic/versions/r3.py:11: ValueError: no such good. Revisions before",
        "import sys; sys.exit(0)": "alembic/versions/r3.py:11: SystemExit: 0. Revisions before this one stay applied",
        "x = (": "nothing was changed: alembic/versions/r3.py:11: SyntaxError: '(' was never closed. So this revision",
    }
    for code, expected in said.items():
        revision(shop.project, "r3", "r2", change + code)

        assert expected in refusal(shop, errors.MigrationError, "upgrade", "head")
        assert shop.version() == "r2"
    assert "Traceback" in shop.project.alembic("--raiseerr", "upgrade", "head").stderr

    revision(shop.project, "r3", "r2", change)
    shop.project.succeeds("upgrade", "r3")


def test_a_full_disk(shop: Shop) -> None:
    """In the middle of a concurrent index: nothing INVALID stays, and with space the same command builds it.

    The device is one that the system keeps full, so the error is the system's own; `bench/faults` fills a real disk.
    """
    shop.project.succeeds("upgrade", "r5")
    shop.sql("CREATE TABLE public.disk AS SELECT '/dev/full' AS path")
    shop.sql(
        "CREATE FUNCTION public.write() RETURNS void LANGUAGE plpgsql AS "
        "$$ BEGIN EXECUTE format('COPY (SELECT 1) TO %L', (SELECT path FROM public.disk)); END $$"
    )
    shop.sql(
        "CREATE FUNCTION public.written(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM public.write(); RETURN $1; END $$"
    )
    block = "with op.get_context().autocommit_block():\n    "
    statement = "CREATE INDEX CONCURRENTLY ix_code ON shop.goods (public.written(code))"
    revision(shop.project, "r6", "r5", f'{block}op.execute("{statement}")')

    message = refusal(shop, errors.DiskFullError, "upgrade", "head")

    assert "alembic/versions/r6.py:11: could not" in message
    assert "No space left on device. The server has no space left" in message
    assert shop.invalid() is None
    shop.sql("UPDATE public.disk SET path = '/dev/null'")
    shop.project.succeeds("upgrade", "head")
    shop.assert_whole()


@pytest.mark.one_driver
def test_an_invalid_index_is_no_success(shop: Shop) -> None:
    """Whoever left it there."""
    shop.project.succeeds("upgrade", "head")
    shop.sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'shop.ix_name'::regclass")

    message = refusal(shop, errors.InvalidIndexError, "upgrade", "head")

    assert "REINDEX INDEX CONCURRENTLY shop.ix_name;" in message
    shop.sql("REINDEX INDEX CONCURRENTLY shop.ix_name")
    shop.project.succeeds("upgrade", "head")


@pytest.mark.one_driver
def test_the_journal_tells_what_was_done(shop: Shop) -> None:
    """Up, down and stamped; the last step of each command with a catalog."""
    shop.project.succeeds("upgrade", "head")
    shop.project.succeeds("downgrade", "r5")
    shop.project.succeeds("stamp", "r6")

    told = shop.sql(
        "SELECT string_agg(direction || ' ' || revision || ' ' || heads || coalesce(' ' || left(catalog, 1), ''), ', ' "
        "ORDER BY id) FROM shop.handrail_journal"
    )

    assert told == (
        "upgrade r1 r1, upgrade r2 r2, upgrade r3 r3, upgrade r4 r4, upgrade r5 r5, upgrade r6 r6 {, "
        "downgrade r6 r5 {, stamp r6 r6 {"
    )
