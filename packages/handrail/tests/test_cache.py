"""The cache is only ever a shortcut: whatever goes wrong with it, the answer is "nothing is known"."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

import handrail.cache
from handrail.cache import FOLDER, Cache


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    cache = Cache.of(tmp_path)
    assert cache.read("history-1") is None

    cache.write("history-1", "ein Täßchen\n\0")
    cache.write("history-1", "another\r\n")
    cache.write("history-2", "")

    assert Cache.of(tmp_path).read("history-1") == "another\r\n"
    assert Cache.of(tmp_path).read("history-2") == ""


def test_the_folder_ignores_itself(tmp_path: Path) -> None:
    """Nobody has to know of it to keep it out of git."""
    Cache.of(tmp_path).write("key", "text")

    assert (tmp_path / FOLDER / ".gitignore").read_text(encoding="utf-8").splitlines()[-1] == "*"


@pytest.mark.parametrize("damage", [b"", b"\n", b"text", b"00000000\ntext", b"\xff\xfe", b"8 bytes."])
def test_a_damaged_file_counts_as_none(tmp_path: Path, damage: bytes) -> None:
    cache = Cache.of(tmp_path)
    cache.write("key", "text")
    (tmp_path / FOLDER / "key").write_bytes(damage)

    assert cache.read("key") is None
    cache.write("key", "text")
    assert cache.read("key") == "text"


@pytest.mark.parametrize("length", range(1, 14))
def test_a_file_that_was_cut_off_counts_as_none(tmp_path: Path, length: int) -> None:
    cache = Cache.of(tmp_path)
    cache.write("key", "text")
    file = tmp_path / FOLDER / "key"
    file.write_bytes(file.read_bytes()[:-length])

    assert cache.read("key") is None


def test_where_nothing_can_be_written_nothing_is(tmp_path: Path) -> None:
    """A file in the folder's place, and a project that is gone: no matter who runs this, both cannot be written to."""
    (tmp_path / FOLDER).write_text("in the way")

    for cache in (Cache.of(tmp_path), Cache.of(tmp_path / "gone"), Cache(None)):
        cache.write("key", "text")
        assert cache.read("key") is None


def test_the_folder_stays_within_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not used for longest goes first, also what a killed process left half written."""
    monkeypatch.setattr(handrail.cache, "LIMIT_BYTES", 3000)
    cache = Cache.of(tmp_path)
    (tmp_path / FOLDER).mkdir()
    leftover = tmp_path / FOLDER / "a.1234.tmp"
    leftover.write_text("x" * 900)
    os.utime(leftover, (0, 0))
    for number, key in enumerate("abc"):
        cache.write(key, key * 900)
        os.utime(tmp_path / FOLDER / key, (1000 + number, 1000 + number))
    assert cache.read("a") is not None

    cache.write("d", "d" * 900)

    assert [key for key in "abcd" if cache.read(key)] == ["a", "c", "d"]
    assert not leftover.exists()


def write_and_read(root: Path, process: int) -> int:
    """Write one key again and again, and return how often something else than a whole text was read."""
    cache, wrong = Cache.of(root), 0
    for _ in range(50):
        cache.write("shared", str(process) * 20_000)
        text = cache.read("shared")
        wrong += text is None or len(text) != 20_000 or len(set(text)) != 1
    return wrong


def test_processes_do_not_disturb_each_other(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2) as pool:
        assert list(pool.map(write_and_read, [tmp_path] * 2, [1, 2])) == [0, 0]

    assert sorted(path.name for path in (tmp_path / FOLDER).iterdir()) == [".gitignore", "shared"]
