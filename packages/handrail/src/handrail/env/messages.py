"""What Alembic prints on its way."""

from __future__ import annotations

import logging
import sys


def show_progress() -> None:
    """Print Alembic's progress as its stock configuration does, without touching anybody else's loggers."""
    logger = logging.getLogger("alembic")
    # A NullHandler is there from the start.
    if any(not isinstance(handler, logging.NullHandler) for handler in logger.handlers):
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)-5.5s [%(name)s] %(message)s"))
    # Alembic prints its errors itself; as a log record each would appear twice.
    handler.addFilter(lambda record: record.name != "alembic.util.messaging")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
