"""What was looked at once is not looked at again, unless it may be another file by now."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from overnight.tasks.base import DataIndex, Example
from overnight.tasks.image_classification import check, looks
from overnight.tasks.image_classification.images import Look, look

Scan = Callable[..., DataIndex]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The images that were opened, by their names; their disk's clock has ticked on meanwhile."""
    found: list[str] = []

    def looked_at(example: Example) -> Look:
        found.append(Path(example.inputs["image"]).name)
        return look(example)

    monkeypatch.setattr(check, "look", looked_at)
    monkeypatch.setattr(looks, "_SETTLED_NS", 0)
    return found


def test_a_second_scan_opens_nothing_and_finds_the_same(
    pets: Mapping[str, str], scan: Scan, opened: list[str]
) -> None:
    first = scan()
    assert len(opened) == 8
    assert scan() == first
    assert len(opened) == 8


def test_a_file_that_may_be_another_is_opened(
    pets: Mapping[str, str], scan: Scan, opened: list[str], tmp_path: Path
) -> None:
    scan()
    opened.clear()
    changed = tmp_path / "train" / "003.png"
    was = changed.stat()
    data = changed.read_bytes()
    changed.write_bytes(b"\0" * len(data))
    os.utime(changed, ns=(was.st_atime_ns, was.st_mtime_ns))  # as an unpacked archive's
    assert [p.key for p in scan().problems if p.stops] == ["data.unreadable"]
    assert opened == ["003.png"]
    # What is wrong is not kept: who mends it need not wait or clear anything.
    scan()
    assert opened == ["003.png", "003.png"]
    changed.write_bytes(data)
    assert not any(p.stops for p in scan().problems)


def test_what_was_written_a_moment_ago_is_not_believed(
    pets: Mapping[str, str], scan: Scan, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "_SETTLED_NS", 3_000_000_000)
    scan()
    scan()
    assert len(opened) == 16


def test_a_torn_line_costs_one_look(
    pets: Mapping[str, str], scan: Scan, opened: list[str], tmp_path: Path
) -> None:
    first = scan()
    (kept,) = Path(os.environ["XDG_STATE_HOME"]).glob("overnight/looks/*.jsonl")
    kept.write_bytes(b'7\n[]\n{}\n[1,"\n"\n\xff\n' + kept.read_bytes()[:-9])
    opened.clear()
    assert scan() == first
    assert len(opened) == 1
    assert scan() == first
    assert len(opened) == 1


def test_a_disk_that_takes_nothing_is_no_error(
    pets: Mapping[str, str], scan: Scan, opened: list[str]
) -> None:
    Path(os.environ["XDG_STATE_HOME"], "overnight").write_text("a file where the folder would be")
    assert scan() == scan()
    assert len(opened) == 16


def test_another_pillow_looks_itself(
    pets: Mapping[str, str], scan: Scan, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scan()
    monkeypatch.setattr("PIL.__version__", "99.0")
    scan()
    assert len(opened) == 16


def test_a_glance_opens_nothing_and_finds_what_tables_tell(
    pets: Mapping[str, str], scan: Scan, opened: list[str], tmp_path: Path
) -> None:
    from overnight.tasks.image_classification.config import Data
    from overnight.tasks.image_classification.data import Reader

    (tmp_path / "train" / "003.png").unlink()
    (tmp_path / "train" / "004.png").write_bytes(b"no image")
    data = Data(train_csv=tmp_path / "train.csv", image_dir_train=tmp_path / "train", folds=2)
    glanced = [problem for problem in Reader().glance(data) if problem.stops]
    assert opened == []
    assert [(p.key, p.num) for p in glanced] == [("data.missing", 1)]
    assert {p.key for p in scan().problems if p.stops} == {"data.missing", "data.unreadable"}
