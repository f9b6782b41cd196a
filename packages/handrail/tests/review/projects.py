"""Projects of a few revisions, reviewed without a database."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

from handrail.findings import Finding
from handrail.review import Reviewed
from handrail.review.revisions import Revisions
from handrail.sizes import Sizes

HEAD = '''"""{title}"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy import text
from sqlalchemy.dialects import postgresql

revision = "{number:04}"
down_revision = {parent}
'''


def write_revisions(folder: Path, *bodies: str, outside: str = "") -> list[Path]:
    """Write revisions one after the other, each from the body of its upgrade().

    Args:
        folder: Of the project; they go where Alembic has them.
        bodies: The code in each upgrade().
        outside: What stands before it in the last revision: imports and functions.
    """
    versions = folder / "alembic/versions"
    versions.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, body in enumerate(bodies, 1):
        parent = f'"{number - 1:04}"' if number > 1 else "None"
        head = HEAD.format(title=f"Revision {number}", number=number, parent=parent)
        above = dedent(outside) if number == len(bodies) else ""
        code = f"{head}\n{above}\n\ndef upgrade():\n{indent(dedent(body).strip(chr(10)) or 'pass', '    ')}\n"
        path = versions / f"{number:04}_revision.py"
        path.write_text(code, encoding="utf-8")
        paths.append(path)
    return paths


def reviewed(folder: Path, *bodies: str, outside: str = "") -> Reviewed:
    """Write revisions, and review the last one: the others are applied already."""
    *_, last = write_revisions(folder, *bodies, outside=outside)
    revisions = Revisions.beside(last)
    (result,) = revisions.review([script for script in revisions.scripts if script.path == last], Sizes())
    return result


def rules(findings: list[Finding]) -> set[str]:
    """Return the rules of what counts."""
    return {finding.rule for finding in findings if finding.counts}
