"""The schema of the version table, read from the models' base without importing it."""

from __future__ import annotations

from pathlib import Path

import pytest

from handrail.config import Project, load_project
from handrail.version_table import schema_of_version_table
from small_project import REPOSITORY

CLASS = "from sqlalchemy import MetaData\nclass Base(DeclarativeBase):\n    {}\n"


def schema(tmp_path: Path, text: str, metadata: str = "shop:Base") -> str | None:
    """Return what is read from a module."""
    (tmp_path / "shop.py").write_text(text, encoding="utf-8")
    return schema_of_version_table(Project(tmp_path, metadata))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CLASS.format("metadata = MetaData(schema='shop', naming_convention=NAMES)"), "shop"),
        ("SCHEMA = 'shop'\n" + CLASS.format("metadata = MetaData(schema=SCHEMA)"), "shop"),
        ("SCHEMA: str = 'shop'\n" + CLASS.format("metadata = sqlalchemy.MetaData(schema=SCHEMA)"), "shop"),
        ("metadata = MetaData(schema='shop')\n" + CLASS.format("metadata = metadata"), "shop"),
        (CLASS.format("metadata = MetaData(naming_convention=NAMES)"), ""),
        (CLASS.format("metadata = MetaData(schema=None)"), ""),
        (CLASS.format("pass"), ""),
        # Only importing tells.
        (CLASS.replace("DeclarativeBase", "Common").format("pass"), None),
        (CLASS.format("metadata = MetaData(schema=os.environ['SCHEMA'])"), None),
        (CLASS.format("metadata = MetaData('shop')"), None),
        (CLASS.format("metadata = MetaData(**options)"), None),
        (CLASS.format("metadata = make_metadata()"), None),
        ("SCHEMA = 'a'\nif TEST:\n    SCHEMA = 'b'\n" + CLASS.format("metadata = MetaData(schema=SCHEMA)"), None),
        (CLASS.format("metadata = MetaData(schema='shop')") + "Base.metadata.schema = 'other'\n", None),
        ("class Base(", None),
        ("from elsewhere import Base\n", None),
    ],
)
def test_what_the_text_says(tmp_path: Path, text: str, expected: str | None) -> None:
    """None stands for what cannot be told."""
    assert schema(tmp_path, text) == expected


def test_a_variable_instead_of_a_class(tmp_path: Path) -> None:
    """`metadata = "shop:metadata"`, or the attribute of a class."""
    assert schema(tmp_path, "metadata = MetaData(schema='shop')\n", "shop:metadata") == "shop"
    assert schema(tmp_path, CLASS.format("metadata = MetaData(schema='shop')"), "shop:Base.metadata") == "shop"


def test_a_setting_wins(tmp_path: Path) -> None:
    """Nothing is read then."""
    assert schema_of_version_table(Project(tmp_path, "nowhere:Base", version_table_schema="own")) == "own"


def test_this_repository() -> None:
    """The starter's own base is understood, so that its deploys are quick."""
    assert schema_of_version_table(load_project(REPOSITORY)) == "starter-fastapi-project"
