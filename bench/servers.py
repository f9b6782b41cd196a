"""What `bench.api` compares: this service, the same on bare Starlette and asyncpg, and one in the template's manner."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

import psycopg
from handrail.scratch import ScratchServer
from pwdlib import PasswordHash

from app.auth.passwords import HASHER
from bench.commands import database
from bench.measure import Command, run
from bench.projects import ROOT

HOST = "127.0.0.1"
USERS = 1000
TOKEN = "a" * 43
PASSWORD = "four words are easy"
OURS, BARE, PEER = "ours", "bare Starlette + asyncpg", "sync SQLModel + psycopg"
LEAN = "bare, whose pool resets nothing"
ME, PAGE = "the current user", "100 users"
# Only tests and migrations need these; what readiness takes of Alembic stays.
NOT_SERVING = ("handrail",)
# What the peer needs. Where we have a package too it is the same version: the designs are compared.
SHARED = ("fastapi", "pydantic", "pwdlib", "psycopg", "sqlalchemy", "starlette", "uvicorn", "uvloop", "httptools")
REQUIREMENTS = (
    *("sqlmodel==0.0.50", "pydantic-settings", "pyjwt", "bcrypt", "python-multipart", "email-validator"),
    *("emails", "jinja2", "sentry-sdk", "psycopg-binary", "argon2-cffi"),
    *(f"{name}=={version(name)}" for name in SHARED),
)
FILL = """
SET search_path TO "starter-fastapi-project";
INSERT INTO users (id, email, name, role, sessions_since)
SELECT gen_random_uuid(), 'user' || n || '@example.com', 'User ' || n, 'admin', now() - interval '1 day'
FROM generate_series(1, %(users)s) n;
INSERT INTO credentials (user_id, password_hash, changed_at) SELECT id, %(password)s, now() FROM users;
INSERT INTO sessions (id, user_id, family_hash, refresh_hash, access_hash, access_expires_at, idle_expires_at,
                      expires_at, created_at, last_used_at, device, network)
SELECT gen_random_uuid(), id, 'family', 'refresh', %(token)s, now() + interval '1 day', now() + interval '1 day',
       now() + interval '1 day', now(), now(), '', '127.0.0.1'
FROM users LIMIT 1;
ANALYZE;
"""
FILL_PEER = """
CREATE TABLE "user" (id uuid PRIMARY KEY, email varchar(255) NOT NULL, is_active boolean NOT NULL,
                     is_superuser boolean NOT NULL, full_name varchar(255), hashed_password varchar NOT NULL,
                     created_at timestamptz);
CREATE UNIQUE INDEX ON "user" (email);
INSERT INTO "user"
SELECT gen_random_uuid(), 'user' || n || '@example.com', true, true, 'User ' || n, %(password)s, now()
FROM generate_series(1, %(users)s) n;
ANALYZE;
"""


@dataclass(frozen=True)
class Server:
    """How one of them is started and asked.

    Attributes:
        command: What starts it, but for `--port`.
        database: The URL of the database that it works with.
        live: The path that is answered with 200 as soon as anything is.
        paths: Where what is measured can be read.
        login: The path that gives a token for a password; None where there is none.
        form: Whether it wants a form there, and not JSON.
    """

    name: str
    command: Command
    database: str
    live: str
    paths: Mapping[str, str]
    login: str | None = None
    form: bool = False

    def reading(self, path: str, token: str) -> bytes:
        return f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()

    def logging_in(self, user: int) -> bytes:
        email = f"user{user}@example.com"
        if self.form:
            kind, body = "application/x-www-form-urlencoded", urlencode({"username": email, "password": PASSWORD})
        else:
            kind, body = "application/json", json.dumps({"email": email, "password": PASSWORD})
        head = f"POST {self.login} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}"
        return f"{head}\r\n\r\n{body}".encode()


def serving() -> tuple[str, ...]:
    """Return what production installs of this project, in the versions that are here."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    named = (re.match(r"([\w-]+)(\[[\w,]+\])?", requirement) for requirement in wanted)
    return tuple(f"{name[0]}=={version(name[1])}" for name in named if name and name[1] not in NOT_SERVING)


@contextmanager
def servers(scratch: ScratchServer) -> Iterator[list[Server]]:
    """Yield them on databases that are filled alike; without the peer, if it cannot be installed."""
    with ExitStack() as stack:
        url = scratch.url_of(stack.enter_context(database(scratch)))
        run(Command([sys.executable, "-m", "alembic", "upgrade", "head"], ROOT, {"DATABASE_URL": url}))
        fill(url, FILL, HASHER)
        mails = stack.enter_context(TemporaryDirectory(prefix="bench-"))
        paths = {ME: "/users/me", PAGE: "/users?limit=100"}
        own = environment("ours", serving()) or sys.executable
        bare = uvicorn("bench.bare:app", url, "--no-access-log", python=own)
        lean = Command(bare.argv, ROOT, {"DATABASE_URL": url, "POOL_RESET": "off"})
        found = [Server(BARE, bare, url, "/health/live", paths), Server(LEAN, lean, url, "/health/live", paths)]
        if python := environment("peer", REQUIREMENTS):
            other = scratch.url_of(stack.enter_context(database(scratch)))
            fill(other, FILL_PEER, PasswordHash.recommended())
            paths_there = {ME: "/api/v1/users/me", PAGE: "/api/v1/users/?limit=100"}
            command, live = uvicorn("bench.peer:app", other, python=python), "/api/v1/utils/health-check/"
            found.append(Server(PEER, command, other, live, paths_there, "/api/v1/login/access-token", form=True))
        production = {"ENVIRONMENT": "production", "PUBLIC_URL": "https://www.example.com", "MAIL_FOLDER": mails}
        command = Command([own, "-m", "app.server", "--host", HOST], ROOT, production | {"DATABASE_URL": url})
        found.append(Server(OURS, command, url, "/health/live", paths, "/auth/login"))
        yield found


def fill(url: str, script: str, hasher: PasswordHash) -> None:
    values = {"users": USERS, "token": sha256(TOKEN.encode()).digest(), "password": hasher.hash(PASSWORD)}
    with psycopg.connect(url, autocommit=True) as connection:
        # A client's cursor puts the values in by itself: PostgreSQL takes them in no script.
        psycopg.ClientCursor(connection).execute(script, values)


def uvicorn(app: str, url: str, *options: str, python: str) -> Command:
    return Command([python, "-m", "uvicorn", app, "--host", HOST, *options], ROOT, {"DATABASE_URL": url})


def environment(name: str, requirements: tuple[str, ...]) -> str | None:
    """Return the Python of an environment with these packages, made the first time; None where that fails."""
    folder = ROOT / "build" / f"bench-{name}"
    python, stamp, wanted = folder / "bin" / "python", folder / "requirements.txt", "\n".join(requirements)
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"api: installing {folder.relative_to(ROOT)}", file=sys.stderr)
        venv.create(folder, clear=True)
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-qq", *requirements]
        if subprocess.run(pip, check=False).returncode:
            shutil.rmtree(folder)
            print(f"api: the packages of {folder.name} could not be installed (see above)", file=sys.stderr)
            return None
        stamp.write_text(wanted)
    return str(python)
