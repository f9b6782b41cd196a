import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy import text

from app.config import NAME, ROOT, Settings, load_settings
from app.database import create_engine

URL = "postgresql://ada:secret@host/name"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without settings, whatever the shell has."""
    for field in Settings.model_fields:
        monkeypatch.delenv(field.upper(), raising=False)


def dsn(url: str) -> str:
    return Settings(database_url=SecretStr(url)).database_url.get_secret_value()


def refusal(env_file: Path = Path("missing")) -> str:
    """Return the one line with which loading the settings ends the process."""
    with pytest.raises(SystemExit) as exit:
        load_settings(env_file)
    assert isinstance(exit.value.code, str)  # Python prints it to stderr, and exits with status 1
    assert "\n" not in exit.value.code
    return exit.value.code


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings come from the environment; without ENVIRONMENT it is development."""
    monkeypatch.setenv("DATABASE_URL", URL)

    settings = load_settings(Path("missing"))

    assert settings.environment == "development"
    assert settings.database_url.get_secret_value() == URL


def test_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings come from `.env` too, where the environment says nothing; other lines in it do no harm."""
    (tmp_path / ".env").write_text(f"DATABASE_URL={URL}\nENVIRONMENT=production\nOTHER=1\n")
    monkeypatch.setenv("ENVIRONMENT", "development")

    settings = load_settings(tmp_path / ".env")

    assert settings.environment == "development"
    assert settings.database_url.get_secret_value() == URL


def test_database_url_missing_in_development() -> None:
    """A developer learns the two ways to get a database."""
    expected = 'DATABASE_URL is not set; use `make run`, or first: export DATABASE_URL="$(handrail db url)"'

    assert refusal() == expected


@pytest.mark.parametrize("value", [None, ""])
def test_database_url_missing_in_production(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """In production a database is never invented."""
    monkeypatch.setenv("ENVIRONMENT", "production")
    if value is not None:
        monkeypatch.setenv("DATABASE_URL", value)

    assert refusal() == "ENVIRONMENT=production needs DATABASE_URL, e.g. postgresql://user:password@host/name"


@pytest.mark.parametrize(
    ("left_out", "needed"),
    [(name, f"needs {name}") for name in ("PUBLIC_URL", "SMTP_URL", "MAIL_FROM", "DATABASE_URL")],
)
def test_production_needs(left_out: str, needed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What development does without, or takes for granted."""
    complete = {
        "ENVIRONMENT": "production",
        "DATABASE_URL": URL,
        "PUBLIC_URL": "https://www.example.com",
        "SMTP_URL": "smtp://ada:secret@mail.example.com",
        "MAIL_FROM": "Shop <no-reply@example.com>",
    }
    for name, value in complete.items():
        monkeypatch.setenv(name, value)
    assert load_settings(Path("missing")).docs is False
    monkeypatch.setenv("PUBLIC_URL", "http://www.example.com")  # whoever reads along gets the links
    assert "needs PUBLIC_URL" in refusal()
    monkeypatch.setenv("PUBLIC_URL", complete["PUBLIC_URL"])
    monkeypatch.delenv(left_out)

    assert needed in refusal()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("CORS_ORIGINS", origin) for origin in ("*", "null", "https://www.example.com,*", "www.example.com")],
        ("CORS_ORIGINS", "https://*.example.com"),
        *[("CORS_ORIGINS", f"https://www.example.com{end}") for end in ("/", "/path", "?a=1", "#a")],
        *[("TRUSTED_PROXIES", network) for network in ("*", "everybody", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.1 ::1")],
        *[
            ("PUBLIC_URL", url)
            for url in ("javascript:alert(1)", "www.example.com", "https://", "http://x?token=secret", "https://x/")
        ],
        *[
            ("SMTP_URL", url)
            for url in ("https://secret@host", "smtp://", "secret", "smtp://host:port", "smtp://host:65536")
        ],
        *[("SMTP_URL", f"smtp://ada:{password}@host") for password in ("se/cret", "12/secret", "se#cret", "se?cret")],
        *[("MAIL_FROM", sender) for sender in ("secret", "a@b.c\nBcc: secret@x.y", "A <a@münchen.de>", "a@b <a@b>")],
        *[("PASSWORD_MIN_LENGTH", length) for length in ("7", "65", "secret")],
        *[("ACCESS_MINUTES", minutes) for minutes in ("0", "16")],
        *[("DOCS", "perhaps"), ("SESSION_DAYS", "0"), ("SIGN_UPS_PER_HOUR", "0"), ("DATABASE_POOL_SIZE", "-1")],
    ],
)
def test_dangerous_settings(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They stop the start, in one line that names them and does not repeat what was written."""
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv(name, value)

    line = refusal()

    assert re.match(rf"{name} [a-zI]", line)  # and then tells what is wrong, without the parts of the validator
    assert "LAX" not in line
    assert "secret" not in line


@pytest.mark.parametrize("value", ["10.0.0.1/8", "192.0.2.7,proxy.internal"])
def test_a_proxy_that_is_no_network(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One reason, and what to write; not one for each kind of network that it is not."""
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("TRUSTED_PROXIES", value)

    assert refusal() == (
        "TRUSTED_PROXIES must be addresses or networks, like 192.0.2.7,10.0.0.0/8, and of a network the first address"
    )


def test_an_env_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Written in another encoding, for instance."""
    file = tmp_path / ".env"
    file.write_bytes(b"MAIL_FROM=M\xfcller")

    with pytest.raises(SystemExit, match=r"\.env cannot be read: "):
        load_settings(file)


def test_process_ends_in_one_line() -> None:
    """The start fails with one line on stderr and no traceback."""
    code = "from pathlib import Path; from app.config import load_settings; load_settings(Path('missing'))"
    environment = os.environ | {"ENVIRONMENT": "production"}

    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == "ENVIRONMENT=production needs DATABASE_URL, e.g. postgresql://user:password@host/name\n"


def test_several_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """All mistakes are told at once, without what was written."""
    monkeypatch.setenv("DATABASE_URL", "mysql://ada:secret@host/name")
    monkeypatch.setenv("ENVIRONMENT", "secret")
    monkeypatch.setenv("DATABASE_POOL_SIZE", "0")

    line = refusal()

    assert "ENVIRONMENT Input should be 'development' or 'production'" in line
    assert "DATABASE_URL must begin with postgresql://" in line
    assert "DATABASE_POOL_SIZE Input should be greater than or equal to 1" in line
    assert "secret" not in line


@pytest.mark.parametrize(
    "url",
    [
        "mysql://ada:secret@host/name",
        "sqlite:///secret.db",
        "secret",
        "postgresql://ada:secret@host:port/name",
        "postgresql://ada:secret@host:99999/name",
        "postgresql://ada:sec@ret@host/name",
        "postgresql://ada:sec/ret@host/name",
        "postgresql://ada:5/secret@host/name",
        "postgresql://ada:sec#ret@host/name",
        "postgresql://ada:5#secret@host/name",
        "postgresql://ada:sec[ret@host/name",
        "postgresql://ada:secret@host/name?secret",
    ],
)
def test_wrong_url(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL that asyncpg would misread stops the start, and is not repeated."""
    monkeypatch.setenv("DATABASE_URL", url)

    line = refusal()

    assert line.startswith("DATABASE_URL ")
    assert "DOCS" not in line  # nothing else is wrong
    assert "ret" not in line


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgres://host/name", "postgresql://host/name"),
        ("postgresql+asyncpg://host/name", "postgresql://host/name"),
        ("postgresql+psycopg://host/name", "postgresql://host/name"),  # as for migrations behind a pooler
        (" postgresql://host/name\n", "postgresql://host/name"),
        ("postgresql://ada:100%25%40home@host:6543/name", "postgresql://ada:100%25%40home@host:6543/name"),
        ("postgresql://postgres@/name?host=/tmp/x y", "postgresql://postgres@/name?host=/tmp/x%20y"),
        ("postgresql:///name", "postgresql:///name"),
        ("postgresql://a:1,b:2/name", "postgresql://a:1,b:2/name"),
        ("postgresql://host/name?sslmode=require&channel_binding=require", "postgresql://host/name?sslmode=require"),
        ("postgresql://host/name?ssl=true", "postgresql://host/name?sslmode=require"),
        ("postgresql://host/name?ssl=False", "postgresql://host/name?sslmode=disable"),
        ("postgresql://host/name?ssl=verify-full", "postgresql://host/name?sslmode=verify-full"),
        ("postgresql://host/name?connect_timeout=10&pgbouncer=true", "postgresql://host/name"),
        ("postgresql://host/name?prepared_statement_cache_size=0&async_fallback=true", "postgresql://host/name"),
    ],
)
def test_url(url: str, expected: str) -> None:
    """URLs as providers hand them out become what asyncpg understands."""
    assert dsn(url) == expected


async def test_url_of_a_provider(database: str) -> None:
    """A URL with libpq's parameters connects."""
    url = database + ("&" if "?" in database else "?") + "sslmode=prefer&channel_binding=prefer&connect_timeout=10"

    engine = create_engine(dsn(url), pool_size=1)
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT current_setting('application_name')")) == NAME
    await engine.dispose()


def test_password_does_not_show() -> None:
    """Settings can be printed and logged, and so can what is wrong with them."""
    assert "secret" not in repr(Settings(database_url=SecretStr(URL)))
    with pytest.raises(ValidationError) as error:
        Settings.model_validate({"database_url": "mysql://ada:secret@host"})
    assert "must begin with postgresql://" in str(error.value)
    assert "secret" not in str(error.value)
