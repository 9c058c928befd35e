"""Mistakes of a file are one list: where, at which key, what, how to put it right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from overnight.cli import main


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OVERNIGHT_LANG", "en")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    Path("overnight.yaml").touch()


def test_of_a_config(capsys: Any) -> None:
    Path("images").mkdir()
    Path("train.yaml").write_text(
        "task: image_classification\n\ndata:\n  image_dir_train: images\n"
        "model:\n  name: resnet18\n  poolling: gem\n\n\n\n\n\n\n\n\n\n\ntrain:\n  epochs: 0\n"
    )
    words = ["train", "--config", "train.yaml", "--set", "train.optimizer=adamm"]
    assert main(words) == 2
    assert capsys.readouterr().err == (
        "error: 3 mistakes in train.yaml\n"
        "  line 7   model.poolling   unknown key; did you mean 'pooling'?\n"
        "  line 19  train.epochs     must be at least 1 (got 0)\n"
        "  --set    train.optimizer  must be one of: adamw, adam, sgd (got 'adamm'); "
        "did you mean 'adam'?\n"
    )


def test_of_several_files_and_of_the_command_line(
    capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVERNIGHT_LANG", "ko")
    Path("job.py").touch()
    Path("overnight.yaml").write_text("notify:\n  heartbeat: often\n  colour: blue\n")
    assert main(["run", "job.py", "--alert", "loss is"]) == 2
    said = capsys.readouterr().err
    root = Path.cwd()
    assert (
        f"오류: {root}/overnight.yaml: 고칠 곳이 2군데 있습니다\n  2번째 줄  notify.heartbeat  "
        in said
    )
    assert "\n  위치: --alert 'loss is'\n" in said
