"""What a review knows of the database of the examples."""

from __future__ import annotations

from pathlib import Path

from handrail.predict import State, predict
from handrail.sizes import Size, Sizes

SHOP = Path(__file__).with_name("shop.sql").read_text(encoding="utf-8")
LARGE = Size(5_000_000, 800 * 1024 * 1024)


def shop_state() -> State:
    """Return all that the text of the database tells."""
    state = State(complete=True)
    predict(SHOP, state)
    state.begin_batch()
    return state


def shop_sizes(state: State) -> Sizes:
    """Return the tables as large as in production."""
    return Sizes({name: LARGE for name, table in state.tables.items() if table.kind != "view"}, known=True)
