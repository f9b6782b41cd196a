"""Alembic reads the same settings as the application, from the same places."""

from __future__ import annotations

from pathlib import Path

import pytest

from handrail.config import load_project


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a project whose settings are all in `.env`."""
    for name in ("DATABASE_URL", "ENVIRONMENT", "HANDRAIL_SCRATCH_URL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "pyproject.toml").write_text('[tool.handrail]\nmetadata = "shop.base:Base"\n', encoding="utf-8")
    (tmp_path / ".env").write_text("DATABASE_URL=postgresql:///filed\nEnvironment=Production\n", encoding="utf-8")
    return tmp_path


def test_what_is_empty_is_not_set(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable does not hide the line in `.env`."""
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("ENVIRONMENT", "")

    project = load_project(root)

    assert (project.database_url, project.production) == ("postgresql:///filed", True)


def test_case_does_not_matter(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pydantic-settings takes a variable in any case, and the environment before `.env`."""
    monkeypatch.setenv("database_url", "postgresql:///exported")

    assert load_project(root).database_url == "postgresql:///exported"
