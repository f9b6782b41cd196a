"""A small project, written to disk and run with the real `alembic` command."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import cache_from_source
from pathlib import Path
from textwrap import dedent

import forking

REPOSITORY = Path(__file__).resolve().parents[3]
SECONDS = 100  # after which a command is ended

BASE = """\
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    metadata = MetaData(
        schema={schema!r},
        naming_convention={{
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }},
    )
"""

ORDERS = """\
from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from shop.base import Base


class Customer(Base):
    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(server_default="it's 50%", unique=True)


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id), index=True)
"""


@dataclass
class SmallProject:
    """A project of a few files, and the `alembic` command run in it as a person would."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    def use(self, url: str) -> SmallProject:
        """Let the commands use this database, and its driver also for the history of the revisions."""
        scratch = self.environment["HANDRAIL_SCRATCH_URL"].partition("://")[2]
        self.environment |= {"DATABASE_URL": url, "HANDRAIL_SCRATCH_URL": f"{url.partition('://')[0]}://{scratch}"}
        return self

    def write(self, path: str, text: str) -> Path:
        """Write one file of the project."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), encoding="utf-8")
        # Python takes a compiled file for the current one when its source has the same size and second.
        Path(cache_from_source(str(file))).unlink(missing_ok=True)
        return file

    def run(self, *command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a Python module's command line and return what it said."""
        return forking.run(command, cwd=cwd, environment=self.variables(**environment), timeout=SECONDS)

    def alembic(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `alembic …` and return what it said, however it ended."""
        return self.run("alembic", *arguments, cwd=self.root, **environment)

    def handrail(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `handrail …` and return what it said, however it ended."""
        command, variables = ("handrail", *arguments), self.variables(**environment)
        return forking.run(command, script=True, cwd=self.root, environment=variables, timeout=SECONDS)

    def start(self, command: str, *arguments: str, **environment: str) -> forking.Command:
        """Start `alembic …` or `handrail …` and go on."""
        variables, script = self.variables(**environment), command == "handrail"
        return forking.start([command, *arguments], script=script, cwd=self.root, environment=variables)

    def variables(self, **environment: str) -> dict[str, str]:
        """Return the environment of the project's commands."""
        return self.base_environment() | self.environment | environment

    @contextmanager
    def handrail_running(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Start `handrail …` and yield it while it runs; its standard output can be read line by line."""
        command = [str(Path(sys.executable).with_name("handrail")), *arguments]
        pipe, variables = subprocess.PIPE, self.variables()
        with subprocess.Popen(command, cwd=self.root, env=variables, stdout=pipe, text=True) as process:
            try:
                yield process
            finally:
                process.kill()  # nothing happens when it has ended

    def git(self, *arguments: str) -> str:
        """Run git in the project, which must succeed, and return its standard output."""
        identity = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com", "-c", "commit.gpgsign=false"]
        command = ["git", *identity, *arguments]
        return subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=True, timeout=60).stdout

    def succeeds(self, *arguments: str, **environment: str) -> str:
        """Run `alembic …`, which must succeed, and return its standard output."""
        done = self.alembic(*arguments, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def refuses(self, *arguments: str, **environment: str) -> str:
        """Run `alembic …`, which must fail without a traceback, and return its message."""
        done = self.alembic(*arguments, **environment)
        # Alembic's own refusals end with 255, ours with the number of their kind; 2 is a wrong command line.
        assert done.returncode not in (0, 2), done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        return " ".join(done.stdout.split())

    def revisions(self) -> list[str]:
        """Return the texts of all revision files, the newest last."""
        files = sorted(self.root.glob("alembic/versions/*.py"), key=lambda file: file.stat().st_mtime_ns)
        return [file.read_text(encoding="utf-8") for file in files]

    @staticmethod
    def base_environment() -> dict[str, str]:
        """Return this process's environment without what would tell a command which database to use."""
        unwanted = {"DATABASE_URL", "ENVIRONMENT", "ALEMBIC_CONFIG", "HANDRAIL_SCRATCH_URL", "PYTHONDONTWRITEBYTECODE"}
        return {key: value for key, value in os.environ.items() if key not in unwanted}


def write_project(root: Path, scratch_url: str, schema: str | None = "shop") -> SmallProject:
    """Write a project without revisions, whose tables live in the given schema."""
    project = SmallProject(root)
    project.environment["HANDRAIL_SCRATCH_URL"] = scratch_url
    project.write("pyproject.toml", '[tool.handrail]\nmetadata = "shop.base:Base"\n')
    project.write("shop/__init__.py", "")
    project.write("shop/base.py", BASE.format(schema=schema))
    for name in ("alembic.ini", "alembic/env.py", "alembic/script.py.mako"):
        project.write(name, (REPOSITORY / name).read_text(encoding="utf-8"))
    # Without a Python that starts it, ruff formats a new revision in a quarter of the time.
    ruff = rf"\1.type = exec\n\1.executable = {Path(sys.executable).with_name('ruff')}"
    ini = (root / "alembic.ini").read_text(encoding="utf-8")
    project.write("alembic.ini", re.sub(r"(\w+)\.type = module\n\1\.module = ruff", ruff, ini))
    (root / "alembic/versions").mkdir()
    return project
