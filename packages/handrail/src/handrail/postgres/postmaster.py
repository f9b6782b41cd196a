"""The server process: what postmaster.pid says about it, and whether the process of that number is really ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("postgres", "postmaster")
ANSWER_SECONDS = 10
HAS_PROC = Path("/proc/self/cmdline").exists()


@dataclass(frozen=True)
class PidFile:
    """What a server wrote about itself into its data directory; true only as long as that process lives.

    Attributes:
        port: 0 as long as the server has not said it.
        socket_directory: Empty as long as the server has not said it, and for a server without sockets.
        status: `ready` when it accepts connections; `starting`, `stopping` or empty otherwise.
    """

    pid: int
    port: int = 0
    socket_directory: str = ""
    status: str = ""


def read_pid_file(data: Path) -> PidFile | None:
    """Return the content of postmaster.pid; None when there is none, or it names no process."""
    try:
        text = (data / "postmaster.pid").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    # Pid, data directory, start time, port, socket directory, listen address, shared memory, status: one a line, and
    # written one after the other.
    lines = [line.strip() for line in text.splitlines()] + [""] * 8
    if not lines[0].isdecimal():
        return None
    port = int(lines[3]) if lines[3].isdecimal() else 0
    return PidFile(pid=int(lines[0]), port=port, socket_directory=lines[4], status=lines[7])


def is_postmaster_of(pid: int, data: Path) -> bool:
    """Return whether process `pid` is a living server of exactly this data directory.

    Never true for a process that only got a pid which was the server's, whatever that process is: another program, a
    shell standing in the directory, or the server of another cluster. A zombie is not alive.
    """
    reap(pid)
    if HAS_PROC:
        return program_name(pid) in PROGRAMS and same_directory(Path(f"/proc/{pid}/cwd"), data)
    command = command_line(pid)
    return names_directory(command, data) or (is_server(command) and same_directory(working_directory(pid), data))


def listens_at(pid: int, socket_directory: Path) -> bool:
    """Return whether `pid` is a living server that was told to listen in this directory, wherever its data is now."""
    reap(pid)
    setting = f"unix_socket_directories={socket_directory}"
    if HAS_PROC:
        return program_name(pid) in PROGRAMS and setting in arguments(pid)
    command = command_line(pid)
    return is_server(command) and f" -c {setting} " in command


def send(pid: int, number: signal.Signals, is_ours: Callable[[int], bool]) -> bool:
    """Send a signal to a server; False, and nothing is sent, when `is_ours` does not recognise the process.

    On Linux the process is pinned before it is looked at, so that the number cannot pass to another one in between.
    """
    pinned = pin(pid)
    try:
        if not is_ours(pid):
            return False
        if pinned is not None and sys.platform == "linux":
            signal.pidfd_send_signal(pinned, number)
        else:
            os.kill(pid, number)
    except ProcessLookupError:
        return False
    finally:
        if pinned is not None:
            os.close(pinned)
    return True


def pin(pid: int) -> int | None:
    """Return a descriptor of the process; None where the system has none, or no such process."""
    if sys.platform == "linux":
        try:
            return os.pidfd_open(pid)
        except OSError:
            pass
    return None


def reap(pid: int, *, ending: bool = False) -> None:
    """Take the exit code of a server that was our own child, so that it does not stay as a zombie.

    With `ending` the process is known to be on its way out and is waited for. The exit codes of other children are
    left to those who wait for them.
    """
    if sys.platform == "win32" or (HAS_PROC and kernel_name(pid) not in PROGRAMS):
        return
    with suppress(ChildProcessError, OverflowError):
        os.waitpid(pid, 0 if ending else os.WNOHANG)


def kernel_name(pid: int) -> str:
    """Return the name that the kernel keeps of a process, unlike the command line even of a zombie."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def arguments(pid: int) -> list[str]:
    """Return the command line of a process from /proc; empty for a zombie and for no process."""
    try:
        return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).split("\0")
    except OSError:
        return []


def program_name(pid: int) -> str:
    """Return the name of the program that a process runs; a server's workers are called `postgres: …`."""
    return Path((arguments(pid) or [""])[0]).name


def same_directory(one: Path, other: Path) -> bool:
    try:
        return os.path.samestat(one.stat(), other.stat())
    except OSError:
        return False


def command_line(pid: int) -> str:
    """Return the command line as `ps` tells it where there is no /proc; empty for a zombie and for no process."""
    state, _, command = ask("ps", "-ww", "-o", "stat=,command=", "-p", str(pid)).strip().partition(" ")
    return "" if state.startswith("Z") else command.strip()


def working_directory(pid: int) -> Path:
    """Return where a process stands, which takes `lsof` long to find out where there is no /proc."""
    lines = ask("lsof", "-a", "-d", "cwd", "-Fn", "-p", str(pid)).splitlines()
    return Path(next((line[1:] for line in lines if line.startswith("n")), "/"))


def ask(*argv: str) -> str:
    """Return what a program of the system prints; nothing when it is missing or hangs."""
    try:
        answer = subprocess.run(
            argv, capture_output=True, text=True, errors="replace", timeout=ANSWER_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout


def is_server(command: str) -> bool:
    return Path(command.partition(" -D ")[0]).name in PROGRAMS


def names_directory(command: str, data: Path) -> bool:
    # The options of our own command line follow the directory, which may itself contain spaces.
    return is_server(command) and command.partition(" -D ")[2].startswith(f"{data} -c ")
