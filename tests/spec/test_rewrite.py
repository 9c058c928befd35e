"""What a search has found is written into the config that it came from, remarks and all."""

from __future__ import annotations

from pathlib import Path

import pytest

from overnight.cli import main
from overnight.spec import read
from overnight.spec.rewrite import optimized, write_like
from overnight.start.wanted import Wanted

VALUES = {"train.lr": 0.00123, "model.drop_rate": 0.25, "train.early_stopping.patience": 3}
DATA = "data: {format: folders, image_dir_train: images}\n"
TEXTS = {
    "blocks": f"""# my project
task: image_classification  # what else
{DATA}
# the model
model:
  name: resnet18
train:   # and this is why
  lr: 3e-4   # tried 1e-3: too high
  #epochs: 10
  # early_stopping is off
tuning:
  n_trials: 3
  search_space:
    train.lr: {{low: 1e-4, high: 1e-2}}
# do it at once
auto_continue: true
until: 8h
# where to
output:
  log_level: debug
""",
    "flow": f"task: image_classification\n{DATA}train: {{lr: 3e-4}}\ntuning: {{}}\n",
    "empty": f"task: image_classification\n{DATA}train:\nmodel: {{}}\n",
    "windows": f"task: image_classification\r\n{DATA}train:\r\n    lr: 1\r\n",
    "long": "task: image_classification\ndata:\n  format: folders\n  image_dir_train: images\n"
    "  class_names:\n    - a\n    - b\ntrain:\n  lr:\n    3e-4\n",
}


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERNIGHT_LANG", "en")


@pytest.mark.parametrize("name", TEXTS)
def test_whatever_it_looks_like_it_asks_for_just_that(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "it's 내 project"
    folder.mkdir()
    original, path = folder / "train.yaml", folder / "train_optimized_20261122_0315.yaml"
    original.write_bytes(TEXTS[name].encode())
    flags = Wanted(optimize=True, auto_continue=True, use_calibration=True).flags()
    wanted = optimized(read(original, {"train.epochs": "4"}, {}, flags=flags), VALUES)
    write_like(original, wanted, path)
    assert read(path, env={}) == wanted
    assert wanted.stages == ("train", "calibrate")
    assert sorted(folder.iterdir()) == [original, path]


def test_remarks_stay_and_the_search_goes(tmp_path: Path) -> None:
    original, path = tmp_path / "train.yaml", tmp_path / "better.yaml"
    original.write_text(TEXTS["blocks"])
    write_like(original, optimized(read(original, env={}), VALUES), path)
    text = path.read_text()
    for line in ("# my project", "train:   # and this is why", "  drop_rate: 0.25", "# where to",
                 "  lr: 0.00123  # was 3e-4   # tried 1e-3: too high"):  # fmt: skip
        assert line in text.splitlines()
    for gone in ("tuning", "auto_continue", "until", "do it at once"):
        assert gone not in text


def test_the_first_config_takes_its_own_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    assert main(["new", str(tmp_path)]) == 0
    original = tmp_path / "configs" / "train.yaml"
    path = original.with_name("train_optimized_20261122_0315.yaml")
    flags = Wanted(optimize=True, use_calibration=True).flags()
    write_like(original, optimized(read(original, env={}, flags=flags), VALUES), path)
    lines = original.read_text().splitlines(), path.read_text().splitlines()
    changed = [new.strip() for old, new in zip(*lines, strict=True) if old != new]
    assert changed == [
        "mode: full-pipeline", "valid_fold: all", "drop_rate: 0.25", "lr: 0.00123  # was 0.0003",
        "early_stopping: {patience: 3, min_delta: 0.0}", "calibration: true",
    ]  # fmt: skip


def test_without_the_original_every_key_is_written(tmp_path: Path) -> None:
    original = tmp_path / "train.yaml"
    original.write_text(TEXTS["blocks"])
    wanted = optimized(read(original, env={}), VALUES)
    for name, text in (("gone", None), ("other", "task: image_classification\ndata: [\n")):
        original.unlink() if text is None else original.write_text(text)
        path = tmp_path / f"{name}.yaml"
        write_like(original, wanted, path)
        assert read(path, env={}) == wanted
        assert "log_interval: 50" in path.read_text()
    away = tmp_path / "away"
    away.mkdir()
    original.write_text(TEXTS["blocks"])
    write_like(original, wanted, away / "c.yaml")  # its relative paths would mean something else
    assert read(away / "c.yaml", env={}) == wanted
