"""What ``overnight tune`` refuses, all of it at once and before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from overnight.cli import main

SCRIPT = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--aug", action="store_true")
args = parser.parse_args()
"""
SWEEP = "method: bayes\nmetric: {name: val_loss}\nparameters:\n  lr: {min: 0.1, max: 1.0}\n"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("OVERNIGHT_LANG", "en")
    monkeypatch.setenv("OVERNIGHT_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(SCRIPT)
    Path("sweep.yaml").write_text(SWEEP)
    Path("odd.yaml").write_text("program: train.py\n" + SWEEP.replace("lr:", "learning_rate:"))
    Path("switch.yaml").write_text(SWEEP + "  aug: {values: [true, false]}\n")
    Path("no_metric.yaml").write_text(SWEEP.replace("metric: {name: val_loss}\n", ""))
    Path("no_goal.yaml").write_text("method: grid\nparameters: {lr: {values: [1, 2]}}\n")
    Path("config.yaml").write_text("task: image_classification\n")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--detach"], "nothing to search was named"),
        (["--script", "train.py"], "what is searched was not said"),
        (["train.py"], "what is searched was not said"),
        (["--sweep", "sweep.yaml"], "no script was named"),
        (["tarin.py", "--sweep", "sweep.yaml"], "did you mean train.py?"),
        (["train.py", "--sweep", "swep.yaml"], "there is no such file"),
        (["--config", "config.yaml", "--script", "train.py"], "a config and a script were named"),
        (["--config", "config.yaml", "--", "--lr", "1"], "a config takes no arguments"),
        (["--config", "config.yaml"], "data.image_dir_train"),
        (["sweep.yaml"], "no script was named"),
        (["odd.yaml"], "unrecognized arguments: --learning_rate=0.1"),
        (["train.py", "--sweep", "switch.yaml"], "${args_no_boolean_flags}"),
        (["train.py", "--sweep", "sweep.yaml", "--", "--epochs", "3"], "arguments: --epochs 3"),
        (["train.py", "--sweep", "sweep.yaml", "--set", "lr=3"], "lr cannot be set"),
        (["train.py", "--sweep", "sweep.yaml", "--n-trials", "0"], "from 1 to 100,000"),
        (["train.py", "--sweep", "sweep.yaml", "--workers", "two"], "from 1 to 64"),
        (["train.py", "--sweep", "sweep.yaml", "--backend", "ray"], "one of: optuna, wandb"),
        (["train.py", "--sweep", "sweep.yaml", "--notify", "nobody"], "nobody"),
        (["train.py", "--sweep", "sweep.yaml", "--name", "a/b"], "the name holds a /"),
        (["train.py", "--sweep", "no_metric.yaml"], "which number decides"),
        (["train.py", "--sweep", "no_goal.yaml"], "which number decides"),
        (["config.yaml.bak", "--sweep", "sweep.yaml"], "the file does not exist"),
    ],
)
def test_what_is_refused(
    words: list[str], says: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tune", *words]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said
    assert not (project / "root").exists()


def test_all_mistakes_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["tune", "tarin.py", "--sweep", "sweep.yaml", "--n-trials", "0", "--backend", "x"]
    assert main([*words, "--name", "a/b"]) == 2
    said = capsys.readouterr().err
    for part in ("train.py?", "from 1 to 100,000", "unknown backend", "the name holds a /"):
        assert part in said


def test_a_sweep_on_the_server_needs_the_server(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    assert main(["tune", "train.py", "--sweep", "sweep.yaml", "--backend", "wandb"]) == 2
    assert "--backend optuna" in capsys.readouterr().err
