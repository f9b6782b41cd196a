"""A forked command is like one that was started: what it says, how it ends, where it runs, and what it sees."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import forking
from small_project import SmallProject

ENDINGS = {
    "well": "print('said')",
    "with a code": "raise SystemExit(7)",
    "with words": "raise SystemExit('these')",
    "with a fault": "raise ValueError('bad')",
    "by a signal": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "with last deeds": "import atexit, threading; atexit.register(print, 'last')\n"
    "threading.Thread(target=lambda: print('thread')).start()",
    "after looking around": "import os, sys; print(os.getcwd(), sys.path, sys.argv, sorted(os.environ.items()))",
    "after looking for modules": "import sys; print(sorted(n for n in sys.modules if n.startswith('shop')))",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_it_says_and_ends_as_if_started(
    new_project: Callable[..., SmallProject], monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    project = new_project()
    project.write("alembic/env.py", ENDINGS[ending])

    forked = project.alembic("current", VARIABLE="value")
    monkeypatch.setattr(forking, "POSSIBLE", False)
    started = project.alembic("current", VARIABLE="value")

    # Of a traceback only the end: it begins with whoever started the command.
    assert forked.stderr.splitlines()[-1:] == started.stderr.splitlines()[-1:]
    assert (forked.args, forked.returncode, forked.stdout) == (started.args, started.returncode, started.stdout)


@pytest.mark.parametrize("arguments", [["--version"], ["nonsense"], ["explain", "set-not-null"]])
def test_scripts_too(
    new_project: Callable[..., SmallProject], monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    project = new_project()

    forked = project.handrail(*arguments)
    monkeypatch.setattr(forking, "POSSIBLE", False)
    started = project.handrail(*arguments)

    assert vars(forked) == vars(started)
