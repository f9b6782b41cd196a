"""Turn the URL of an application into what psql and its like understand, with the password out of sight."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote, unquote, urlencode

from handrail.errors import ConfigurationError

# A password that was pasted without escaping may hold any of `@ : / ?`; it ends where the rest makes sense.
URL = re.compile(
    r"postgres(?:ql)?(?:\+\w+)?://(?:(?P<user>[^:/?]*)(?::(?P<password>.*?))?@)?(?P<place>[^?@]*)(?:\?(?P<query>.*))?",
)
# https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS; psql refuses a URL with any other,
# such as asyncpg's `prepared_statement_cache_size`.
PARAMETERS = re.compile(
    "application_name|channel_binding|client_encoding|connect_timeout|dbname|fallback_application_name|gssencmode|"
    "gsslib|host|hostaddr|keepalives.*|krbsrvname|load_balance_hosts|options|passfile|port|require_auth|requirepeer|"
    "service|ssl.*|target_session_attrs|tcp_user_timeout|user"
)
# What asyncpg's users write, as libpq calls it.
ALIASES = {"ssl": "sslmode"}


def for_libpq(url: str) -> tuple[str, str | None]:
    """Return the URL for psql, and apart from it the password, since everybody can read a command line in `ps`.

    Left out are SQLAlchemy's driver name and parameters that only a driver knows.

    Raises:
        ConfigurationError: It is not the URL of a PostgreSQL.
    """
    found = URL.fullmatch(url)
    if found is None:
        raise ConfigurationError(
            f"DATABASE_URL begins with {url.partition(':')[0]!r} and cannot be read as the address of a PostgreSQL. "
            "Write it as postgresql://user:password@host:5432/database."
        )
    pairs = [(ALIASES.get(key, key), value) for key, value in parse_qsl(found["query"] or "", keep_blank_values=True)]
    known = [(key, value) for key, value in pairs if PARAMETERS.fullmatch(key)]
    account = "" if found["user"] is None else f"{quote(unquote(found['user']), safe='')}@"
    query = f"?{urlencode(known, quote_via=quote, safe='/')}" if known else ""
    password = None if found["password"] is None else unquote(found["password"])
    return f"postgresql://{account}{found['place']}{query}", dict(pairs).get("password", password)


def with_password(url: str, password: str | None) -> str:
    """Put a password back into a URL of `for_libpq`."""
    if password is None:
        return url
    scheme, _, rest = url.partition("://")
    user, at, place = rest.rpartition("@")
    return f"{scheme}://{user}:{quote(password, safe='')}@{place}" if at else url
