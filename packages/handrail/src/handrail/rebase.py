"""Put revisions that only you have behind those that came from others: two heads become one."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alembic.util import CommandError

from handrail.connection import describe, parse_url, with_connection
from handrail.development import database_url
from handrail.errors import ConfigurationError, HandrailError, HeadsError
from handrail.heads import described, local_heads, merge_command, own_revisions
from handrail.revisions import ini_has_url
from handrail.upgrade.standing import schema_of
from handrail.upgrade.versions import applied, rows
from handrail.upstream import published_in
from handrail.version_table import name_in_sql
from handrail.whole_file import replace_text

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import Script, ScriptDirectory
    from sqlalchemy import URL, Connection

    from handrail.config import Project


@dataclass(frozen=True)
class Rebase:
    """Revisions and the one that they shall follow.

    Attributes:
        moved: The revisions of one head that no other head has, the oldest first; only that one's file changes.
        onto: The head that they shall follow.
    """

    moved: Sequence[Script]
    onto: str

    @property
    def path(self) -> Path:
        """The file that changes."""
        return Path(self.moved[0].path)

    def perform(self) -> None:
        """Change the file."""
        text = self.path.read_bytes().decode("utf-8")
        replace_text(self.path, reparented(text, self.onto, str(self.path)))


def planned_rebase(directory: ScriptDirectory, revision: str | None, onto: str | None, root: Path) -> Rebase | None:
    """Decide what is to be moved; None when there is one head only, so that everything is in its place.

    Args:
        directory: The revisions.
        revision: One of those to be moved; otherwise those of the only head that nobody else has.
        onto: The head that they shall follow; otherwise the only other one.
        root: The project's folder.

    Raises:
        HeadsError: It is unclear which.
        HandrailError: Others have them already, or they cannot be moved.
    """
    heads = sorted(directory.get_heads())
    if revision is not None:
        _known(directory, revision)
    if len(heads) < 2:
        return None
    head = _head_of(directory, revision, heads) if revision else _only_local_head(directory, heads, root)
    others = [other for other in heads if other != head]
    if onto is None and len(others) > 1:
        raise HeadsError(
            f"there are {len(heads)} heads, so say which one {head} shall follow:\n"
            + "".join(f"    handrail rebase {head} --onto {other}\n" for other in others).rstrip("\n")
        )
    onto = _head_of(directory, onto, heads) if onto else others[0]
    moved = own_revisions(directory, head, [other for other in heads if other != head])[::-1]
    refuse_published(directory, moved, heads, root)
    _refuse_several_roots(moved, heads)
    return Rebase(moved, onto)


def refuse_published(directory: ScriptDirectory, moved: Sequence[Script], heads: Sequence[str], root: Path) -> None:
    """Refuse to move what others have."""
    for script in moved:
        branch = published_in(root, script.revision)
        if branch is not None:
            raise HandrailError(
                f"{described(directory, script.revision)} is in {branch} already, so others may have run it where it "
                f"is now, and would not run what is put before it. Join the heads instead:\n    {merge_command(heads)}"
            )


def refuse_applied(project: Project, config: Config, directory: ScriptDirectory, rebase: Rebase) -> None:
    """Refuse to move what the configured database has run.

    Raises:
        HandrailError: It has; the message holds the command that undoes it.
        HandrailError: The database does not answer, so nobody knows.
    """
    url = configured_url(project, config)
    if url is None:
        return
    done = _applied(project, directory, url)
    found = [script.revision for script in rebase.moved if script.revision in done]
    if found:
        last = rebase.moved[-1].revision
        raise HandrailError(
            f"{', '.join(found)} is applied in the configured database ({describe(url)}), which would then be taken "
            f"for one that has {rebase.onto}, too. Undo it first, and apply it again afterwards:\n"
            f"    alembic downgrade {found[-1]}@-{len(found)}\n    handrail rebase {last}\n    alembic upgrade head\n"
            f"  To keep it applied, join the heads instead:\n    {merge_command(sorted(directory.get_heads()))}"
        )


def configured_url(project: Project, config: Config) -> URL | None:
    """Return the URL of the database that `alembic` uses; None for a development server that was never made."""
    if ini_has_url(project):
        return parse_url(config.get_main_option("sqlalchemy.url") or "")
    if project.database_url is None and not project.production:
        from handrail.postgres import development_cluster

        if development_cluster(project.root).status().state == "absent":
            return None
    return parse_url(database_url(project))


def reparented(text: str, parent: str, filename: str) -> str:
    """Return a revision's text with another `down_revision`, and the same in its docstring.

    Raises:
        ConfigurationError: There is no such assignment of a constant.
    """
    tree = ast.parse(text, filename)
    value = next((found for node in tree.body if (found := _assigned(node, "down_revision"))), None)
    if not isinstance(value, ast.Constant):
        raise ConfigurationError(
            f'{filename} has no line like  down_revision = "…", so it cannot be changed here. Write {parent!r} there.'
        )
    lines = text.encode().splitlines(keepends=True)
    line = lines[value.lineno - 1]
    lines[value.lineno - 1] = line[: value.col_offset] + f'"{parent}"'.encode() + line[value.end_col_offset :]
    docstring = tree.body[0]
    if ast.get_docstring(tree) is not None:
        for number in range(docstring.lineno - 1, docstring.end_lineno or 0):
            lines[number] = re.sub(rb"^(Revises:)[^\r\n]*", rb"\1 " + parent.encode(), lines[number])
    return b"".join(lines).decode()


def _assigned(node: ast.stmt, name: str) -> ast.expr | None:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    found = any(isinstance(target, ast.Name) and target.id == name for target in targets)
    return node.value if found and isinstance(node, ast.Assign | ast.AnnAssign) else None


def _known(directory: ScriptDirectory, revision: str) -> Script:
    try:
        script = directory.get_revision(revision)
    except CommandError as error:
        raise ConfigurationError(f"{error}. `alembic heads` and `alembic history` show what there is.") from error
    return script


def _head_of(directory: ScriptDirectory, revision: str, heads: Sequence[str]) -> str:
    """Return the head that only this revision leads to."""
    wanted = _known(directory, revision).revision
    for head in heads:
        if any(script.revision == wanted for script in own_revisions(directory, head)):
            return head
    raise HeadsError(
        f"{wanted} leads to more than one head, so it cannot be put behind one of them. The heads are:\n"
        + "\n".join(f"    {described(directory, head)}" for head in heads)
    )


def _only_local_head(directory: ScriptDirectory, heads: Sequence[str], root: Path) -> str:
    local = local_heads(directory, root)
    if len(local) == 1:
        return local[0]
    why = "none of them is yours alone" if not local else "git does not tell which one is yours alone"
    remedy = f"    {merge_command(heads)}" if not local else "\n".join(f"    handrail rebase {head}" for head in local)
    raise HeadsError(
        f"there are {len(heads)} heads, and {why}:\n"
        + "".join(f"    {described(directory, head)}\n" for head in heads)
        + f"  {'Join them' if not local else 'Say which one shall follow the other'}:\n{remedy}"
    )


def _refuse_several_roots(moved: Sequence[Script], heads: Sequence[str]) -> None:
    """Refuse what is no plain chain: where a merge is among them, more than one parent would have to change."""
    own = {script.revision for script in moved}
    roots = [script for script in moved if not set(script._all_down_revisions) & own]  # noqa: SLF001
    if len(roots) != 1 or any(len(script._versioned_down_revisions) > 1 for script in moved):  # noqa: SLF001
        raise HandrailError(
            "what would be moved is no plain chain of revisions: there is a merge in it. Join the heads instead:\n"
            f"    {merge_command(heads)}"
        )


def _applied(project: Project, directory: ScriptDirectory, url: URL) -> set[str]:
    """Return all revisions that a database has."""

    def look(connection: Connection) -> list[str]:
        return rows(connection, name_in_sql(schema_of(connection, project), project.version_table))

    return applied(directory, with_connection(url, look, application="handrail rebase"))
