"""Where in a revision file something was called, or went wrong."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from handrail.errors import EditedRevisionError

LOADING = "<module>"  # what Python calls the code of a file itself


class Place(NamedTuple):
    """A line of a revision file.

    Attributes:
        path: The file, absolute.
        line: Counted from 1.
        loading: It is run when the file is imported, not when its `upgrade()` or `downgrade()` is called.
    """

    path: Path
    line: int
    loading: bool = False

    def shown(self, root: Path) -> str:
        """Return `alembic/versions/2026_shop.py:12`, relative to the project's folder where it lies in there."""
        return f"{self.path.relative_to(root) if self.path.is_relative_to(root) else self.path}:{self.line}"


def place_of_call(folders: Sequence[Path]) -> Place | None:
    """Return the innermost line in one of the folders that is being executed; None when there is none."""
    return _first(_calls(), folders)


def place_of_error(error: BaseException, folders: Sequence[Path]) -> Place | None:
    """Return the innermost line in one of the folders through which an error came; None when there is none."""
    frames = [(frame.filename, frame.lineno or 0, frame.name) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:  # of a file that was not even begun
        frames.append((error.filename, error.lineno or 0, LOADING))
    return _first(reversed(frames), folders)


def _calls() -> Iterator[tuple[str, int, str]]:
    frame = sys._getframe(1)  # noqa: SLF001 - inspect.stack() would read the source of every frame
    while frame is not None:
        yield frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name
        if frame.f_back is None:
            return
        frame = frame.f_back


def _first(frames: Iterable[tuple[str, int, str]], folders: Sequence[Path]) -> Place | None:
    for filename, line, function in frames:
        path = _resolved(filename)
        if any(path.is_relative_to(folder) for folder in folders):
            return Place(path, line, function == LOADING)
    return None


@lru_cache(maxsize=1024)
def _resolved(filename: str) -> Path:
    return Path(filename).resolve()


def gap(error: BaseException) -> EditedRevisionError | None:
    """Return what there is to say when a revision has no file that another one follows: Alembic raises a KeyError."""
    frames = traceback.extract_tb(error.__traceback__)
    if not isinstance(error, KeyError) or not frames[-1].filename.endswith(str(Path("alembic/script/revision.py"))):
        return None
    return EditedRevisionError(
        f"nothing was changed: the revision files have a gap. One of them follows {error.args[0]}, of which there is "
        "no file. If it was deleted, bring it back: git log --diff-filter=D --name-only  tells the commit and the "
        "file, and  git checkout <commit>^ -- <file>  restores it. If it is on another branch, merge that."
    )
