"""docs/rules says what the rules say."""

from __future__ import annotations

import pytest

from rules.write_docs import COMMAND, FOLDER, texts


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return texts()


def test_the_documentation_is_current(pages: dict[str, str]) -> None:
    written = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.glob("*.md")}

    assert written == pages, f"Write it anew: {COMMAND}"
