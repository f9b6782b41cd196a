"""Database URLs as the drivers themselves take them."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, urlencode, urlsplit

# Parameters of libpq, PostgreSQL's C library, that providers put into their URLs. asyncpg understands most of libpq's,
# but would hand these on to the server, which refuses them.
LIBPQ_ONLY = [
    *("channel_binding", "connect_timeout", "fallback_application_name", "gssencmode", "keepalives"),
    *("keepalives_count", "keepalives_idle", "keepalives_interval", "load_balance_hosts", "pgbouncer", "require_auth"),
    *("requirepeer", "sslcertmode", "sslcompression", "sslsni", "tcp_user_timeout"),
]
# Parameters of SQLAlchemy's dialect, which it takes out of the URL before asyncpg sees it.
DIALECT_ONLY = ["async_fallback", "prepared_statement_cache_size", "prepared_statement_name_func"]
# How SQLAlchemy's users spell sslmode for asyncpg.
SSL = {"true": "require", "false": "disable"}


def for_asyncpg(url: str) -> str:
    """Return a URL without a driver's name, with those of its parameters that asyncpg understands."""
    parts = urlsplit(url)
    query = []
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name == "ssl":
            query.append(("sslmode", SSL.get(value.lower(), value)))
        elif name not in (*LIBPQ_ONLY, *DIALECT_ONLY):
            query.append((name, value))
    # asyncpg reads the query by the rules of forms, where a plus is a space.
    encoded = urlencode(query, quote_via=quote, safe="/")
    return f"{parts.scheme}://{parts.netloc}{parts.path}{encoded and '?'}{encoded}"
