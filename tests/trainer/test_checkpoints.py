"""A checkpoint is whole or does not count."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from overnight.trainer import checkpoints


def write(folder: Path, step: int) -> Path:
    files = {"weights": lambda p: p.write_bytes(b"w" * 9), "state": lambda p: p.write_text("{}")}
    return checkpoints.commit(checkpoints.path_of(folder, step), files)


def test_the_newest_whole_one_is_found(tmp_path: Path) -> None:
    assert checkpoints.newest(tmp_path / "not there") is None
    for step in (5, 40, 300):
        write(tmp_path, step)
    (tmp_path / "checkpoint-300" / "weights").write_bytes(b"cut")
    (tmp_path / "checkpoint-301").mkdir()
    (tmp_path / "checkpoint-x").mkdir()
    assert [checkpoints.step_of(path) for path in checkpoints.whole(tmp_path)] == [40, 5]
    (tmp_path / "checkpoint-40" / checkpoints.MARK).write_text('{"files"')
    assert checkpoints.newest(tmp_path) == tmp_path / "checkpoint-5"


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    write(tmp_path, 1)

    def full(_: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space") as failed:
        checkpoints.commit(checkpoints.path_of(tmp_path, 2), {"a": Path.touch, "b": full})
    assert checkpoints.is_disk_trouble(failed.value)
    assert not checkpoints.is_disk_trouble(ValueError("a bug"))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-1"]


def test_old_ones_and_broken_ones_go(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        write(tmp_path, step)
    for name in ("best-1", "best-3", "checkpoint-9", "best", "other"):
        (tmp_path / name).mkdir()
    checkpoints.tidy(tmp_path, keep=2, beside=["best-3"])
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["best", "best-3", "checkpoint-2", "checkpoint-3", "other"]
