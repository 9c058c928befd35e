"""Claims: one holder, also where two meet in the worst moment."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from overnight.ledger import claims, files
from overnight.ledger.identity import Identity


def written(folder: Path, number: int, **changed: str) -> Path:
    me = Identity.of()
    assert me is not None
    claim = folder / f"it.{number}"
    files.replace(str(claim), files.to_json(replace(me, **changed).to_json()))
    return claim


def test_a_number_that_was_freed_in_between_is_no_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One looks; another takes the place, and tidies up; the first takes a number below."""
    create_once = files.create_once

    def late(path: str, data: bytes) -> bool:
        written(tmp_path, 7)
        return create_once(path, data)

    monkeypatch.setattr(files, "create_once", late)
    assert claims.take(str(tmp_path), "it") is None
    assert [path.name for path in tmp_path.iterdir()] == ["it.7"]


def test_one_that_cannot_be_seen_counts_while_it_gives_signs_of_life(tmp_path: Path) -> None:
    folder = str(tmp_path)
    claim = written(tmp_path, 1, pidns="pid:[1]")
    old = time.time() - 100
    os.utime(claim, (old, old))
    assert claims.take(folder, "it") is None
    assert claims.take(folder, "it", stale_s=200) is None
    claims.touch(folder, "it", 1)
    assert claims.take(folder, "it", stale_s=60) is None
    os.utime(claim, (old, old))
    assert claims.take(folder, "it", stale_s=60) == 2
    assert claims.take(folder, "it", stale_s=0) is None, "this process is alive, and seen"
