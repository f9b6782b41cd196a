"""Which revisions others may have already: asked from git, without the network."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Collection
from pathlib import Path

from handrail.errors import HeadsError

# The branches that others start from. A branch of one's own may be pushed and still be rewritten.
SHARED = re.compile(r"[^/]+/(main|master|trunk|develop|HEAD)")
LOCAL = ("main", "master")
PATIENCE_SECONDS = 10


def published_in(root: Path, revision: str) -> str | None:
    """Return the shared branch that has this revision; None when none has, or nobody knows."""
    pattern = rf"^revision[^=]*=[[:space:]]*[\"']{re.escape(revision)}[\"']"
    for branch in shared_branches(root):
        if _git(root, "grep", "-qE", pattern, branch, "--", "*.py") is not None:
            return branch
    return None


def shared_branches(root: Path) -> Collection[str]:
    """Return the main branches of the remotes; without any remote the local one, unless it is the one we are on."""
    remotes = (_git(root, "for-each-ref", "--format=%(refname:short)", "refs/remotes") or "").split()
    if remotes:
        return [name for name in remotes if SHARED.fullmatch(name)]
    current = (_git(root, "branch", "--show-current") or "").strip()
    known = (_git(root, "for-each-ref", "--format=%(refname:short)", "refs/heads") or "").split()
    return [name for name in LOCAL if name in known and name != current]


def changed_since(root: Path, reference: str) -> set[Path]:
    """Return the files that were added or changed since a commit or branch, committed or not.

    Raises:
        HeadsError: git does not know it, or this is no working copy.
    """
    known = _git(root, "diff", "--name-only", "--diff-filter=d", "-z", "--merge-base", reference, "--")
    if known is None:
        raise HeadsError(
            f"git knows no {reference!r} here, or this is no working copy. What there is: git branch --all"
        )
    top = Path((_git(root, "rev-parse", "--show-toplevel") or str(root)).strip())
    fresh = _git(top, "ls-files", "--others", "--exclude-standard", "-z") or ""
    return {(top / name).resolve() for name in (known + fresh).split("\0") if name}


def _git(root: Path, *arguments: str) -> str | None:
    """Return what git says; None when it fails, is not installed, or this is no working copy."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
