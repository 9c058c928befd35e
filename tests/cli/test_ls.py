"""``overnight ls``: which rows, and which folders it may open."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from overnight.cli import main
from overnight.ledger.identity import Identity


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["ls", *words]) == 0
    return capsys.readouterr().out


def test_newest_first_and_how_many_more(
    ledger: Any, finished: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(25):
        ledger(f"r{number:02d}", events=finished, age_s=number * 60)
    lines = shown(capsys).splitlines()
    assert [line[:3] for line in lines[1:21]] == [f"r{number:02d}" for number in range(20)]
    assert lines[21] == "… and 5 more: overnight ls --all"
    assert len(shown(capsys, "-n", "3").splitlines()) == 5
    assert len(shown(capsys, "--all").splitlines()) == 26
    assert json.loads(shown(capsys, "--json", "-n", "2"))["more"] == 23


def test_a_run_still_at_work_is_shown_whatever_its_age(
    ledger: Any, finished: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    me = Identity.of()
    assert me is not None
    lease = {"generation": 1, "supervisor": me.to_json(), "renewed_us": 0}
    events = [{"_event": "Started", "log_bytes": 0}]
    ledger("month_long", events=events, lease=lease, age_s=86400 * 30)
    for number in range(5):
        ledger(f"r{number}", events=finished, age_s=number * 60)
    text = shown(capsys, "-n", "2")
    assert "month_long" in text
    assert "and 3 more" in text


def test_only_the_rows_shown_are_opened(
    ledger: Any, finished: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(4):
        run = ledger(f"r{number}", events=finished, age_s=number * 60)
        if number > 1:
            # To read this would raise: it is a folder.
            Path(run.at("events.jsonl")).unlink()
            Path(run.at("run.json")).unlink()
            Path(run.at("run.json")).mkdir()
    assert "and 2 more" in shown(capsys, "-n", "2")


def test_by_state(
    ledger: Any, finished: Any, failed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger("good", events=finished)
    ledger("bad", events=failed, age_s=60)
    text = shown(capsys, "--state", "failed")
    assert "bad" in text
    assert "GPU's memory ran out" in text
    assert "good" not in text
    assert "No run is in this state" in shown(capsys, "--state", "lost")
    assert main(["ls", "--state", "fine"]) == 2
    assert "running, stalled" in capsys.readouterr().err


def test_folders_that_are_gone_are_left_out(
    ledger: Any, finished: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = ledger("gone", events=finished)
    ledger("kept", events=finished, age_s=60)
    shutil.rmtree(gone.dir)
    text = shown(capsys)
    assert "kept" in text
    assert "gone" not in text


def test_runs_of_a_root_the_index_does_not_know(
    ledger: Any, finished: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger("copied", events=finished, root=tmp_path / "disk", indexed=False)
    ledger("mine", events=finished)
    assert "copied" not in shown(capsys)
    text = shown(capsys, "--root", os.fspath(tmp_path / "disk"))
    assert "copied" in text
    assert "mine" not in text


def test_without_runs_it_says_how_to_start_one(
    shell: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "overnight run train.py" in shown(capsys)
    assert json.loads(shown(capsys, "--json"))["runs"] == []
