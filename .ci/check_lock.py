"""Check that requirements.lock fits the pyproject files, without a network: `make lock` mends what this finds.

Every direct dependency must be pinned at a version that its requirement allows, and nothing may be pinned for a
requirement that is gone. What the pinned packages need of each other was settled when the lockfile was written.
"""

import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCKFILE = Path("requirements.lock")
HANDRAIL = Path("packages/handrail/pyproject.toml")


def main() -> int:
    """Print each misfit and return the exit code."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    lock = LOCKFILE.read_text(encoding="utf-8")
    pins = dict(re.findall(r"^([a-z0-9-]+)(?:\[[^\]]*\])?==([^ ;]+)", lock, re.MULTILINE))
    own = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    faults = misfits(own, pins, of="pyproject.toml")
    faults += misfits(handrail_requirements(), pins, of="handrail")
    wanted = {canonicalize_name(Requirement(line).name) for line in own}
    faults += [
        f"{name} is still locked, though pyproject.toml no longer asks for it."
        for name in sorted(locked_for(project["project"]["name"], lock) - wanted)
    ]
    faults += [f"{LOCKFILE} names a place to download from: {line}" for line in lock.splitlines() if "://" in line]
    for fault in faults:
        print(fault)
    if faults:
        print("make lock mends this.")
    return 1 if faults else 0


def misfits(requirements: list[str], pins: dict[str, str], *, of: str) -> list[str]:
    """Return a sentence for each requirement that is not pinned, or pinned at a version it excludes."""
    faults = []
    for line in requirements:
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        if name == "handrail" or (requirement.marker and "extra" in str(requirement.marker)):
            continue  # handrail is installed by itself, its extras are ours to ask for
        if name not in pins:
            faults.append(f"{of} asks for {line}, and {LOCKFILE} has no {name}.")
        elif pins[name] not in requirement.specifier:
            faults.append(f"{of} asks for {line}, and {LOCKFILE} has {name} {pins[name]}.")
    return faults


def handrail_requirements() -> list[str]:
    """Return what handrail depends on: from its own folder where that is here, else from the installed package."""
    if HANDRAIL.exists():
        dependencies: list[str] = tomllib.loads(HANDRAIL.read_text(encoding="utf-8"))["project"]["dependencies"]
        return dependencies
    try:
        return requires("handrail") or []
    except PackageNotFoundError:
        return []


def locked_for(project: str, lock: str) -> set[str]:
    """Return the packages that the lockfile says it holds for this project itself ("# via")."""
    names = set()
    for block in re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE):
        if re.search(rf"^ +#.* {re.escape(project)} \(pyproject\.toml", block, re.MULTILINE):
            names.add(re.split(r"[\[=]", block, maxsplit=1)[0])
    return names


if __name__ == "__main__":
    sys.exit(main())
