"""How long a warm `handrail dev` takes to its first answer, next to importing the application and to plain uvicorn."""

import http.client
import shutil
import socket
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.measure import Command, Cost, run, run_until
from bench.projects import ROOT

ROUNDS = 7
QUICK_ROUNDS = 5
HANDRAIL = str(Path(sysconfig.get_path("scripts"), "handrail"))
HOST = "127.0.0.1"
ANSWER_SECONDS = 120  # the first start of all makes the database's data directory
# Above all `.env` and `.postgres`: what is measured must not touch the database that the developer works with.
NOT_COPIED = (".*", "__pycache__", "packages", "tests", "bench", "docs", "dist", "build")


@dataclass(frozen=True)
class Start:
    """One way to start, measured several times; `wall` ends at the first 200, or at the end of what serves nothing."""

    name: str
    costs: list[Cost]


def measure_starts(rounds: int) -> list[Start]:
    """Measure each way to start, in a copy of this project with a PostgreSQL of its own.

    Raises:
        BenchError: One of the commands failed or did not answer.
    """
    with project_copy() as folder:
        print("start: warm-up", file=sys.stderr)
        until_first_answer(handrail_dev(folder))
        ways: dict[str, Callable[[], Cost]] = {
            'python -c "import app.main"': partial(import_alone, folder),
            "uvicorn app.main:app": partial(plain_uvicorn, folder),
            "handrail dev, PostgreSQL running": partial(dev_with_database, folder),
            "handrail dev, PostgreSQL stopped": partial(dev_without_database, folder),
        }
        starts = [Start(name, []) for name in ways]
        for number in range(rounds + 1):
            print(f"start: {f'round {number} of {rounds}' if number else 'warm-up'}", file=sys.stderr)
            for start in starts:
                cost = ways[start.name]()
                if number:
                    start.costs.append(cost)
    return starts


@contextmanager
def project_copy() -> Iterator[Path]:
    """Yield a copy of this project's root; its PostgreSQL is stopped and all is removed at the end."""
    with TemporaryDirectory(prefix="bench-") as parent:
        folder = Path(parent, "project")
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*NOT_COPIED))
        try:
            yield folder
        finally:
            run(handrail(folder, "db", "stop"))


def import_alone(folder: Path) -> Cost:
    command = [sys.executable, "-c", "import app.main"]
    return run(Command(command, folder, {"DATABASE_URL": database_url(folder)}))[0]


def plain_uvicorn(folder: Path) -> Cost:
    variables = {"DATABASE_URL": database_url(folder)}
    command = [sys.executable, "-m", "uvicorn", "app.main:app", "--host", HOST]
    return until_first_answer(Command(command, folder, variables))


def dev_with_database(folder: Path) -> Cost:
    run(handrail(folder, "db", "start"))
    return until_first_answer(handrail_dev(folder))


def dev_without_database(folder: Path) -> Cost:
    run(handrail(folder, "db", "stop"))
    return until_first_answer(handrail_dev(folder))


def handrail_dev(folder: Path) -> Command:
    return handrail(folder, "dev", "--host", HOST)


def handrail(folder: Path, *arguments: str) -> Command:
    return Command([HANDRAIL, *arguments], folder, {})


def database_url(folder: Path) -> str:
    """Return the URL of the copy's own database, whose server runs after this."""
    return run(handrail(folder, "db", "url"))[1].splitlines()[-1]


def until_first_answer(command: Command) -> Cost:
    """Measure a command that serves, up to its first 200 on a free port."""
    port = free_port()
    serving = Command([*command.argv, "--port", str(port)], command.folder, command.variables)
    return run_until(serving, partial(answers, port), ANSWER_SECONDS)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])


def answers(port: int, path: str = "/health/live") -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
