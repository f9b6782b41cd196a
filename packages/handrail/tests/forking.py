"""Commands of this Python that begin with their imports done, each in a process of its own.

Importing SQLAlchemy and Alembic is most of what a short command costs, and the tests run more than a thousand of them.
So one process imports them once and is forked for each command, which has its own modules, variables, folder, output
and exit code, as if it had been started. Imported beforehand is what others wrote, and of handrail only what Alembic's
env.py begins with; all else, and all of the project's modules, is imported by the command itself.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any, Protocol

# What `alembic revision --autogenerate` imports of others, with either driver, also in the starter.
IMPORTED = (
    "aiosmtplib",
    "alembic.autogenerate.api",
    "alembic.command",
    "alembic.config",
    "alembic.ddl.postgresql",
    "asyncpg",
    "click",
    "dotenv",
    "email_validator",
    "fastapi",
    "importlib.metadata",
    "logging.config",
    "mako.lookup",
    "mako.template",
    "postgast",
    "psycopg",
    "pwdlib.hashers.argon2",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.ext.asyncio",
    "sqlalchemy.orm",
    "structlog",
    "tomllib",
    "uuid_utils",
    "uvicorn",
    "zxcvbn",
    "handrail.env",
)
FORKED = ("alembic", "handrail")  # not pytest: it must see to it that nothing is imported before it begins
POSSIBLE = sys.platform == "linux"  # elsewhere a process is no file to wait for, or must not be forked
REQUEST_BYTES = 200_000
READ_AT_START = ("PYTHON", "LC_", "LANG")  # beginnings of variables that Python looks at before any code of ours
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


class Process(Protocol):
    """What `subprocess.Popen` and a forked command have in common."""

    pid: int
    returncode: int | None

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...


@dataclass(frozen=True)
class Command:
    """A command that was started. What it says is kept in files, so that nobody has to read it meanwhile."""

    args: Sequence[str]
    process: Process
    out: IO[str]
    err: IO[str]

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def returncode(self) -> int | None:
        return self.process.returncode

    def poll(self) -> int | None:
        return self.process.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Raises TimeoutExpired when it did not end within so many seconds."""
        return self.process.wait(timeout)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end, and return what it said."""
        self.wait(timeout)
        with self.out, self.err:
            self.out.seek(0)
            self.err.seek(0)
            return self.out.read(), self.err.read()

    def said(self) -> str:
        """Return what it has said on standard error so far."""
        size = os.fstat(self.err.fileno()).st_size
        return os.pread(self.err.fileno(), size, 0).decode()

    def send_signal(self, sig: int) -> None:
        self.process.send_signal(sig)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)


def run(
    command: Sequence[str], *, script: bool = False, cwd: Path, environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run a module, as `python -m` does, or a console script of this Python, and return what it said.

    Raises:
        TimeoutExpired: It did not end within so many seconds, and was killed.
    """
    started = start(command, script=script, cwd=cwd, environment=environment)
    try:
        out, err = started.communicate(timeout)
    except BaseException:
        started.kill()
        started.communicate()
        raise
    return subprocess.CompletedProcess(started.args, started.wait(), out, err)


def start(command: Sequence[str], *, script: bool = False, cwd: Path, environment: Mapping[str, str]) -> Command:
    """Do the same, and go on at once."""
    name, *arguments = command
    argv = [str(Path(sys.executable).with_name(name))] if script else [sys.executable, "-m", name]
    out, err = (tempfile.TemporaryFile("w+", encoding="utf-8") for _ in range(2))  # noqa: SIM115 - `communicate` does
    process: Process
    if not POSSIBLE or name not in FORKED or _read_at_start(environment) != _read_at_start(ENVIRONMENT):
        process = subprocess.Popen([*argv, *arguments], cwd=cwd, env=environment, stdout=out, stderr=err)
    else:
        request = {"script": argv[0] if script else "", "argv": [name, *arguments], "cwd": str(cwd)}
        descriptors = out.fileno(), err.fileno()
        process = _Prepared.process().start(request | {"environment": dict(environment)}, descriptors)
    return Command([*argv, *arguments], process, out, err)


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(READ_AT_START)}


class _Prepared:
    """The process that is forked, seen from the tests; it ends with ours."""

    def __init__(self) -> None:
        self.ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.started = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                cwd="/",
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    @classmethod
    @cache
    def process(cls) -> _Prepared:
        """Return the one of this process, started by whoever asks first."""
        return cls()

    def start(self, request: dict[str, Any], output: tuple[int, int]) -> _Forked:
        """Have a command run, and return its process."""
        answer, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(self.ours, [json.dumps(request).encode()], [*output, theirs.fileno()])
        return _Forked(int(answer.recv(REQUEST_BYTES)), answer)


class _Forked:
    """The process of a command. It is no child of ours: `answer` says how it has ended."""

    def __init__(self, pid: int, answer: socket.socket) -> None:
        self.pid = pid
        self.answer = answer
        self.returncode: int | None = None

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code, or the negative number of the signal that ended it."""
        if self.returncode is None:
            self.answer.settimeout(timeout)
            try:
                self.returncode = int(self.answer.recv(REQUEST_BYTES))
            except (TimeoutError, BlockingIOError) as error:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0) from error
            self.answer.close()
        return self.returncode

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)


def wait_for_requests(channel: socket.socket) -> dict[str, Any]:
    """Fork for each request; return it in the new process, with its output in place, and never in this one."""
    selector = selectors.DefaultSelector()
    selector.register(channel, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is not channel:
                pid, answer = key.data
                selector.unregister(key.fileobj)
                os.close(key.fd)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with answer, suppress(OSError):  # whoever asked may have given up
                    answer.send(str(code).encode())
                continue
            message, descriptors, _, _ = socket.recv_fds(channel, REQUEST_BYTES, 3)
            if not message:
                os._exit(0)  # the tests are over
            pid = os.fork()
            if pid == 0:
                os.dup2(descriptors[0], 1)
                os.dup2(descriptors[1], 2)
                selector.close()
                os.closerange(3, max(descriptors) + 100)
                request: dict[str, Any] = json.loads(message)
                return request
            os.close(descriptors[0])
            os.close(descriptors[1])
            answer = socket.socket(fileno=descriptors[2])
            answer.send(str(pid).encode())
            selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, answer))


def begin(request: dict[str, Any], path: list[str]) -> None:
    """Make this process look as if it had been started for the request."""
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["cwd"])
    first = str(Path(request["script"]).parent) if request["script"] else request["cwd"]
    sys.path[:] = [first, *path]
    sys.argv[:] = [request["script"] or request["argv"][0], *request["argv"][1:]]
    importlib.invalidate_caches()
    if request["argv"][0] != "alembic":
        # The command decides by itself what it imports of handrail, and when.
        for name in [name for name in sys.modules if name.partition(".")[0] == "handrail"]:
            del sys.modules[name]


def run_to_the_end(request: dict[str, Any]) -> None:
    """Run what was asked for and end the process, as Python would, but for taking apart all that is imported.

    That takes longer than most commands.
    """
    code: object = 0
    try:
        if request["script"]:
            runpy.run_path(request["script"], run_name="__main__")
        else:
            runpy.run_module(request["argv"][0], run_name="__main__", alter_sys=True)
    except SystemExit as error:
        code = error.code
    except BaseException:  # noqa: BLE001 - whatever it is, Python ends with its traceback
        sys.excepthook(*sys.exc_info())
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    gc.collect()  # what is left open says so now
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


def prepare() -> None:
    for name in IMPORTED:
        importlib.import_module(name)
    # What is here will never be garbage; without this, looking for some would copy all of it.
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    prepare()
    asked = wait_for_requests(socket.socket(fileno=int(sys.argv[1])))
    begin(asked, sys.path[1:])
    run_to_the_end(asked)
