"""What is written about doing without a part is true."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from app.config import ROOT

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


def test_accounts_are_removed_with_their_folder_and_two_lines(tmp_path: Path, database: str) -> None:
    """The service starts, and every request is nobody's."""
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.rmtree(tmp_path / "app/auth")
    main = tmp_path / "app/main.py"
    lines = main.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if "import router as auth" not in line and "auth.router" not in line]
    main.write_text("".join(kept), encoding="utf-8")

    environment = os.environ | {"DATABASE_URL": database, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert len(lines) - len(kept) == 2
    assert done.stdout.split() == ["200", "401"], done.stderr
