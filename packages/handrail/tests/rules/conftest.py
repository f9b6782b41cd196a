"""The database of the examples: what a review knows of it, and copies of it to run them on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import postgast
import pytest

from handrail.predict import State
from handrail.scratch import ScratchServer
from handrail.sizes import Sizes
from rules import examples
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


@pytest.fixture(scope="session")
def shared_shop_url(handrail_scratch: ScratchServer, shop_template: str) -> Iterator[str]:
    """URL of a database for revisions that are rolled back."""
    name = handrail_scratch.create(template=shop_template)
    yield handrail_scratch.url_of(name).replace("postgresql://", "postgresql+psycopg://")
    handrail_scratch.drop(name)


@pytest.fixture
def run(request: pytest.FixtureRequest, shared_shop_url: str) -> Callable[[Sequence[str]], None]:
    """A function that runs revisions as an upgrade does, on tables and rows that nobody else changes."""

    def work(bodies: Sequence[str]) -> None:
        # To copy the database takes longer than everything else here, and what is one transaction can be rolled back.
        if len(bodies) == 1 and not any(word in bodies[0] for word in ("autocommit_block", "COMMIT")):
            examples.run(shared_shop_url, bodies, keep=False)
        else:
            examples.run(request.getfixturevalue("shop_url"), bodies)

    return work


@pytest.fixture
def shop_url(handrail_scratch: ScratchServer, shop_template: str) -> Iterator[str]:
    """URL of a database of its own with tables and rows."""
    name = handrail_scratch.create(template=shop_template)
    yield handrail_scratch.url_of(name).replace("postgresql://", "postgresql+psycopg://")
    handrail_scratch.drop(name)
