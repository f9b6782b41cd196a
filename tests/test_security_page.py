"""docs/security.md is true: it has its forty points, and the tests that it names."""

import re

from app.config import ROOT

ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
NAMED = re.compile(r"`(test_\w+\.py)::(test_\w+)`")


def test_every_point_names_tests_that_exist() -> None:
    rows = ROW.findall((ROOT / "docs/security.md").read_text(encoding="utf-8"))
    named = {(file, test) for *_, tests in rows for file, test in NAMED.findall(tests)}
    missing = [f"{file}::{test}" for file, test in sorted(named) if f"def {test}(" not in source(file)]

    assert [number for number, *_ in rows] == [str(number) for number in range(1, 41)]
    assert all(NAMED.search(tests) for *_, tests in rows)
    assert missing == []


def source(file: str) -> str:
    path = ROOT / "tests" / file
    return path.read_text(encoding="utf-8") if path.exists() else ""
