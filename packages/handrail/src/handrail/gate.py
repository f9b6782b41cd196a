"""The gate before an upgrade: what is dangerous here is only run when its revision says why it may."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from click import unstyle

from handrail.catalog import read_catalog
from handrail.connection import quoted
from handrail.errors import RefusedError
from handrail.findings import Finding, Severity
from handrail.hint import hint
from handrail.notes import MARKED, Mark, bare, unallowed
from handrail.predict import State
from handrail.predict.placed import there_already
from handrail.report.text import described
from handrail.review import Reviewed
from handrail.review.reviewer import Reviewer
from handrail.scripts import ancestors, read_script, read_scripts
from handrail.sizes import Sizes

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection

    from handrail.config import Project
    from handrail.effects import Relation


def pass_gate(
    paths: Sequence[Path], connection: Connection, project: Project, config: Config, directory: ScriptDirectory
) -> list[Reviewed]:
    """Review the revisions that are about to run, against the database that they are about to run on.

    Args:
        paths: Their files, in order. What `start_after` exempts is only taken note of.
        connection: To that database; it is only read.
        project: Its settings.
        config: Alembic's configuration.
        directory: The revisions.

    Returns:
        What they will do.

    Raises:
        RefusedError: One of them is dangerous and does not say that it may be; everything found is in the message.
    """
    reviews = review_on(paths, connection, project, config, directory)
    found = [
        finding
        for path, reviewed in reviews
        for finding in (*reviewed.findings, *_marked(path, reviewed.findings, reviewed.file))
    ]
    refused = [finding for finding in found if _refuses(finding, connection)]
    if refused:
        raise RefusedError(refusal(refused))
    for finding in found:
        if finding.rule == "unseen":
            print(f"{finding.file}:{finding.line}: not reviewed before it runs: {finding.what}", file=sys.stderr)
    return [reviewed for _, reviewed in reviews]


def review_on(
    paths: Sequence[Path], connection: Connection, project: Project, config: Config, directory: ScriptDirectory
) -> list[tuple[Path, Reviewed]]:
    """Review revisions on a database, with its catalog and sizes; what is exempt is only taken note of."""
    if not paths:
        return []
    with _reading(connection):
        sizes, state = Sizes.of(connection), State.of(read_catalog(connection))
    reviewer = Reviewer(config, directory, project.root, sizes, state)
    past = exempt(project, paths)
    reviews: list[tuple[Path, Reviewed]] = []
    for path in paths:
        script = read_script(path)
        if script is None:
            continue
        if script.revision in past:
            reviewer.pass_over(script)
        else:
            reviews.append((path, reviewer.review(script, thoroughly=False)))
    return reviews


def created_again(
    path: Path, connection: Connection, project: Project, config: Config, directory: ScriptDirectory
) -> list[Relation]:
    """Return the tables, views and indexes that a revision would create although this database has them."""
    script = read_script(path)
    if script is None:
        return []
    with _reading(connection):
        state = State.of(read_catalog(connection))
    return there_already(Reviewer(config, directory, project.root, state=state).pass_over(script))


def refusal(findings: Sequence[Finding]) -> str:
    """Return one report of everything that stands in the way, each with the line that lets it pass."""
    # Alembic prints it, and plain Alembic is plain.
    meant = "\n    Or, if it is meant, in that file:\n    "
    parts = [f"{unstyle(described(finding))}{meant}{finding.note}" for finding in findings]
    return "nothing was run, because of what the pending revisions would do to this database:\n\n" + "\n\n".join(parts)


def _refuses(finding: Finding, connection: Connection) -> bool:
    if finding.severity is not Severity.DANGER or finding.allowed is not None or not finding.certain:
        return False
    # An estimate of its rows may be missing or old; and on an empty table it works.
    return finding.rule != "required-column" or _has_rows(connection, finding.object)


def _has_rows(connection: Connection, column: str) -> bool:
    schema, _, rest = column.partition(".")
    table = rest.rpartition(".")[0]
    # Not every role may look; whoever may alter a table may.
    query = f"SELECT EXISTS (SELECT FROM {quoted(schema)}.{quoted(table)})"  # noqa: S608
    with _reading(connection):
        return bool(connection.exec_driver_sql(query).scalar())


def _reading(connection: Connection) -> AbstractContextManager[object]:
    """Return a transaction for questions only: one that is idle while a review works is ended by the server."""
    return nullcontext() if connection.in_transaction() else connection.begin()


def _marked(path: Path, findings: Sequence[Finding], file: str) -> list[Finding]:
    """Return what `revision --autogenerate` has marked as lost and was not found in another way."""
    known = {(finding.rule, bare(finding.object)) for finding in findings}
    marks = unallowed(path.read_text(encoding="utf-8", errors="replace"))
    return [_lost(mark, file) for mark in marks if (mark.rule, bare(mark.object)) not in known]


def _lost(mark: Mark, file: str) -> Finding:
    what = f"It {MARKED[mark.rule].format(object=mark.object)}."
    return Finding(mark.rule, Severity.DANGER, mark.object, file, mark.line, what, hint(mark.rule).why)


def exempt(project: Project, paths: Sequence[Path]) -> set[str]:
    """Return the revisions that are in the past of a project that was adopted: up to `start_after`."""
    if project.start_after is None:
        return set()
    return ancestors(read_scripts(sorted({path.parent for path in paths})), project.start_after)
