"""What the running Alembic command was told, on its command line and in alembic.ini."""

from __future__ import annotations

import math
import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic import context

from handrail.configuration import database_of
from handrail.connection import parse_url
from handrail.errors import ConfigurationError

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import URL

    from handrail.config import Project

WAIT_SECONDS = 60.0  # for another migration, and for sessions that block ours


def command_options() -> dict[str, Any]:
    """Return what the running command told Alembic.

    There is no public way to learn, before `configure`, whether the command compares models or changes the database.
    """
    proxy = context._proxy  # type: ignore[attr-defined]  # noqa: SLF001
    options: dict[str, Any] = proxy.context_opts
    return options


def command_name() -> str:
    """Return the running command's name; Alembic's `check` and `revision` differ in nothing else."""
    function = command_options().get("fn")
    return function.__qualname__.partition(".")[0] if function else ""


def with_patience(seconds: int = 600) -> str:
    """Return the command line of the running `upgrade`, `downgrade` or `stamp` with more time to wait for others."""
    options, told = context.config.cmd_opts, context.get_x_argument()
    arguments = [f"wait={seconds}", *(argument for argument in told if not argument.startswith("wait="))]
    purge = ["--purge"] if getattr(options, "purge", False) else []
    targets = getattr(options, "revisions", None) or [getattr(options, "revision", "head")]
    settings = [word for argument in arguments for word in ("-x", argument)]
    return shlex.join(["alembic", *settings, command_name(), *purge, *targets])


def changes_database() -> bool:
    """Whether the running command is `upgrade`, `downgrade` or `stamp`."""
    return "destination_rev" in command_options()


def compares_models() -> bool:
    """Whether the command is `check` or `revision --autogenerate`: only these import the models."""
    revision_context = command_options().get("revision_context")
    return revision_context is not None and bool(revision_context.command_args.get("autogenerate"))


def x_arguments(name: str) -> list[str]:
    """Return the values of `-x name=value`; there may be several."""
    arguments: Any = context.get_x_argument()
    return [value for key, _, value in (argument.partition("=") for argument in arguments) if key == name]


def wait_seconds(usual: float = WAIT_SECONDS) -> float:
    """Return how long to wait for others: what `-x wait=` says, or the usual time."""
    for value in x_arguments("wait"):
        with suppress(ValueError):
            seconds = float(value)
            if not math.isnan(seconds):
                return max(seconds, 0.0)
        raise ConfigurationError(f"-x wait={value} is no number of seconds; for instance: -x wait=600")
    return usual


def configured_url(project: Project, config: Config) -> URL:
    """Return the URL of `-x url=…`, else of alembic.ini, else of the environment, else of the development server."""
    arguments: dict[str, Any] = context.get_x_argument(as_dictionary=True)
    for name, value in arguments.items():
        if name == "url" and value:
            return parse_url(value)
        if name.lower() == "url":
            raise ConfigurationError(
                f"-x {name}={value or ''} names no database; it must be -x url=postgresql://user:password@host/name. "
                "(If a variable of the shell was meant there, it is empty.)"
            )
    return database_of(project, config)


def configuration_folder(config: Config) -> Path:
    """Return where the configuration lies, so that the working directory does not matter."""
    name = config.config_file_name or config.toml_file_name
    return Path(name).parent if name else Path(context.script.dir)
