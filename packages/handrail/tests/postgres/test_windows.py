"""Windows is not tested; but at least the module imports without what only POSIX has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# The standard library is loaded before, for it must go on believing that this is POSIX.
IMPORT = """
import sys, types
import json, hashlib, importlib.util, shutil, socket, subprocess, tempfile, urllib.parse, secrets, click
from pathlib import Path
import handrail.errors
for name in ("fcntl", "pwd", "grp", "resource"):
    sys.modules[name] = None
sys.modules["msvcrt"] = types.ModuleType("msvcrt")
sys.platform = "win32"
import handrail.postgres, handrail.postgres.windows as windows
from handrail.postgres.cluster import Server
assert Server is windows.Server
cluster = handrail.postgres.development_cluster(Path(sys.argv[1]))
assert cluster.url() == cluster.url()
print(cluster.url("a b"))
print("handrail.postgres.server" in sys.modules)
"""


def test_module_imports_without_posix(tmp_path: Path) -> None:
    """With the platform set to Windows, fcntl and pwd are never asked for; the URL has a port and a password."""
    argv = [sys.executable, "-c", IMPORT, str(tmp_path)]
    said = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    url, imported = said.stdout.splitlines()
    assert url.startswith("postgresql://postgres:")
    assert url.endswith("/a%20b")
    assert "@127.0.0.1:" in url
    assert imported == "False"
