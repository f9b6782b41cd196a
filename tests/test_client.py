"""A client that is generated from the OpenAPI document is complete, typed, and works."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from people import PASSWORD, join
from serving import listening

from app.config import Settings
from app.main import create_app

NAME = "generated_client"
# What whoever uses the client may rely on; mypy reads it, nobody runs it.
USE = f"""
from uuid import UUID

from {NAME}.api.users import get_me, list_users
from {NAME}.client import AuthenticatedClient
from {NAME}.models import Problem, UserRead

client = AuthenticatedClient("http://service", token="token")
me = get_me.sync(client=client)
if isinstance(me, UserRead):
    key: UUID = me.id
    name: str = me.name
elif isinstance(me, Problem):
    status: int = me.status
page = list_users.sync(client=client, limit=100)
"""


DOCUMENT = create_app(Settings.model_validate({"database_url": "postgresql:///unused"})).openapi()


# Clients call their methods so: another name, here and in app/, is a change that breaks them.
OPERATIONS = """
GET    /health/live                 live
GET    /health/ready                ready
GET    /users/me                    get_me
PATCH  /users/me                    change_me
GET    /users                       list_users
GET    /users/{user_id}             get_user
PATCH  /users/{user_id}             administer_user
POST   /auth/sign-up                sign_up
POST   /auth/confirm-sign-up        confirm_sign_up
POST   /auth/login                  login
POST   /auth/refresh                refresh
POST   /auth/logout                 logout
GET    /auth/sessions               list_sessions
DELETE /auth/sessions               end_other_sessions
DELETE /auth/sessions/{session_id}  end_session
POST   /auth/forgot-password        forgot_password
POST   /auth/reset-password         reset_password
POST   /auth/change-password        change_password
POST   /auth/change-email           change_email
POST   /auth/confirm-email          confirm_email
POST   /auth/deactivate             deactivate
POST   /auth/delete-account         delete_account
"""


@pytest.fixture
def generated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a client that was made without a word of complaint."""
    (tmp_path / "openapi.json").write_text(json.dumps(DOCUMENT), encoding="utf-8")
    (tmp_path / "config.yml").write_text("post_hooks: []\n", encoding="utf-8")
    options = ["--path", "openapi.json", "--output-path", NAME, "--meta", "none", "--config", "config.yml"]
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning", *options]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / NAME


def test_operations_keep_their_names() -> None:
    """They are the names of the routes' functions."""
    named = {
        (method.upper(), path, operation["operationId"])
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
    }

    assert named == {tuple(line.split()) for line in OPERATIONS.strip().splitlines()}


def test_it_has_every_operation(generated: Path) -> None:
    """Each as a module."""
    modules = {module.stem for module in generated.glob("api/*/*.py")} - {"__init__"}

    assert modules == {line.split()[2] for line in OPERATIONS.strip().splitlines()}


@pytest.mark.usefixtures("generated")
async def test_it_logs_in_and_reads(app: FastAPI, client: AsyncClient) -> None:
    """Answers come as the models that the document names, errors too."""
    ada = await join(app, client)

    def module(name: str) -> Any:
        return importlib.import_module(f"{NAME}.{name}")

    async with listening(app) as address:
        async with module("client").Client(address) as nobody:
            body = module("models").Login(email=ada.email, password=PASSWORD)
            tokens = await module("api.auth.login").asyncio(client=nobody, body=body)
        async with module("client").AuthenticatedClient(address, token=tokens.access_token) as somebody:
            me = await module("api.users.get_me").asyncio(client=somebody)
            refused = await module("api.users.list_users").asyncio(client=somebody)

    assert (type(me).__name__, str(me.id), me.email) == ("UserRead", ada.id, ada.email)
    assert (type(refused).__name__, refused.status, refused.type_) == ("Problem", 403, "/problems/forbidden")


def test_its_types_are_right(generated: Path) -> None:
    """A program that uses it passes mypy."""
    (generated.parent / "use.py").write_text(USE, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--no-error-summary", "use.py"]

    run = subprocess.run(command, cwd=generated.parent, capture_output=True, text=True, check=False, timeout=100)

    assert (run.returncode, run.stdout) == (0, "")
