"""Whether the version table can be believed, and the files that were applied are still the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alembic.util import CommandError
from sqlalchemy import text

from handrail.errors import DatabaseAheadError, EditedRevisionError, VersionTableError
from handrail.heads import record_command
from handrail.revisions import sha256
from handrail.upgrade.journal import code_sha256, in_text

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection

    from handrail.upgrade.journal import Entry


def check_versions(
    versions: Sequence[str],
    directory: ScriptDirectory,
    table: str,
    entries: Sequence[Entry],
    *,
    stamped: bool = False,
) -> None:
    """Make sure that the rows of the version table name one state, which the files here know.

    Args:
        versions: The rows.
        directory: The files.
        table: The version table's name in SQL.
        entries: The journal, which may know more.
        stamped: It is about to be stamped, so only what stops that counts.

    Raises:
        VersionTableError: A row is there twice, is contained in another one, or all are missing.
        DatabaseAheadError: A row names a revision that has no file here.
    """
    twice = [version for version, number in Counter(versions).items() if number > 1]
    if twice:
        raise VersionTableError(
            f"nothing was changed: the version table {table} has {twice[0]} more than once, and Alembic moves "  # noqa: S608
            f"exactly one row. Take the others away: DELETE FROM {table} a USING {table} b WHERE "
            "a.version_num = b.version_num AND a.ctid > b.ctid;"
        )
    unknown = [version for version in versions if not known(directory, version)]
    if unknown:
        raise DatabaseAheadError(ahead(unknown, before(unknown, versions, directory, entries), entries))
    if stamped:
        return
    for version in versions:
        below = {script.revision for script in directory.iterate_revisions(version, "base")} - {version}
        if contained := below & set(versions):
            old = min(contained)
            raise VersionTableError(
                f"nothing was changed: the version table {table} has {version} and also {old}, which {version} already "  # noqa: S608
                f"contains. Take the older one away: DELETE FROM {table} WHERE version_num = '{old}';"
            )
    if versions:
        return
    # A project with a version table of its own may share schema and journal; what that one did says nothing of ours.
    ours = (entry for entry in reversed(entries) if all(known(directory, head) for head in entry.heads))
    last = next((entry for entry in ours if entry.finished_at and entry.direction != "accept"), None)
    if last is not None and last.heads:
        raise VersionTableError(
            f"nothing was changed: the version table {table} is empty, but the journal says that this database was at "
            f"{' '.join(last.heads)} on {last.finished_at:%Y-%m-%d}. All revisions would be run once more. If that is "
            f"where it still stands: alembic stamp {' '.join(last.heads)}"
        )


def not_empty(table: str, revision: str, path: Path, said: str, heads: Sequence[str]) -> str:
    """Return what to say where the first revision meets something that is there already.

    Args:
        table: The version table's name in SQL.
        revision: The first one.
        path: Its file.
        said: What PostgreSQL says about what is there.
        heads: The newest revisions.
    """
    return (
        f"nothing was changed: the version table {table} is empty, so revision {revision} ({path.name}) was to be the "
        f"first, but the database is not empty: {said}. If it has another version table, name that in pyproject.toml "
        "(version_table, version_table_schema in [tool.handrail]). If it holds what the revisions create, up to one of "
        f"them: {record_command(heads)}  If it holds something else, use another database."
    )


def known(directory: ScriptDirectory, version: str) -> bool:
    """Whether there is a file of this revision."""
    try:
        return directory.get_revision(version) is not None
    except CommandError:
        return False


def before(
    unknown: Collection[str], versions: Sequence[str], directory: ScriptDirectory, entries: Sequence[Entry]
) -> list[str]:
    """Return the versions without the unknown ones, as the journal has them; none where that is silent."""
    found = [version for version in versions if version not in unknown]
    done = [entry for entry in entries if entry.finished_at and entry.direction in ("upgrade", "downgrade", "stamp")]
    for revision in unknown:
        places = [place for place, entry in enumerate(done) if entry.revision == revision]
        if not places or not places[-1]:
            return []
        found += set(done[places[-1] - 1].heads) - set(done[places[-1]].heads)
    if not all(known(directory, version) for version in found):
        return []
    below = {version for one in found for version in applied(directory, [one]) - {one}}
    return sorted(set(found) - below)


def ahead(unknown: Collection[str], known_before: Sequence[str], entries: Sequence[Entry]) -> str:
    """Say what is known about revisions that have no file here."""
    names = ", ".join(unknown)
    applied = [entry for entry in entries if entry.revision in unknown and entry.direction == "upgrade"]
    told = ""
    if applied:
        version = f", with version {applied[-1].application_version}" if applied[-1].application_version else ""
        told = f" It was applied on {applied[-1].started_at:%Y-%m-%d %H:%M %Z} from {applied[-1].host}{version}."
    return (
        f"nothing was changed: the database is at {names}, and this code has no such revision.{told} Most often the "
        "code is older than the database (a rollback, or another branch): deploy the code that has it, or get its file "
        f"with git and `alembic downgrade` there. If the file is gone for good and nothing of it is left: "
        f"alembic stamp --purge {' '.join(known_before) or '<the revision before it>'}"
    )


def refuse_edited(
    versions: Sequence[str], directory: ScriptDirectory, entries: Sequence[Entry], accepted: Collection[str], root: Path
) -> list[str]:
    """Make sure that applied revisions still say what was applied; comments and layout may change.

    Args:
        versions: Where the database stands.
        directory: The files.
        entries: The journal.
        accepted: Revisions of which the user says that the edit is meant.
        root: The folder to which files are named relatively.

    Returns:
        The accepted ones among the edited.

    Raises:
        EditedRevisionError: There is one that was not accepted.
    """
    found = edited(versions, directory, entries)
    for entry, path in found:
        if entry.revision not in accepted:
            shown = path.relative_to(root) if path.is_relative_to(root) else path
            raise EditedRevisionError(
                f"nothing was changed: {shown} was applied on {entry.started_at:%Y-%m-%d %H:%M %Z} and edited since, "
                "and it will not be run again: databases differ, depending on when they were made. Take the edit back "
                f"(git log -p {shown}) and put it into a new revision. If database and file agree all the same: "
                f"alembic -x accept={entry.revision} upgrade head"
            )
    return [entry.revision for entry, _ in found]


def edited(versions: Sequence[str], directory: ScriptDirectory, entries: Sequence[Entry]) -> list[tuple[Entry, Path]]:
    """Return the applied revisions whose files do something else now, the newest first."""
    told = (entry for entry in entries if entry.direction in ("upgrade", "accept") and entry.code_sha256)
    newest = {entry.revision: entry for entry in told}
    if not newest or not versions:
        return []
    scripts = directory.iterate_revisions(tuple(versions), "base")
    known_ones = ((newest[script.revision], Path(script.path)) for script in scripts if script.revision in newest)
    return [(entry, path) for entry, path in known_ones if not digests_equal(entry, path)]


def digests_equal(entry: Entry, path: Path) -> bool:
    """Whether a file does what it did; its code is only looked at when its text has changed."""
    source = path.read_bytes()
    return sha256(source) == entry.script_sha256 or code_sha256(source) == entry.code_sha256


def applied(directory: ScriptDirectory, versions: Sequence[str]) -> set[str]:
    """Return the revisions that a database has at these versions; those without a file here count for nothing."""
    here = tuple(version for version in versions if known(directory, version))
    return {script.revision for script in directory.iterate_revisions(here, "base")} if here else set()


def rows(connection: Connection, table: str) -> list[str]:
    """Return the rows of the version table, by its name in SQL; none when there is no such table."""
    if not connection.scalar(text("SELECT to_regclass(:name) IS NOT NULL"), {"name": table}):
        return []
    return list(connection.scalars(text(f"SELECT version_num FROM {in_text(table)} ORDER BY version_num")))  # noqa: S608
