"""Run handrail's faults at full size; they live with its tests, whose projects and proxies they use."""

import argparse
import os
import subprocess
import sys

from bench.measure import BenchError
from bench.projects import ROOT

TESTS = ROOT / "packages/handrail/tests"


def run_faults(options: argparse.Namespace) -> int:
    """Run them in a process of their own, and return its exit code.

    Raises:
        BenchError: This is a copy of the starter without handrail's sources.
    """
    if not TESTS.is_dir():
        raise BenchError("the faults are part of handrail's tests, and packages/handrail is not here.")
    arguments = ["--quick"] * options.quick + ["--format", options.format, "--jobs", str(options.jobs)]
    if options.rounds:
        arguments += ["--rounds", str(options.rounds)]
    if options.only:
        arguments += ["--only", *options.only]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "faults.full_size", *arguments]
    return subprocess.run(command, cwd=TESTS, env=environment, check=False).returncode
