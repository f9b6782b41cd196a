"""Settings, read once from the environment and `.env`. No other file reads the environment."""

import os
import re
import sys
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from dotenv import dotenv_values
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SecretStr, ValidationError, model_validator

NAME = "starter-fastapi-project"
ROOT = Path(__file__).resolve().parent.parent

NEEDS_DATABASE = 'DATABASE_URL is not set; use `make run`, or first: export DATABASE_URL="$(handrail db url)"'

# Parameters that providers put into their URLs for libpq, PostgreSQL's C library, and others do for SQLAlchemy. asyncpg
# translates most of libpq's, but would pass these on to the server, which refuses them.
NOT_FOR_ASYNCPG = {
    *("channel_binding", "connect_timeout", "gssencmode", "load_balance_hosts", "pgbouncer", "sslcompression"),
    *("keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "sslsni", "tcp_user_timeout"),
    *("async_fallback", "prepared_statement_cache_size", "prepared_statement_name_func"),
}


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
    if ssl := query.pop("ssl", ""):  # how SQLAlchemy's users spell sslmode for asyncpg
        query["sslmode"] = {"true": "require", "false": "disable"}.get(ssl.lower(), ssl)
    known = {name: value for name, value in query.items() if name not in NOT_FOR_ASYNCPG}
    parameters = urlencode(known, safe="/", quote_via=quote)
    return SecretStr(f"postgresql://{parts.netloc}{parts.path}?{parameters}".removesuffix("?"))


def _looks_like(example: str, pattern: str) -> AfterValidator:
    def check(value: SecretStr | str) -> SecretStr | str:
        if not re.fullmatch(pattern, value.get_secret_value() if isinstance(value, SecretStr) else value):
            raise ValueError(f"must look like {example}")
        return value

    return AfterValidator(check)


HOST = r"(\[[0-9a-fA-F:]+\]|[\w.-]+)(:([1-5]?\d{1,4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5]))?"
SmtpUrl = Annotated[
    SecretStr,
    _looks_like(
        "smtp://user:password@host:587, or smtps:// for TLS from the first byte; percent-encode special characters",
        rf"smtps?://([^\s/?#@]+@)?{HOST}/?",
    ),
]
ADDRESS = r"[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+"
MailFrom = Annotated[str, _looks_like("Shop <no-reply@example.com>", rf"{ADDRESS}|[^\x00-\x1f\x7f<>@]*<{ADDRESS}>")]
PublicUrl = Annotated[str, _looks_like("https://www.example.com", rf"https?://{HOST}(/[^\s?#]*[^\s?#/])?")]
# Were * or null allowed, every page on the web could act for a user who visits it.
Origin = Annotated[str, _looks_like("https://www.example.com, with a comma between two of them", rf"https?://{HOST}")]


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


CommaSeparated = BeforeValidator(_split)


def _as_network(value: object) -> IPv4Network | IPv6Network:
    try:
        return ip_network(str(value))
    except ValueError:
        example = "192.0.2.7,10.0.0.0/8, and of a network the first address"
        raise ValueError(f"must be addresses or networks, like {example}") from None


Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_as_network)]


class Settings(BaseModel, frozen=True, hide_input_in_errors=True):
    """Each field is the environment variable of the same name in capitals."""

    environment: Literal["development", "production"] = "development"
    database_url: Annotated[SecretStr, AfterValidator(_as_dsn)]
    # Connections of one process for transactions; 8 more are for lookups. PostgreSQL allows 100 unless told otherwise.
    database_pool_size: Annotated[int, Field(ge=1, le=1000)] = 10

    # Where people reach the user interface; links in mails lead there.
    public_url: PublicUrl = "http://127.0.0.1:8000"
    # Whose X-Forwarded-For is believed: addresses or networks of our own proxies.
    trusted_proxies: Annotated[list[Network], CommaSeparated] = []
    # Other origins whose pages may call this service with the user's cookies.
    cors_origins: Annotated[list[Origin], CommaSeparated] = []
    # /docs and /openapi.json: open in development, and elsewhere when switched on.
    docs: bool = Field(default_factory=lambda values: values.get("environment") == "development")

    # What readiness makes of edits by hand that `handrail drift --record` has found: nothing, a line in the log, 503.
    drift: Literal["off", "warn", "fail"] = "off"

    smtp_url: SmtpUrl | None = None
    mail_from: MailFrom = f"{NAME} <no-reply@localhost>"
    mail_folder: Path | None = None  # keeps mails as files where no smtp_url is set

    # The shortest password. NIST SP 800-63B-4 wants 15 characters where the password is the only factor.
    password_min_length: Annotated[int, Field(ge=8, le=64)] = 15
    access_minutes: Annotated[int, Field(ge=1, le=15)] = 15
    session_idle_days: Annotated[int, Field(ge=1, le=365)] = 7
    session_days: Annotated[int, Field(ge=1, le=365)] = 30
    sign_ups_per_hour: Annotated[int, Field(ge=1)] = 100  # from one network

    @model_validator(mode="before")
    @classmethod
    def _is_complete(cls, values: dict[str, Any]) -> dict[str, Any]:
        mails = values.get("smtp_url") or values.get("mail_folder")
        reachable = str(values.get("public_url")).startswith("https://")
        needs = {
            "DATABASE_URL, e.g. postgresql://user:password@host/name": values.get("database_url"),
            "SMTP_URL, e.g. smtp://user:password@host:587 (or MAIL_FOLDER, to keep mails as files)": mails,
            "MAIL_FROM, e.g. Shop <no-reply@example.com>": values.get("mail_from") or not values.get("smtp_url"),
            "PUBLIC_URL, where people reach you: https://www.example.com": reachable,
        }
        for need, given in needs.items():
            if not given and values.get("environment") == "production":
                raise ValueError(f"ENVIRONMENT=production needs {need}")
        if not values.get("database_url"):
            raise ValueError(NEEDS_DATABASE)
        return values


def load_settings(env_file: Path = ROOT / ".env") -> Settings:
    """Read the settings, or end the process with one line that says what to set; it never holds a value."""
    try:
        sources = dotenv_values(env_file), os.environ  # the later one wins; what is empty is not set
        return Settings.model_validate({name.lower(): v for source in sources for name, v in source.items() if v})
    except (OSError, UnicodeError) as error:
        sys.exit(f"{env_file} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}.")
    except ValidationError as error:
        mistakes = (m for m in error.errors() if m["type"] != "default_factory_not_called")  # which follows from others
        named = (("".join(map(str, m["loc"][:1])).upper(), m["msg"].removeprefix("Value error, ")) for m in mistakes)
        sys.exit("; ".join(" ".join(words).lstrip() for words in named))
