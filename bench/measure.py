"""Measure whole processes: the CPU time that they and their children used, and the time that passed. POSIX only."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

# The caller's shell must not decide what is measured: which database, which modules, compiled or not.
LEFT_OUT = (
    *("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONPROFILEIMPORTTIME", "COVERAGE_PROCESS_START", "ALEMBIC_CONFIG"),
    *("DATABASE_URL", "ENVIRONMENT", "HANDRAIL_SCRATCH_URL"),
)
POLL_SECONDS = 0.005
STOP_SECONDS = 30  # time to finish that a server gets after SIGINT


class BenchError(Exception):
    """Nothing can be measured; the message is for the person at the terminal."""


@dataclass(frozen=True)
class Cost:
    """What one process took, in seconds.

    Attributes:
        cpu: User and system time of the process and of all descendants that were waited for.
        wall: From before its start to its end, or to the moment that was measured.
    """

    cpu: float
    wall: float


@dataclass(frozen=True)
class Command:
    """A command line with its working directory, and the variables that it gets beside the caller's."""

    argv: Sequence[str]
    folder: Path
    variables: Mapping[str, str]

    def start(self, output: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start it away from the terminal, so that Ctrl-C reaches only us, who then stop it."""
        environment = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
        return subprocess.Popen(
            self.argv,
            cwd=self.folder,
            env=environment | dict(self.variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def run(command: Command, codes: Sequence[int] = (0,)) -> tuple[Cost, str]:
    """Run a command to its end; return its cost and what it printed on both streams.

    Raises:
        BenchError: Its exit code is none of these.
    """
    with TemporaryFile() as output:
        began = time.perf_counter()
        process = command.start(output)
        with ending(process):
            cpu = _wait(process)
        wall = time.perf_counter() - began
        printed = _text(output)
    if process.returncode not in codes:
        raise BenchError(f"{' '.join(command.argv)} ended with {process.returncode}:\n{printed}")
    return Cost(cpu, wall), printed


def run_until(command: Command, arrived: Callable[[], bool], timeout_seconds: float) -> Cost:
    """Start a command, wait until `arrived()`, stop it with Ctrl-C's signal and wait for its end.

    `wall` ends at `arrived`, asked every 5 ms; `cpu` covers everything up to the end, stopping included.

    Raises:
        BenchError: It ended by itself, or did not arrive in time.
    """
    with TemporaryFile() as output:
        began = time.perf_counter()
        process = command.start(output)
        with ending(process):
            while not arrived():
                if time.perf_counter() - began > timeout_seconds or _poll(process) is not None:
                    raise BenchError(f"{' '.join(command.argv)} did not answer:\n{_text(output)}")
                time.sleep(POLL_SECONDS)
            wall = time.perf_counter() - began
            process.send_signal(signal.SIGINT)
            return Cost(_wait(process, STOP_SECONDS), wall)


@contextmanager
def ending(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Leave no process behind, whatever happens: ask it to end, and kill it when it does not."""
    try:
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            with suppress(BenchError):
                _wait(process, STOP_SECONDS)
        if process.returncode is None:
            process.kill()
            _wait(process)
            print(f"killed process {process.pid}: look for what it left behind", file=sys.stderr)


def _wait(process: subprocess.Popen[bytes], timeout_seconds: float | None = None) -> float:
    """Wait for the end of a process and return its CPU seconds."""
    if timeout_seconds is None:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return usage.ru_utime + usage.ru_stime
    deadline = time.perf_counter() + timeout_seconds
    while time.perf_counter() < deadline:
        cpu = _poll(process)
        if cpu is not None:
            return cpu
        time.sleep(POLL_SECONDS)
    raise BenchError(f"process {process.pid} did not end within {timeout_seconds:.0f} seconds")


def _poll(process: subprocess.Popen[bytes]) -> float | None:
    """Return the CPU seconds of a process that has ended, else None."""
    pid, status, usage = os.wait4(process.pid, os.WNOHANG)
    if not pid:
        return None
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def _text(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read().decode(errors="replace")
