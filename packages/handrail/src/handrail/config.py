"""What a project says about itself: `[tool.handrail]` in its pyproject.toml, the environment and `.env`.

This is the one file that reads the environment. It imports neither SQLAlchemy nor the project.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handrail.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Any other ENVIRONMENT (`prod`, `staging`, …) is treated as production: nothing is started or created there.
DEVELOPMENT = {"development", "dev", "local", "test", "testing", "ci"}

JOURNAL = "handrail_journal"  # beside the version table, and as little a part of the models as that one is

KEYS = {
    "metadata": str,
    "exclude": list,
    "scratch_url": str,
    "version_table": str,
    "version_table_schema": str,
    "expect_role": str,
    "start_after": str,
    "ignored": dict,
    "plain": dict,
    "drift": dict,
}
# Safe forms that can be switched off in [tool.handrail.plain], and what is written then.
PLAIN = {
    "constraint-not-valid": "constraints that look at all rows at once",
    "enum-rebuild": "a new type in place of an enum that loses values",
    "index-concurrently": "indexes that block writes while they are built",
    "not-null-by-check": "NOT NULL that looks at all rows at once",
    "not-null-without-default": "NOT NULL columns that only an empty table can get",
    "table-rewrite": "changes that write the whole table anew",
    "unique-using-index": "unique constraints and keys that block everything while their index is built",
    "volatile-default": "new columns whose default is worked out for each row at once",
}


@dataclass(frozen=True)
class Tolerated:
    """What may differ from the journal, from `[tool.handrail.drift]`.

    Attributes:
        object: Pattern of names as they are reported: `index shop.*`, `table shop.log_2026_*` with all its parts.
        reason: Why it may.
        attribute: Only this attribute may differ: `privileges`; None for everything.
    """

    object: str
    reason: str
    attribute: str | None = None


@dataclass(frozen=True)
class Project:
    """One project's settings, read once and handed down.

    Attributes:
        root: The folder of pyproject.toml.
        metadata: Where the models' base class (or MetaData) is, as `module:attribute`.
        exclude: Dotted modules that are never imported when models are looked for.
        scratch_url: A server on which throwaway databases may be created; None means the embedded one.
        version_table: Name of Alembic's version table.
        version_table_schema: Its schema; None means the schema of the metadata.
        expect_role: The role that must migrate, so that it owns everything; None means any.
        start_after: The last revision of an adopted project's past, which is not reviewed; None means all are.
        ignored: Patterns of tables (`audit.*`) that revisions create and no model has, each with the reason.
        plain: Safe forms that are switched off, each with the reason.
        tolerated: What may differ from what the migrations left behind, each with the reason.
        entrypoint: The ASGI application, `module:attribute`, from `[tool.fastapi]`.
        environment: `ENVIRONMENT`, in lower case; `development` unless it is set.
        version: The project's own, from `[project]`; recorded with what it migrates.
        database_url: `DATABASE_URL`; None when it is not set or empty. Holds a secret.
        migration_url: `MIGRATION_DATABASE_URL`, for another role or around a connection pooler; else `database_url`.
    """

    root: Path
    metadata: str
    exclude: tuple[str, ...] = ()
    scratch_url: str | None = field(default=None, repr=False)
    version_table: str = "alembic_version"
    version_table_schema: str | None = None
    expect_role: str | None = None
    start_after: str | None = None
    ignored: Mapping[str, str] = field(default_factory=dict)
    plain: Mapping[str, str] = field(default_factory=dict)
    tolerated: tuple[Tolerated, ...] = ()
    entrypoint: str = "app.main:app"
    environment: str = "development"
    version: str | None = None
    database_url: str | None = field(default=None, repr=False)
    migration_url: str | None = field(default=None, repr=False)

    @property
    def production(self) -> bool:
        """Whether nothing may be started or invented for this project's convenience."""
        return self.environment not in DEVELOPMENT

    @property
    def package(self) -> str:
        """The top-level package that holds the models."""
        return self.metadata.partition(":")[0].partition(".")[0]


def load_project(start: Path | None = None) -> Project:
    """Read the project that `start` (default: the working directory) lies in.

    Raises:
        ConfigurationError: There is no `[tool.handrail]` in any pyproject.toml from `start` upwards, or it is wrong.
    """
    root, pyproject = find_pyproject((start or Path.cwd()).resolve())
    table = validated(pyproject["tool"]["handrail"], root / "pyproject.toml")
    environment = read_environment(root)
    return Project(
        root=root,
        metadata=table["metadata"],
        exclude=tuple(table.get("exclude", ())),
        scratch_url=environment.get("HANDRAIL_SCRATCH_URL") or table.get("scratch_url"),
        version_table=table.get("version_table", "alembic_version"),
        version_table_schema=table.get("version_table_schema"),
        expect_role=table.get("expect_role"),
        start_after=table.get("start_after"),
        ignored=table.get("ignored", {}),
        plain=table.get("plain", {}),
        tolerated=tolerated(table.get("drift", {}), root / "pyproject.toml"),
        entrypoint=pyproject["tool"].get("fastapi", {}).get("entrypoint", "app.main:app"),
        environment=environment.get("ENVIRONMENT", "").strip().lower() or "development",
        version=pyproject.get("project", {}).get("version"),
        database_url=environment.get("DATABASE_URL", "").strip() or None,
        migration_url=environment.get("MIGRATION_DATABASE_URL", "").strip() or None,
    )


class NoSettingsError(ConfigurationError):
    """There is no `[tool.handrail]` here."""


def load_any_project(root: Path) -> Project:
    """Return the settings of a project of Alembic's, also of one that has never heard of us: without `metadata` then.

    Raises:
        ConfigurationError: There is no Alembic here, or a setting is wrong.
    """
    try:
        return load_project(root)
    except NoSettingsError:
        if not (root / "alembic.ini").is_file():
            raise
        environment = read_environment(root)
        urls = [environment.get(name, "").strip() or None for name in ("DATABASE_URL", "MIGRATION_DATABASE_URL")]
        database, migration = urls
        # There is no development PostgreSQL of ours to look for.
        return Project(root, "", environment="unknown", database_url=database, migration_url=migration)


def find_pyproject(start: Path) -> tuple[Path, dict[str, Any]]:
    """Return the nearest folder whose pyproject.toml has `[tool.handrail]`, and that file's content."""
    for folder in (start, *start.parents):
        path = folder / "pyproject.toml"
        if not path.is_file():
            continue
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path} is not valid TOML: {error}.") from error
        if "handrail" in content.get("tool", {}):
            return folder, content
    raise NoSettingsError(
        f"no pyproject.toml with a [tool.handrail] table in {start} or above it. Add these two lines, with the place "
        'of your models\' base class:  [tool.handrail]  metadata = "app.models:Base"'
    )


def validated(table: dict[str, Any], path: Path) -> dict[str, Any]:
    """Check names and types of the settings, so that a misspelt one is never silently ignored."""
    for key, value in table.items():
        if key not in KEYS:
            raise ConfigurationError(f"{path}: [tool.handrail] has no setting {key!r}; it knows {', '.join(KEYS)}.")
        if not isinstance(value, KEYS[key]):
            raise ConfigurationError(f"{path}: [tool.handrail] {key} must be a {KEYS[key].__name__}, not {value!r}.")
    for key, known in (("ignored", None), ("plain", PLAIN)):
        refuse_without_reason(key, table.get(key, {}), known, path)
    if not re.fullmatch(r"[\w.]+:[\w.]+", table.get("metadata", "")):
        raise ConfigurationError(
            f'{path}: [tool.handrail] needs metadata = "module:attribute", the place of your models\' base class, '
            'for instance metadata = "app.models:Base".'
        )
    return table


def refuse_without_reason(key: str, table: dict[str, Any], known: Mapping[str, str] | None, path: Path) -> None:
    """Check a table of exceptions: each names something that there is, and says why."""
    for name, reason in table.items():
        if known is not None and name not in known:
            raise ConfigurationError(
                f"{path}: [tool.handrail.{key}] has no rule {name!r}; it knows {', '.join(known)}."
            )
        if not isinstance(reason, str) or not reason.strip():
            raise ConfigurationError(
                f'{path}: [tool.handrail.{key}] {name} needs a reason: "{name}" = "why it is an exception".'
            )


def tolerated(table: dict[str, Any], path: Path) -> tuple[Tolerated, ...]:
    """Return the exceptions of `[tool.handrail.drift]`, each with its reason."""
    example = '{ object = "table shop.log_2026_*", reason = "the partition job makes them" }'
    if set(table) - {"ignore"} or not isinstance(table.get("ignore", []), list):
        raise ConfigurationError(f"{path}: [tool.handrail.drift] has one setting: ignore = [{example}].")
    found = []
    for entry in table.get("ignore", []):
        known = isinstance(entry, dict) and {"object", "reason"} <= set(entry) <= {"object", "reason", "attribute"}
        if not known or not all(isinstance(value, str) and value.strip() for value in entry.values()):
            raise ConfigurationError(
                f"{path}: [tool.handrail.drift] ignore needs an object and a reason in each entry, and may have an "
                f"attribute, all of them texts: {example}; this one is {entry!r}."
            )
        found.append(Tolerated(**entry))
    return tuple(found)


def read_environment(root: Path) -> dict[str, str]:
    """Return the process environment on top of the project's `.env`, with names in capitals.

    As the application sees them, with pydantic-settings or as the starter does: case does not matter, and what is empty
    is not set. Otherwise the two could choose different databases.
    """
    sources: list[Mapping[str, str | None]] = [os.environ]
    dotenv = root / ".env"
    if dotenv.is_file():
        # Imported only where there is something to read: this file is on the path of every command.
        from dotenv import dotenv_values

        sources.insert(0, dotenv_values(dotenv))
    return {key.upper(): value for source in sources for key, value in source.items() if value}
