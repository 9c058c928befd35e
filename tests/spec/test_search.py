"""What is searched: from the config or a file of its own, held against the task's keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from overnight import tasks
from overnight.errors import UserErrors
from overnight.spec import read, write
from overnight.spec.override import with_values
from overnight.start.wanted import Wanted

HEAD = "task: image_classification\ndata: {format: folders, image_dir_train: ., folds: 3}\n"


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERNIGHT_LANG", "en")


def spec(folder: Path, text: str, search: str = "", **overrides: str) -> Any:
    path = folder / "c.yaml"
    path.write_text(HEAD + text)
    named = {key.replace("__", "."): value for key, value in overrides.items()}
    return read(path, named, {"LOW": "1e-4"}, search_file=search)


def mistakes(folder: Path, text: str, search: str = "", **overrides: str) -> list[Any]:
    with pytest.raises(UserErrors) as caught:
        spec(folder, text, search, **overrides)
    return [
        (Path(each.place.file).name, each.place.line, each.place.name, each.key)
        for each in caught.value.errors
        if each.place is not None
    ]


def test_what_is_not_said_is_the_tasks_own_and_stands_in_the_run(tmp_path: Path) -> None:
    info = tasks.find("image_classification")
    assert info is not None
    found = spec(tmp_path, "tuning: {}\n")
    assert (found.tuning.n_trials, found.tuning.search_space) == (20, dict(info.search_space))
    write(found, tmp_path / "config.yaml")
    assert read(tmp_path / "config.yaml", env={}) == found
    assert spec(tmp_path, "tuning:\n").tuning is None


def test_both_vocabularies_become_one(tmp_path: Path) -> None:
    found = spec(
        tmp_path,
        "tuning:\n  search_space:\n    train.lr:\n      min: ${LOW}\n      max: 1e-2\n"
        "      distribution: log_uniform_values\n    train.batch_size: {values: [8, 16]}\n",
        **{"tuning.search_space.model.drop_rate": "{low: 0, high: 0.5}"},
    )
    assert dict(found.tuning.search_space) == {
        "train.lr": {"low": 1e-4, "high": 1e-2, "log": True},
        "train.batch_size": {"choices": [8, 16]},
        "model.drop_rate": {"low": 0.0, "high": 0.5},
    }


def test_words_stay_words(tmp_path: Path) -> None:
    found = spec(
        tmp_path,
        "tuning:\n  search_space:\n    train.amp: {choices: [off, bf16]}\n"
        "    model.name: {values: [007, resnet18]}\n    train.compile: {choices: [off, on]}\n"
        "    num_workers: {choices: [0, auto]}\n    augmentation: {value: none}\n",
    )
    assert {key: each["choices"] for key, each in found.tuning.search_space.items()} == {
        "train.amp": ["off", "bf16"],
        "model.name": ["007", "resnet18"],
        "train.compile": [False, True],
        "train.num_workers": [0, "auto"],
        "train.augmentation": ["none"],
    }


def test_every_mistake_of_a_search_is_told_by_its_line(tmp_path: Path) -> None:
    text = """tuning:
  n_trials: 0
  metod: random
  folds: 4
  search_space:
    train.lr: {low: 1e-2, high: 1e-3}
    train.batch_size: {choices: [8, -1]}
    train.optimizer: {choices: [adamm]}
    model.drop_rate: {low: 0.1, high: 1.5}
    train.learning_rate: {low: 0, high: 1}
    train.ema: {low: '${NOWHERE}', high: 1}
auto_continue: sure
"""
    found = mistakes(tmp_path, text)
    assert [each for each in found if each[3].startswith("spec.")] == [
        ("c.yaml", 4, "tuning.n_trials", "spec.at_least"),
        ("c.yaml", 5, "tuning.metod", "spec.key_near"),
        ("c.yaml", 9, "tuning.search_space.train.batch_size", "spec.at_least"),
        ("c.yaml", 10, "tuning.search_space.train.optimizer", "spec.choice_near"),
        ("c.yaml", 11, "tuning.search_space.model.drop_rate", "spec.below"),
        ("c.yaml", 13, "tuning.search_space.train.ema.low", "spec.variable_unset"),
        ("c.yaml", 14, "auto_continue", "spec.switch"),
    ]
    others = {(line, name.split(".", 2)[2]) for _, line, name, key in found if "sweep." in key}
    assert {(8, "train.lr"), (12, "train.learning_rate")} <= others
    folds = mistakes(tmp_path, "tuning: {folds: 4}\n")
    assert folds == [("c.yaml", 3, "tuning.folds", "spec.search_folds")]
    grid = mistakes(tmp_path, "tuning: {method: grid}\n")  # of the task's own ranges
    assert grid == [("c.yaml", 3, "tuning.method", "spec.grid_space")]


def test_trials_that_can_only_fail_are_told_beforehand(tmp_path: Path) -> None:
    key = "tuning.search_space."
    train = "train: {warmup: 2, epochs: 9}\n"
    assert mistakes(tmp_path, train + "tuning: {epochs: 2}\n") == [
        ("c.yaml", 4, "tuning.epochs", "spec.search_contradicts")
    ]
    space = "tuning:\n  search_space:\n    train.epochs: {low: 1, high: 9}\n"
    assert mistakes(tmp_path, train + space) == [
        ("c.yaml", 6, key + "train.epochs", "spec.search_contradicts")
    ]
    one = "    train.scheduler: {choices: [cosine, onecycle]}\n"
    assert mistakes(tmp_path, train + "tuning:\n  search_space:\n" + one) == [
        ("c.yaml", 6, key + "train.scheduler", "spec.search_contradicts")
    ]
    # Both are searched: some of the pairs go together.
    assert spec(tmp_path, train + space + one + "    train.warmup: {choices: [0, 3]}\n")
    # A file of its own, whose trials are shorter than the config's warm-up.
    file = tmp_path / "search.yaml"
    file.write_text("epochs: 1\n")
    assert mistakes(tmp_path, train, str(file)) == [
        ("search.yaml", 1, "epochs", "spec.search_contradicts")
    ]


def test_a_file_of_its_own_is_told_by_its_own_lines(tmp_path: Path) -> None:
    file = tmp_path / "search.yaml"
    file.write_text("n_trials: 0\nsearch_space:\n  train.lr: {low: 1, high: 0}\ncolour: red\n")
    found = mistakes(tmp_path, "train: {epochs: 0}\ntuning: {n_trials: x}\n", str(file))
    assert [each[:3] for each in found] == [
        ("c.yaml", 3, "train.epochs"),
        ("search.yaml", 1, "n_trials"),
        ("search.yaml", 3, "search_space.train.lr"),
        ("search.yaml", 4, "colour"),
    ]
    file.write_text("n_trials: 5\n")
    assert spec(tmp_path, "tuning: {n_trials: 9}\n", str(file)).tuning.n_trials == 5
    assert spec(tmp_path, "", str(file), tuning__n_trials="6").tuning.n_trials == 6
    flags = Wanted(optimize=True, n_trials="7", workers="2").flags()
    whole = read(tmp_path / "c.yaml", env={}, search_file=str(file), flags=flags)
    assert whole.tuning is not None
    assert (whole.tuning.n_trials, whole.tuning.workers) == (7, 2)
    for text, key in (("- a\n", "spec.search_not_a_table"), (None, "spec.no_such_file_near")):
        file.unlink() if text is None else file.write_text(text)
        (tmp_path / "searches.yaml").touch()
        assert mistakes(tmp_path, "", str(file))[-1][3] == key


def test_a_sweep_of_wandb_is_such_a_file(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(
        "method: random\nmetric: {name: val_loss, goal: minimize}\nrun_cap: 6\nparameters:\n"
        "  lr: {min: 1e-4, max: 1e-2, distribution: log_uniform_values}\n"
        "  batch_size: {values: [8, 16]}\n"
    )
    found = spec(tmp_path, "", str(file)).tuning
    assert (found.method, found.n_trials, found.goal) == ("random", 6, "minimize")
    assert set(found.search_space) == {"train.lr", "train.batch_size"}


def test_other_values_of_a_whole_spec(tmp_path: Path) -> None:
    text = "model: {path: '${LOW}/m'}\ntrain: {warmup: 2, epochs: 5}\n"
    was = spec(tmp_path, text)
    values = {"train.lr": 0.01, "train.early_stopping.patience": 3, "model.path": tmp_path / "m"}
    found: Any = with_values(was, values)
    assert (found.train.lr, found.train.early_stopping.patience) == (0.01, 3)
    assert (found.train.epochs, was.train.lr, was.train.early_stopping) == (5, 3e-4, None)
    assert (was.variables, found.variables) == ({"LOW"}, frozenset())
    with pytest.raises(UserErrors) as caught:
        with_values(
            was,
            {"train.epochs": 0, "train.optimizer": "adamm", "train.colour": 1, "task": "x"},
        )
    assert sorted((each.place.name, each.key) for each in caught.value.errors if each.place) == [
        ("task", "spec.key_unknown"),
        ("train.colour", "spec.key_unknown"),
        ("train.epochs", "spec.at_least"),
        ("train.optimizer", "spec.choice_near"),
    ]
    with pytest.raises(UserErrors) as caught:
        with_values(was, {"train.epochs": 2})  # alone it is right; with a warm-up of two it is not
    assert [each.key for each in caught.value.errors] == ["spec.warmup_long"]
