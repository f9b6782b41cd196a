"""What docs/accounts.md says about doing without accounts is true."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from app.config import ROOT

PAGE = (ROOT / "docs/accounts.md").read_text(encoding="utf-8").partition("## Without accounts")[2]
COPIED = ("app", "alembic", "docs", "tests", "README.md", "alembic.ini", "pyproject.toml")
STAY = {f"test_{name}.py" for name in ("errors", "health", "hostile_http", "mail", "server", "sessions", "telemetry")}
ASK = """
import asyncio
from httpx2 import ASGITransport, AsyncClient
from app.main import app

async def main():
    client = AsyncClient(transport=ASGITransport(app), base_url="http://x")
    async with app.router.lifespan_context(app), client:
        print((await client.get("/health/live")).status_code, (await client.get("/users/me")).status_code)

asyncio.run(main())
"""
NAMED = """
from tests.test_errors import documented_types, raised_types
print(*(kind for kind, _ in documented_types() - raised_types()))
"""


def test_accounts_are_removed_as_the_page_says(tmp_path: Path, database: str) -> None:
    """The service starts and everybody is nobody; contracts, dependencies and the tests that stay are content."""
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV_"))}
    environment |= {"DATABASE_URL": database, "PYTHONPATH": str(tmp_path)}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def drop(file: str, pattern: str) -> int:
        lines = (tmp_path / file).read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not re.search(pattern, line)]
        (tmp_path / file).write_text("".join(kept), encoding="utf-8")
        return len(lines) - len(kept)

    shutil.rmtree(tmp_path / "app/auth")
    assert drop("app/main.py", r"\bauth\b") == 2
    assert run("python", "-c", ASK).split() == ["200", "401"]
    run("lint-imports")

    run("sh", "-c", PAGE.partition("$ ")[2].partition("\n")[0])
    packages = re.findall(r"`([^`]+)`", PAGE.partition("\n- ")[2].partition(" in `pyproject.toml`")[0])
    assert drop("pyproject.toml", "|".join(f'"{re.escape(name)}>=' for name in packages)) == len(packages) > 0
    run("deptry", ".")

    gone = run("python", "-c", NAMED).split()
    assert drop("docs/errors.md", "|".join(f"^. `{kind}`" for kind in gone)) == len(gone) > 0
    assert {file.name for file in (tmp_path / "tests").glob("test_*.py")} >= STAY
    # All can be imported; those are left out that take long, and those that want the tables to have gone.
    long = (
        f"--deselect=tests/test_{name}.py" for name in ("health", "hostile_http", "migrations", "server", "telemetry")
    )
    assert " passed" in run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", *long)
