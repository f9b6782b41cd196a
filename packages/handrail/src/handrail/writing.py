"""Write revision files: whole ones, one command at a time, and each on top of what is there by then."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from alembic.script import ScriptDirectory

from handrail.cache import Cache
from handrail.errors import HandrailError
from handrail.failures import shown_as_alembic_errors
from handrail.findings import Severity
from handrail.heads import refuse_two_heads
from handrail.lock import FileLock
from handrail.report.text import as_text
from handrail.review.reviewer import Reviewer
from handrail.schema_file import carry_over, path_of, schema_file
from handrail.scripts import read_scripts
from handrail.whole_file import UNFINISHED
from handrail.workarounds import name_files_by_title, write_whole_files

if TYPE_CHECKING:
    from alembic.autogenerate.api import RevisionContext
    from alembic.config import Config
    from alembic.script import Script

    from handrail.config import Project

# Only writing takes the lock, not the comparison before, nor a person who is asked something.
PATIENCE_SECONDS = 30


def prepare_writing(
    project: Project, config: Config, directory: ScriptDirectory, context: RevisionContext | None
) -> None:
    """Make what the running command writes later safe. `context` is that of `revision`; `merge` has none.

    Raises:
        HandrailError: The new revision would have several heads to follow.
    """
    written = write_whole_files(directory)
    name_files_by_title(directory)
    if context is None:
        merge = directory.generate_revision

        def generate_revision(*args: Any, **options: Any) -> Script | None:
            with shown_as_alembic_errors(config), undisturbed(project, config, directory, written):
                script = merge(*args, **options)
            renew(project, config)
            return script

        directory.generate_revision = generate_revision  # type: ignore[method-assign]
        return
    if context.command_args["head"] in (None, "head"):
        refuse_two_heads(directory, project.root)
    before = directory.get_heads()
    stock = context.generate_scripts

    def generate_scripts() -> Iterator[Script | None]:
        with shown_as_alembic_errors(config), undisturbed(project, config, directory, written):
            scripts = list(stock())
        changes_nothing = not context.command_args["autogenerate"] or not scripts
        if not (changes_nothing and carry_over(path_of(directory), before, directory.get_heads())):
            renew(project, config)
        if not changes_nothing:
            show_review(project, config, directory, [Path(script.path) for script in scripts if script is not None])
        yield from scripts

    context.generate_scripts = generate_scripts  # type: ignore[method-assign]


@contextmanager
def undisturbed(project: Project, config: Config, directory: ScriptDirectory, written: list[Path]) -> Iterator[None]:
    """Be the only one who writes revisions; take back what was written when something goes wrong or is interrupted.

    Raises:
        HandrailError: Another command has written a revision since this one has looked, or does not come to an end.
    """
    try:
        lock = FileLock(Cache.of(project.root).file("revisions.lock"))
    except OSError as error:
        raise HandrailError(
            f"nothing was written: {error.filename}: {error.strerror}. Revisions are written one at a time, with a "
            "lock in that folder: let your user write there."
        ) from error
    with lock:
        if not lock.acquire(timeout_seconds=PATIENCE_SECONDS):
            raise HandrailError(
                f"nothing was written: another command has been writing revisions for {PATIENCE_SECONDS} seconds. "
                "Wait for it or end it, then run this one again."
            )
        there, known = set(ScriptDirectory.from_config(config).get_heads()), set(directory.get_heads())
        if there != known:
            raise HandrailError(
                f"nothing was written: meanwhile another command has written {', '.join(sorted(there - known))}, which "
                "this revision does not know; it would become a second head. Run the same command again."
            )
        try:
            remove_remains(directory)
            yield
        except BaseException:
            for path in written:
                path.unlink(missing_ok=True)
            raise


def remove_remains(directory: ScriptDirectory) -> None:
    """Remove what commands that were killed left unfinished. Only for whoever holds the lock."""
    for folder in {Path(directory.dir), *directory._version_locations}:  # noqa: SLF001 - absolute ones
        for path in folder.glob(f"{UNFINISHED}*"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def show_review(project: Project, config: Config, directory: ScriptDirectory, written: list[Path]) -> None:
    """Tell what the revisions that were just written will do, as `handrail review` does."""
    reviewer = Reviewer(config, directory, project.root)
    scripts = read_scripts({path.parent for path in written})
    reviews = reviewer.reviews(scripts, [script for script in scripts if script.path in written], together=True)
    if any(finding.severity is not Severity.NOTE for review in reviews for finding in review.findings):
        click.echo(as_text(reviews), err=True)


def renew(project: Project, config: Config) -> None:
    """Write schema.sql anew, if the project has one. The revision stays in any case: it is what was asked for."""
    try:
        if path_of(ScriptDirectory.from_config(config)).exists():
            file = schema_file(project, config)
            if file.write():
                print(f"  Renewed {file.shown}", file=sys.stderr)
    except HandrailError as error:
        print(
            f"  schema.sql is stale, because {error}\n  When that is solved:  handrail schema --write", file=sys.stderr
        )
