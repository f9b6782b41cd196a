"""Revision scripts, read as text and put in order; none is imported, so that a broken one does not hide the others."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from handrail.errors import HeadsError
from handrail.revisions import ASSIGNMENT


@dataclass(frozen=True)
class Script:
    """A revision on disk, read as text.

    Attributes:
        path: Its file.
        revision: Its id.
        parents: The ids of those that it follows or depends on.
    """

    path: Path
    revision: str
    parents: tuple[str, ...]

    @property
    def title(self) -> str:
        """The first line of what it says about itself."""
        try:
            said = ast.get_docstring(ast.parse(self.path.read_bytes()))
        except (SyntaxError, ValueError):
            said = None
        return (said or self.path.stem).partition("\n")[0]


def read_scripts(folders: Iterable[Path]) -> list[Script]:
    """Return the revisions in these folders, parents first; those that are no revisions are left out."""
    scripts: dict[str, Script] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            script = read_script(path)
            if script is not None:
                scripts[script.revision] = script
    return list(_in_order(scripts))


def read_script(path: Path) -> Script | None:
    """Read one revision's file; None when it is not one."""
    source = path.read_text(encoding="utf-8", errors="replace")
    values = _plain(source) or _parsed(source)
    revision = values.get("revision")
    if not isinstance(revision, str):
        return None
    return Script(path, revision, (*_ids(values.get("down_revision")), *_ids(values.get("depends_on"))))


def _plain(source: str) -> dict[str, object] | None:
    """Return what Alembic's own template has assigned, each in a line of its own; None where a parser has to tell."""
    found = ASSIGNMENT.findall(source)
    values = dict(found)
    if len(found) != len(values) or not {"revision", "down_revision"} <= set(values):
        return None
    try:
        return {name: ast.literal_eval(value) for name, value in values.items()}
    except (SyntaxError, ValueError):
        return None


def _parsed(source: str) -> dict[str, object]:
    """Return the assignments of a module."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        # Whoever reviews it will say what is wrong.
        found = dict(reversed(ASSIGNMENT.findall(source)))
        return {"revision": found["revision"].strip("\"' ")} if "revision" in found else {}
    values: dict[str, object] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            continue
        for target in targets:
            if isinstance(target, ast.Name) and target.id in ("revision", "down_revision", "depends_on"):
                try:
                    values[target.id] = ast.literal_eval(value)
                except ValueError:
                    continue
    return values


def _ids(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, tuple | list) else ()


def _in_order(scripts: Mapping[str, Script]) -> Iterator[Script]:
    """Yield parents before children; a circle or an unknown parent ends nothing."""
    done: set[str] = set()
    for start in scripts.values():
        pending = [start]
        waiting: set[str] = set()
        while pending:
            script = pending[-1]
            open_ = [p for p in script.parents if p in scripts and p not in done and p not in waiting]
            if open_ and script.revision not in done:
                waiting.add(script.revision)
                pending += [scripts[parent] for parent in open_]
                continue
            pending.pop()
            if script.revision not in done:
                done.add(script.revision)
                yield script


def selected(scripts: Sequence[Script], wanted: str) -> list[Script]:
    """Return the revisions that `REVISION` or `FROM:TO` names; FROM itself is not among them, `:` is all.

    Raises:
        HeadsError: There is no such revision, or more than one begins like that.
    """
    if ":" not in wanted:
        return [_found(scripts, wanted)]
    start, _, end = wanted.partition(":")
    everything = end in ("", "head", "heads")
    chosen = (
        {script.revision for script in scripts} if everything else ancestors(scripts, _found(scripts, end).revision)
    )
    if start and start != "base":
        chosen -= ancestors(scripts, _found(scripts, start).revision)
    return [script for script in scripts if script.revision in chosen]


def _found(scripts: Sequence[Script], wanted: str) -> Script:
    if wanted in ("head", "heads") and scripts:
        return scripts[-1]
    found = [script for script in scripts if script.revision.startswith(wanted)]
    exact = [script for script in found if script.revision == wanted]
    if len(exact or found) != 1:
        what = "there is no revision" if not found else "there is more than one revision that begins with"
        raise HeadsError(f"{what} {wanted!r}. What there is: alembic history")
    return (exact or found)[0]


def ancestors(scripts: Sequence[Script], revision: str) -> set[str]:
    """Return a revision and all that lead to it."""
    by_id = {known.revision: known for known in scripts}
    found: set[str] = set()
    pending = [revision]
    while pending:
        revision = pending.pop()
        if revision in by_id and revision not in found:
            found.add(revision)
            pending += by_id[revision].parents
    return found
