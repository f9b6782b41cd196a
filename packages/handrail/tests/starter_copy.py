"""A copy of the starter, and commands typed into it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import forking
from small_project import SmallProject

PASSWORD = "four words are easy"
SECONDS = 110  # after which a command is ended
STARTED_WITHIN = 60  # seconds; a machine that runs other tests meanwhile is slow


@dataclass
class Starter:
    """A copy of the starter in a folder of its own."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    def shell(self, command: str, *, seconds: float = SECONDS, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a line as a person would type it, with the virtual environment activated."""
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self.root,
            env=self.variables(**environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )

    def run(self, command: str, *, seconds: float = SECONDS, **environment: str) -> str:
        """Run a line that must succeed; return its standard output."""
        return succeeded(command, self.shell(command, seconds=seconds, **environment))

    def alembic(self, arguments: str, **environment: str) -> str:
        """Run `alembic …`, which must succeed, without a shell; return its standard output."""
        command = ["alembic", *shlex.split(arguments)]
        variables = self.variables(**environment)
        done = forking.run(command, script=True, cwd=self.root, environment=variables, timeout=SECONDS)
        return succeeded(" ".join(command), done)

    def make_admin(self) -> None:
        """Make the user that `Service.who_am_i` logs in as."""
        url = self.environment.get("DATABASE_URL") or self.run("handrail db url").splitlines()[-1]
        self.run(f"echo '{PASSWORD}' | python -m app.auth admin ada@example.com", DATABASE_URL=url)

    def edit(self, path: str, before: str, after: str) -> None:
        """Replace a text that occurs exactly once in a file."""
        file = self.root / path
        text = file.read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{before!r} occurs {text.count(before)} times in {path}"
        file.write_text(text.replace(before, after), encoding="utf-8")

    def newest_revision(self) -> tuple[str, str]:
        """Return the operations of the newest revision: those of `upgrade`, and those of `downgrade`."""
        newest = max(self.root.glob("alembic/versions/*.py"), key=lambda file: file.stat().st_mtime_ns)
        _, _, body = newest.read_text(encoding="utf-8").partition("def upgrade()")
        upgrade, _, downgrade = body.partition("def downgrade()")
        return upgrade, downgrade

    def variables(self, **environment: str) -> dict[str, str]:
        """Return the environment of a shell with the virtual environment activated and nothing else set."""
        base = SmallProject.base_environment() | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        return base | self.environment | environment

    @contextmanager
    def serving(self, command: str, **environment: str) -> Iterator[Service]:
        """Run a command that serves until Ctrl-C, wait until it answers, and press Ctrl-C at the end."""
        port = free_port()
        process = subprocess.Popen(
            [*command.split(), "--port", str(port)],
            cwd=self.root,
            env=self.variables(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        service = Service(process, f"http://127.0.0.1:{port}")
        try:
            service.wait()
            yield service
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            try:
                service.output = process.communicate(timeout=STARTED_WITHIN)[0]
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise


@dataclass
class Service:
    """A running service; `output` is there when it has ended."""

    process: subprocess.Popen[str]
    address: str
    output: str = ""

    def wait(self) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + STARTED_WITHIN
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode}: {self.process.communicate()[0]}")
            try:
                self.request("GET", "/health/live")
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError("does not answer")

    def log_in(self) -> str:
        """Return an access token of the administrator that `Starter.make_admin` has made."""
        body = {"email": "ada@example.com", "password": PASSWORD}
        status, tokens = self.request("POST", "/auth/login", body)
        assert status == 200, tokens
        token: str = tokens["access_token"]
        return token

    def who_am_i(self) -> Any:
        """Log in and return the user as the service knows it."""
        status, user = self.request("GET", "/users/me", token=self.log_in())
        assert status == 200, user
        return user

    def request(self, method: str, path: str, body: object = None, token: str = "") -> tuple[int, Any]:
        """Send a request; return status and decoded answer."""
        request = urllib.request.Request(
            self.address + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {}),
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read() or "null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or "null")


def succeeded(command: str, done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, f"$ {command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
