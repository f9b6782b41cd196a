"""The database of the examples: what a review knows of it, and copies of it to run them on."""

from __future__ import annotations

from collections.abc import Iterator

import postgast
import pytest

from handrail.predict import State
from handrail.scratch import ScratchServer
from handrail.sizes import Sizes
from rules.shop import SHOP, shop_sizes, shop_state


@pytest.fixture(scope="session")
def known_shop() -> State:
    return shop_state()


@pytest.fixture
def state(known_shop: State) -> State:
    return known_shop.copy()


@pytest.fixture(scope="session")
def sizes(known_shop: State) -> Sizes:
    return shop_sizes(known_shop)


@pytest.fixture(scope="session")
def shop_template(handrail_scratch: ScratchServer) -> Iterator[str]:
    name = handrail_scratch.create()
    handrail_scratch.execute(*postgast.split(SHOP), database=name)
    yield name
    handrail_scratch.drop(name)


@pytest.fixture(scope="session")
def server_version(handrail_scratch: ScratchServer) -> int:
    return int(handrail_scratch.scalar("SHOW server_version_num")) // 10000


@pytest.fixture
def shop_url(handrail_scratch: ScratchServer, shop_template: str) -> Iterator[str]:
    """URL of a database of its own with tables and rows."""
    name = handrail_scratch.create(template=shop_template)
    yield handrail_scratch.url_of(name).replace("postgresql://", "postgresql+psycopg://")
    handrail_scratch.drop(name)
