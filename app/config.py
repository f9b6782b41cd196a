"""Settings, read once from the environment and `.env`. No other file reads the environment."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

NAME = "starter-fastapi-project"
ROOT = Path(__file__).resolve().parent.parent

DATABASE_URL_MISSING = {
    "development": 'DATABASE_URL is not set; use `make run`, or first: export DATABASE_URL="$(handrail db url)"',
    "production": "ENVIRONMENT=production needs DATABASE_URL, e.g. postgresql://user:password@host/name",
}

# Parameters of libpq, PostgreSQL's C library, that providers put into their URLs. asyncpg translates most of libpq's
# parameters, but would pass these on to the server, which refuses them.
LIBPQ_ONLY = {
    *("channel_binding", "connect_timeout", "gssencmode", "load_balance_hosts", "pgbouncer", "sslcompression"),
    *("keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "sslsni", "tcp_user_timeout"),
}
# Parameters of SQLAlchemy's dialect, which it would take out of the URL before asyncpg sees it.
DIALECT_ONLY = {"async_fallback", "prepared_statement_cache_size", "prepared_statement_name_func"}


def _as_dsn(url: SecretStr) -> SecretStr:
    """Return the URL as asyncpg takes it. No message repeats any part of the URL: it holds the password."""
    try:
        parts = urlsplit(url.get_secret_value().strip())
        query = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        if "," not in parts.netloc:  # several hosts are left to asyncpg
            _ = parts.port  # raises if it is not a number
    except ValueError:
        raise ValueError("cannot be read as a URL; percent-encode special characters in the password") from None
    if parts.scheme not in ("postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg"):
        raise ValueError("must begin with postgresql:// (postgres:// will do, and the name of a driver is ignored)")
    if parts.netloc.count("@") > 1 or "@" in parts.path or parts.fragment:
        raise ValueError("has a bare special character in user or password; write %40 for @, %23 for #, %2F for /")
    if "ssl" in query:  # how SQLAlchemy's users spell sslmode for asyncpg
        query["sslmode"] = {"true": "require", "false": "disable"}.get(query["ssl"].lower(), query["ssl"])
    known = {name: value for name, value in query.items() if name not in {"ssl", *DIALECT_ONLY, *LIBPQ_ONLY}}
    parameters = urlencode(known, safe="/", quote_via=quote)
    return SecretStr(f"postgresql://{parts.netloc}{parts.path}?{parameters}".removesuffix("?"))


class Settings(BaseSettings):
    """Each field is the environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    environment: Literal["development", "production"] = "development"
    database_url: Annotated[SecretStr, AfterValidator(_as_dsn)]
    # Connections of one process at most. PostgreSQL allows 100 in all, unless it is configured otherwise.
    database_pool_size: Annotated[int, Field(ge=1, le=1000)] = 10

    @model_validator(mode="before")
    @classmethod
    def _needs_a_database(cls, values: dict[str, Any]) -> dict[str, Any]:
        if not values.get("database_url"):
            production = values.get("environment") == "production"
            raise ValueError(DATABASE_URL_MISSING["production" if production else "development"])
        return values


def load_settings(env_file: Path = ROOT / ".env") -> Settings:
    """Read the settings, or end the process with one line that says what to set; it never holds a value."""
    try:
        return Settings(_env_file=env_file)
    except ValidationError as error:
        fields = (" ".join(str(part).upper() for part in problem["loc"]) for problem in error.errors())
        messages = (problem["msg"].removeprefix("Value error, ") for problem in error.errors())
        sys.exit("; ".join(f"{field} {message}".lstrip() for field, message in zip(fields, messages, strict=True)))
