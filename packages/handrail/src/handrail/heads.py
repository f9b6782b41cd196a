"""Two heads: how they come about, and how one gets back to one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from handrail.errors import HeadsError
from handrail.upstream import published_in

if TYPE_CHECKING:
    from alembic.script import Script, ScriptDirectory


def refuse_two_heads(directory: ScriptDirectory, root: Path) -> None:
    """Refuse to add a revision where it is unclear which one it follows.

    Raises:
        HeadsError: There are several heads.
    """
    heads = sorted(directory.get_heads())
    if len(heads) < 2:
        return
    local = local_heads(directory, root)
    rebases = "\n".join(f"    handrail rebase {head}" for head in (local if len(local) == 1 else heads))
    raise HeadsError(
        f"nothing was written: there are {len(heads)} heads, and a new revision can follow only one of them; "
        "`alembic upgrade head` fails everywhere until there is one.\n"
        + "".join(f"    {described(directory, head)}\n" for head in heads)
        + f"  To put one behind the other, as long as nobody else has it and it is not applied:\n{rebases}\n"
        f"  To keep both as they are, and join them:\n    {merge_command(heads)}\n"
        "  Then run the same command again. (Branches that shall stay apart: name one with --head.)"
    )


def unclear(directory: ScriptDirectory, error: Exception) -> str:
    """Return what to say when Alembic cannot tell which revisions are meant."""
    heads = sorted(directory.get_heads())
    if len(heads) < 2 or "Multiple head" not in str(error):
        return f"nothing was changed: {error}. What there is: alembic history"
    return (
        f"nothing was changed: there are {len(heads)} heads, so it is not clear what `head` is:\n"
        + "".join(f"    {described(directory, head)}\n" for head in heads)
        + "  Two branches were merged that each added a revision. Put the one that is nowhere applied yet "
        f"behind the other:\n    handrail rebase {heads[-1]}\n  or join them:\n    {merge_command(heads)}"
    )


def local_heads(directory: ScriptDirectory, root: Path) -> list[str]:
    """Return the heads of which others have nothing: most often the one that did not come with the last pull."""
    return [
        head
        for head in sorted(directory.get_heads())
        if not any(published_in(root, own.revision) for own in own_revisions(directory, head))
    ]


def record_command(heads: Sequence[str]) -> str:
    """Return the command that records a database as being where these heads are, verified where that is possible."""
    return f"handrail baseline {heads[0]}" if len(heads) == 1 else f"alembic stamp {' '.join(heads)}"


def merge_command(heads: Sequence[str]) -> str:
    """Return the command that joins these heads."""
    return f'alembic merge -m "join {" and ".join(heads)}" {" ".join(heads)}'


def described(directory: ScriptDirectory, revision: str) -> str:
    """Return a revision with its title and file, for a list."""
    script = directory.get_revision(revision)
    return f"{revision}  {script.doc}  ({Path(script.path).name})"


def own_revisions(directory: ScriptDirectory, head: str, others: Sequence[str] | None = None) -> list[Script]:
    """Return the revisions that lead to this head only, the newest first."""
    others = [other for other in directory.get_heads() if other != head] if others is None else others
    shared = {script.revision for other in others for script in directory.iterate_revisions(other, "base")}
    return [script for script in directory.iterate_revisions(head, "base") if script.revision not in shared]
