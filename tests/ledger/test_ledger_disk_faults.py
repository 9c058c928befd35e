"""Disks that really fill: what was acknowledged is whole, and the same pen goes on with room."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from overnight.ledger import files
from overnight.ledger.reader import read
from overnight.ledger.writer import Pen
from overnight.testing.faults import FaultUnavailableError, small_disk, small_files

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no way to fill a disk on Windows")


@pytest.fixture
def disk() -> Iterator[Path]:
    """A disk of 64 KiB."""
    try:
        mounted: AbstractContextManager[Path] = small_disk(64)
        folder = mounted.__enter__()
    except FaultUnavailableError as error:
        pytest.skip(str(error))
    try:
        yield folder
    finally:
        mounted.__exit__(None, None, None)


def fill_up(folder: Path) -> Path:
    """Takes all the room that is left, to the last byte."""
    stuff = folder / "stuff"
    with stuff.open("ab", buffering=0) as file:
        for size in (4096, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue
    return stuff


def append_until_refused(pen: Pen, value: int, kept: dict[int, int]) -> int:
    """Writes until the disk refuses; ``kept`` gets seq → value of what was acknowledged."""
    while True:
        try:
            kept[pen.append({"v": value, "filler": "x" * (value % 97)})] = value
        except OSError:  # ENOSPC, or EFBIG behind small_files()
            return value + 1
        value += 1


def assert_kept(folder: Path, kept: dict[int, int]) -> None:
    book = read(str(folder), "metrics")
    assert {r["_seq"]: r["v"] for r in book.records} == kept
    assert [r["_seq"] for r in book.records] == list(range(len(kept)))


def test_a_disk_fills_room_returns_and_the_pen_goes_on(disk: Path) -> None:
    pen = Pen(str(disk), "metrics", attempt=0)
    kept: dict[int, int] = {}
    value = 0
    ballasts = [disk / f"ballast {number}" for number in range(5)]
    for ballast in ballasts:
        ballast.write_bytes(b"x" * 8192)
    for num_fillings, ballast in enumerate(ballasts, 1):
        for _ in range(3):  # it stays full for a while
            value = append_until_refused(pen, value, kept)
        assert_kept(disk, kept)
        ballast.unlink()
        kept[pen.append({"v": value, "filler": ""})] = value
        value += 1
        assert_kept(disk, kept)
        assert read(str(disk), "metrics").broken <= num_fillings
    pen.close()
    assert len(kept) > 100


def test_another_process_life_goes_on_behind_a_full_disk(disk: Path) -> None:
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * 8192)
    pen = Pen(str(disk), "metrics", attempt=0)
    kept: dict[int, int] = {}
    value = append_until_refused(pen, 0, kept)
    pen.close()
    ballast.unlink()
    again = Pen(str(disk), "metrics", attempt=1)
    kept[again.append({"v": value})] = value
    again.close()
    assert_kept(disk, kept)
    assert read(str(disk), "metrics").broken <= 1


def test_a_segment_that_cannot_be_begun_is_begun_later(disk: Path) -> None:
    pen = Pen(str(disk), "metrics", attempt=0, segment_bytes=2000)
    kept: dict[int, int] = {}
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * 30_000)
    value = append_until_refused(pen, 0, kept)
    ballast.unlink()
    for _ in range(100):
        kept[pen.append({"v": value})] = value
        value += 1
    pen.close()
    assert_kept(disk, kept)


@pytest.mark.parametrize("limit", [1, 40, 499, 500, 501, 2000])
def test_short_writes_leave_one_broken_line_at_most(tmp_path: Path, limit: int) -> None:
    pen = Pen(str(tmp_path), "metrics", attempt=0)
    kept: dict[int, int] = {}
    with small_files(limit):
        value = append_until_refused(pen, 0, kept)
        value = append_until_refused(pen, value, kept)
    assert_kept(tmp_path, kept)
    kept[pen.append({"v": value})] = value
    assert_kept(tmp_path, kept)
    assert read(str(tmp_path), "metrics").broken <= 1
    pen.close()


def test_every_length_of_a_short_write_is_survived(tmp_path: Path) -> None:
    for limit in range(1, 260):
        folder = tmp_path / str(limit)
        folder.mkdir()
        pen = Pen(str(folder), "metrics", attempt=0)
        kept: dict[int, int] = {}
        with small_files(limit):
            value = append_until_refused(pen, 0, kept)
        for _ in range(2):
            kept[pen.append({"v": value})] = value
            value += 1
        pen.close()
        assert_kept(folder, kept)


@pytest.mark.parametrize(
    "write", [files.replace, files.create_once], ids=["replace", "create_once"]
)
def test_a_small_file_is_whole_or_as_it_was(
    disk: Path, write: Callable[[str, bytes], object]
) -> None:
    path = disk / "lease"
    if write is files.replace:
        path.write_bytes(b"old")
    stuff = fill_up(disk)
    with pytest.raises(OSError, match="No space") as refused:
        write(str(path), b"n" * 20_000)
    assert refused.value.errno == errno.ENOSPC
    assert (path.read_bytes() if path.exists() else b"old") == b"old"
    assert {path.name for path in disk.iterdir()} - {"lease"} == {"stuff"}
    stuff.unlink()
    write(str(path), b"n" * 20_000)
    assert path.read_bytes() == b"n" * 20_000
    assert [path.name for path in disk.iterdir()] == ["lease"]
