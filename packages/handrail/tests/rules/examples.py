"""The examples of the rules' pages as revisions."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Sequence
from pathlib import Path

from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

import handrail.workarounds  # noqa: F401 - puts Alembic's faults right, as env.py does
from handrail.findings import Finding
from handrail.predict import State
from handrail.review.reviewer import Reviewer
from handrail.scripts import read_scripts
from handrail.sizes import Sizes

HEAD = '''\
"""An example."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "{number}"
down_revision = {parent!r}


def upgrade() -> None:
'''


def write(folder: Path, bodies: Sequence[str]) -> list[Path]:
    """Write revisions, each on top of the one before."""
    versions = folder / "versions"
    versions.mkdir(parents=True)
    paths = []
    for number, body in enumerate(bodies):
        head = HEAD.format(number=number, parent=str(number - 1) if number else None)
        path = versions / f"{number}.py"
        path.write_text(head + textwrap.indent(body, "    ") + "\n", encoding="utf-8")
        paths.append(path)
    return paths


def review(folder: Path, bodies: Sequence[str], state: State, sizes: Sizes) -> list[Finding]:
    """Return what is found in revisions that are deployed one after the other."""
    paths = write(folder, bodies)
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    reviewer = Reviewer(config, ScriptDirectory.from_config(config), folder, sizes, state)
    findings = []
    for script in read_scripts([paths[0].parent]):
        findings += reviewer.review(script).findings
        state.begin_batch()
    return findings


def line_of(body: str, number: int) -> int:
    """Return the line of the revision's file on which a statement of its body begins."""
    return HEAD.count("\n") + ast.parse(body).body[number].lineno


def run(url: str, bodies: Sequence[str], *, keep: bool = True) -> None:
    """Run revisions as an upgrade does, each in a transaction of its own; or in one that is rolled back."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        if not keep:
            connection.begin()
        for body in bodies:
            context = MigrationContext.configure(connection, opts={"transaction_per_migration": True})
            names: dict[str, object] = {}
            exec(HEAD.format(number=0, parent=None) + textwrap.indent(body, "    ") + "\n", names)
            with context.begin_transaction(_per_migration=True), Operations.context(context):
                names["upgrade"]()  # type: ignore[operator]
    engine.dispose()
