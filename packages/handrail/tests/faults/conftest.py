"""The project of these tests, once for each driver."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from faults.shop import Shop, write_revisions
from small_project import SmallProject


@pytest.fixture
def shop(new_project: Callable[..., SmallProject], url: str) -> Shop:
    """A project with six revisions, on an empty database."""
    project = new_project()
    project.use(url)
    write_revisions(project)
    return Shop(project, url)
