"""Logs: JSON lines in production, readable ones in development, whoever writes them.

Never give a logger an e-mail address, a token or a password. The request's id and address are added to each line.
"""

import logging
import re
import sys
from traceback import format_exception
from typing import Literal

import structlog
from structlog.typing import ExcInfo, FilteringBoundLogger, Processor

STAMP = structlog.processors.TimeStamper(fmt="iso", utc=True)
# Both see every line: those of structlog, and those of libraries that use Python's own logging.
SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    STAMP,
]


def configure(environment: Literal["development", "production"]) -> FilteringBoundLogger:
    """Send all logs to standard error, one line each. Return a logger that takes the short way there, for requests."""
    structlog.configure(
        [structlog.stdlib.filter_by_level, *SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # tests, and whoever imports this first, may configure again
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(environment)],
        )
    )
    handler.set_name("app")
    root = logging.getLogger()
    root.handlers = [handler, *(other for other in root.handlers if other.get_name() != "app")]
    root.setLevel(logging.INFO)
    logging.getLogger("uvicorn.access").disabled = True  # the envelope writes a line for each request, ids included
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)  # it would list them at the first readiness
    # Python's logging takes five times as long, and each request writes a line.
    direct: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(sys.stderr),
        [structlog.contextvars.merge_contextvars, structlog.stdlib.add_log_level, STAMP, *_rendering(environment)],
        structlog.make_filtering_bound_logger(logging.INFO),
    ).bind(logger="app.requests")
    return direct


def _rendering(environment: Literal["development", "production"]) -> list[Processor]:
    renderer: Processor = structlog.processors.JSONRenderer()
    if environment == "development":
        # Values are shown as Python writes them, so that a line break in one cannot begin a line of its own.
        plain = structlog.dev.plain_traceback
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)
    return [structlog.processors.ExceptionRenderer(_trace), renderer]


def _trace(exc_info: ExcInfo) -> str:
    """Return the traceback, without the values of a row that PostgreSQL tells as DETAIL."""
    whole = "".join(format_exception(*exc_info)).rstrip()
    return re.sub(r"(?s)\nDETAIL: .*?(?=\n\[SQL: |\n\n(?:The above|During) |\Z)", "", whole)
