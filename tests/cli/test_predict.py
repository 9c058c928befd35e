"""What ``overnight predict`` refuses before anything is started, and which model a word means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from overnight import model_folder
from overnight.cli import main
from overnight.cli.predict import model_word
from overnight.errors import RunNotFound, UserError
from overnight.start.predict import model_of

LABELS = ["cat", "dog"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with test images and a model that nobody loads."""
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("OVERNIGHT_LANG", "en")
    monkeypatch.setenv("OVERNIGHT_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "test" / name).write_bytes(b"opened by the trainer only")
    (tmp_path / "train.yaml").write_text(
        "task: image_classification\n"
        "data: {train_csv: gone.csv, image_dir_train: gone, image_dir_test: test}\n"
    )
    (tmp_path / "untested.yaml").write_text(
        "task: image_classification\ndata: {train_csv: gone.csv, image_dir_train: gone}\n"
    )
    samples = {"missing": "ID,target\na,cat\nz,cat\n", "cows": "ID,target\na,cow\nb,ox\n"}
    for name, text in samples.items():
        (tmp_path / f"{name}.csv").write_text(text)
    model(tmp_path / "model")
    return tmp_path


def model(folder: Path, **said: Any) -> Path:
    """A model folder whose weights are none."""
    (folder / "fold0").mkdir(parents=True)
    (folder / "fold0" / "model.safetensors").write_bytes(b"weights")
    card: Mapping[str, Any] = {
        "format": model_folder.FORMAT,
        "task": "image_classification",
        "output": "classes",
        "labels": LABELS,
        "members": [{"folder": "fold0", "fold": 0}],
        "combine": "mean_probabilities",
        "files": model_folder.listing(folder),
        **said,
    }
    (folder / model_folder.CARD).write_text(json.dumps(card))
    return folder


def run(root: Path, name: str, *, kind: str, date: str, outcome: str = "finished") -> Path:
    """A training that is over, with its model."""
    folder = root / "experiments" / kind / date / f"{name}_{date}_0700"
    folder.mkdir(parents=True)
    created_us = int(date) * 1_000_000
    (folder / "run.json").write_text(
        json.dumps({"name": name, "kind": kind, "created_us": created_us})
    )
    ended = {"_event": "Exited", "outcome": outcome, "final": True, "code": 0, "known": True}
    events = [{"_event": "Started", "job_pid": 1}, ended]
    (folder / "events.jsonl").write_text(
        "".join(
            json.dumps({"_seq": seq, "_t": created_us, "_attempt": 0, **event}) + "\n"
            for seq, event in enumerate(events)
        )
    )
    model(folder / "model", labels=[name, "dog"])
    return folder


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--from", "model"], "nothing was named"),
        (["--from", "model", "tset"], "did you mean"),
        (["--from", "model", "test", "train.yaml"], "overnight predict --config"),
        (["test"], "no finished training with a model"),
        (["--from", "20250101", "test"], "no training of 20250101"),
        (["--from", "latest", "test"], "did you mean latest-train?"),
        (["--from", "nobody", "test"], "no run answers to 'nobody'"),
        (["--from", "./nowhere", "test"], "there is no such model"),
        (["--from", "./test", "test"], "no overnight.json"),
        (["--from", "changed", "test"], "not what it was when it was trained"),
        (["--from", "newer", "test"], "overnight-model/2"),
        (["--from", "boxes", "test"], "puts out boxes"),
        (["--from", "unknown", "test"], "the task folding"),
        (["--from", "unknown", "-c", "train.yaml"], "a model for folding"),
        (["--from", "model", "--sample", "missing.csv", "test"], "1 of 2 IDs"),
        (["--from", "model", "--sample", "cows.csv", "test"], "cow, ox"),
        (["--from", "model", "--sample", "gone.csv", "test"], "the sample does not exist"),
        (["--from", "model", "-c", "untested.yaml"], "names no test images"),
        (["--from", "model", "-c", "gone.yaml"], "the file does not exist"),
        (["--from", "model", "-c", "train.yaml", "--set", "data.fold=3"], "did you mean 'folds'"),
        (["--from", "model", "--set", "data.folds=3", "test"], "none was named"),
        (["--from", "model", "--tta", "all", "test"], "none, flip, crops"),
        (["--from", "model", "--unreadable", "x", "test"], "refuse, default"),
        (["--from", "model", "--batch-size", "0", "test"], "1 to 65,536"),
        (["--from", "model", "--name", "a/b", "test"], "the name holds a /"),
    ],
)
def test_what_cannot_be_predicted_is_told_and_nothing_is_left(
    place: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    model(place / "changed")
    (place / "changed" / "fold0" / "model.safetensors").write_bytes(b"weighta")
    model(place / "newer", format="overnight-model/2")
    model(place / "boxes", output="boxes")
    model(place / "unknown", task="folding")
    assert main(["predict", *words]) == 2
    assert says in capsys.readouterr().err
    assert not (place / "root" / "experiments").exists()


def test_several_mistakes_are_told_at_once(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["predict", "--tta", "all", "--unreadable", "x", "--name", "a/b", "--batch-size", "0"]
    assert main([*words, "--from", "model", "nowhere", "te\udcff"]) == 2
    said = capsys.readouterr().err
    for each in ("none, flip, crops", "refuse, default", "a /", "1 to 65,536", "exist", "UTF-8"):
        assert each in said
    assert main([*words, "--from", "./nowhere", "test"]) == 2
    assert "no such model" in capsys.readouterr().err


def test_latest_train_is_the_newest_that_finished_with_a_model(place: Path) -> None:
    root = place / "root"
    run(root, "old", kind="train", date="20260101")
    newest = run(root, "new", kind="pipeline", date="20260102")
    run(root, "broken", kind="train", date="20260103", outcome="failed")
    run(root, "other", kind="infer", date="20260104")
    (run(root, "empty", kind="train", date="20260105") / "model" / model_folder.CARD).unlink()
    assert model_of("latest-train", str(root)) == newest / "model"
    assert model_of("20260101", str(root)).parent.name == "old_20260101_0700"
    with pytest.raises(UserError, match="20260103"):
        model_of("20260103", str(root))


def test_a_word_that_means_a_run_means_the_one_with_a_model(place: Path) -> None:
    root = place / "root"
    first = run(root, "digits", kind="train", date="20260101")
    (run(root, "digits", kind="infer", date="20260102") / "model" / model_folder.CARD).unlink()
    assert model_word("digits", str(root)) == str(first)
    assert model_of(model_word("digits_20260101", str(root)), str(root)) == first / "model"
    # A folder of that name here is a model only where it is one.
    (place / "digits").mkdir()
    assert model_word("digits", str(root)) == str(first)
    assert model_word("model", str(root)) == "model"
    assert model_of(first.name, str(root)) == first / "model"
    with pytest.raises(RunNotFound):
        model_word("nobody", str(root))
