"""A revision's statements: its function is run on a connection that only writes down."""

from __future__ import annotations

import io
import linecache
import logging
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType, ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from alembic import context as alembic_context
from alembic.operations import Operations
from alembic.runtime.environment import EnvironmentContext

from handrail.statements.connection import recording_engine
from handrail.statements.missing import stand_ins
from handrail.statements.recorder import EndlessError, Known, Recorder
from handrail.statements.source import TROUBLE, read_source
from handrail.statements.statement import Statement

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from sqlalchemy import Dialect

NEEDED = {"alembic", "sqlalchemy", *sys.stdlib_module_names}
# Packages that could not be imported, by the folder of the revisions: it would be tried anew for each of them.
BROKEN: dict[Path, set[str]] = {}
SECONDS = 10  # of one revision; a usual one takes some milliseconds


@dataclass(frozen=True)
class Trouble:
    """Something in a revision that could not be run without a database, so that what it does is not known.

    Attributes:
        line: Of the revision file.
        what: The error, in one line.
    """

    line: int
    what: str

    @property
    def endless(self) -> bool:
        """Whether it was stopped, which on another day it might not have been."""
        return self.what.startswith(EndlessError.__name__)


@dataclass(frozen=True)
class Rendered:
    """What a revision would send.

    Attributes:
        statements: In their order; at the end those to which only some answers of the database lead.
        troubles: What could not be run.
    """

    statements: list[Statement] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)


def render(
    path: Path,
    config: Config,
    directory: ScriptDirectory,
    known: Callable[[], Known],
    function: str = "upgrade",
    *,
    thoroughly: bool = True,
) -> Rendered:
    """Return what a revision would send to a database.

    It is run twice: once on a database that answers every question with nothing, and once on one that always has a row
    and everything that the revision names, so that both ways of its conditions are seen. Whatever else its code does,
    it does here too, as with `alembic upgrade --sql`.

    Args:
        path: The revision's file.
        config: Alembic's configuration, which revisions may read.
        directory: The revisions; they are not imported through it.
        known: Makes what is known of the database, anew for each run.
        function: `upgrade` or `downgrade`.
        thoroughly: Whether both ways are wanted; otherwise only what is sent to a database without rows.
    """
    try:
        source = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        return Rendered(troubles=[Trouble(1, f"the file is not UTF-8: {error.reason}")])
    first = _run(path, source, config, directory, known(), function, yields=False)
    if not thoroughly or not asks(source):
        return first
    second = _run(path, source, config, directory, known(), function, yields=True)
    # Where the database's silence was an error, its answer may not be.
    if len(second.troubles) < len(first.troubles):
        first, second = second, first
    seen = {(statement.line, statement.sql) for statement in first.statements}
    more = [
        replace(statement, certain=False)
        for statement in second.statements
        if (statement.line, statement.sql) not in seen
    ]
    return Rendered([*first.statements, *more], first.troubles)


def asks(source: str) -> bool:
    """Whether a revision may ask the database something, on which then depends what it does."""
    return any(word in source for word in ("bind", "inspect", "context", "connection", "Session", "autoload"))


def _run(
    path: Path, source: str, config: Config, directory: ScriptDirectory, known: Known, function: str, *, yields: bool
) -> Rendered:
    troubles: list[Trouble] = []
    refused = False
    try:
        read = read_source(source, path, function)
    except SyntaxError as error:
        return Rendered(troubles=[Trouble(error.lineno or 1, f"SyntaxError: {error.msg}")])

    def trouble(error: Exception) -> None:
        nonlocal refused
        # What a revision refuses itself depends on what is in the database; what it lacks, on what failed before.
        if _is_refusal(error, path):
            refused = True
        elif not ((troubles or refused) and isinstance(error, UnboundLocalError)):
            troubles.append(Trouble(_line_of(error, path), _in_one_line(error)))

    def called(name: str) -> None:
        line = _running_line(path)
        if read.calls.get(line) == name.rpartition(".")[2]:
            troubles.append(Trouble(line, f"{name}() is of a package that is not installed here"))

    recorder = Recorder(known, read.texts, lambda: _running_line(path), yields=yields)
    if ".orm" in source:
        import sqlalchemy.orm  # noqa: F401 - as the project's models do; revisions say `sa.orm`
    packages = read.packages - NEEDED
    broken = BROKEN.setdefault(path.parent, set())
    with _quiet(), _environment(config, directory, recorder) as operations_context, _limited():
        for replaced in (packages & broken, packages):
            module = _module(path, trouble)
            with stand_ins([path.parent, path.parent.resolve()], replaced, truth=yields, called=called):
                try:
                    exec(read.code, module.__dict__)  # noqa: S102 - a revision is code, and is here to be run
                except Exception as error:  # noqa: BLE001 - as settings that are read when the application is imported
                    if replaced == packages:
                        trouble(error)
                        break
                    broken |= packages
                    continue
                _sleepless(module)
                try:
                    with Operations.context(operations_context), operations_context.begin_transaction(True):
                        asynchronous = operations_context.dialect if "run_async" in source else None
                        _call(getattr(module, function, _nothing), asynchronous)
                except Exception as error:  # noqa: BLE001 - whatever the revision's own code raises
                    trouble(error)
                break
    return Rendered(recorder.sent, list(dict.fromkeys(troubles)))


def _nothing() -> None:
    """What a revision does that has no such function."""


def _call(function: Callable[[], Any], asynchronous: Dialect | None) -> None:
    """Call a revision's function; where it uses `op.run_async`, as an asynchronous engine would."""
    if asynchronous is None:
        function()
        return
    from sqlalchemy.util import greenlet_spawn

    asynchronous.is_async = True
    coroutine = greenlet_spawn(function)
    # There is nothing that it could wait for.
    with suppress(StopIteration):
        while True:
            coroutine.send(None)


def _is_refusal(error: BaseException, path: Path) -> bool:
    """Whether a revision has raised an error itself."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or trace.tb_frame.f_code.co_filename != str(path):
        return False
    line = linecache.getline(str(path), trace.tb_lineno).strip()
    return line.startswith("raise ") or line == "raise"


def _sleepless(module: ModuleType) -> None:
    """Let a revision that pauses between its batches go on at once."""
    if getattr(module, "sleep", None) is time.sleep:
        module.sleep = _nothing_for  # type: ignore[attr-defined]
    if getattr(module, "time", None) is time:
        module.time = SimpleNamespace(**vars(time) | {"sleep": _nothing_for})  # type: ignore[attr-defined]


def _nothing_for(_seconds: float) -> None:
    """Nothing runs meanwhile that one could wait for."""


@contextmanager
def _limited() -> Iterator[None]:
    """End what does not end by itself; only where the system has an alarm, and in the main thread, which gets it."""

    def ring(*_: object) -> None:
        raise EndlessError(f"it has not come to an end in {SECONDS} seconds")

    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGALRM, ring)
    before = signal.setitimer(signal.ITIMER_REAL, SECONDS, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)
        signal.signal(signal.SIGALRM, handler)


def _module(path: Path, trouble: Callable[[Exception], None]) -> ModuleType:
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    setattr(module, TROUBLE, trouble)
    return module


@contextmanager
def _environment(config: Config, directory: ScriptDirectory, recorder: Recorder) -> Iterator[Any]:
    """Give a revision what it finds around it in an upgrade, and put back what was there before."""
    outer = getattr(alembic_context, "_proxy", None)
    with recording_engine(recorder).connect() as connection:
        try:
            with EnvironmentContext(config, directory, destination_rev=None) as environment:
                environment.configure(connection=connection, transaction_per_migration=True)
                yield environment.get_context()
        finally:
            if outer is not None:
                outer._install_proxy()  # noqa: SLF001 - Alembic's contexts are not made for being inside each other


@contextmanager
def _quiet() -> Iterator[None]:
    """Let nothing be printed that a revision prints or warns of while it is only read."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _running_line(path: Path) -> int:
    """Return the line of the revision file that is being executed."""
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - that is what it is for
    name = str(path)
    # What an asynchronous function waits for has a stack of its own.
    waiting: Any = sys.modules["greenlet"].getcurrent() if "greenlet" in sys.modules else None
    while frame is not None:
        if frame.f_code.co_filename == name:
            return frame.f_lineno
        frame = frame.f_back
        while frame is None and waiting is not None and waiting.parent is not None:
            waiting = waiting.parent
            frame = waiting.gr_frame
    return 1


def _line_of(error: BaseException, path: Path) -> int:
    line = 1
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _in_one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__
