"""Trials of a search in this process, and a search with its workers."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from overnight import spec as specs
from overnight.errors import UserError
from overnight.ledger import files, job
from overnight.ledger.paths import RunPaths, create_run
from overnight.ledger.reader import read, rows
from overnight.ledger.state import Stopped as StoppedState
from overnight.ledger.state import view
from overnight.spec import Spec
from overnight.tasks import folds
from overnight.tasks.base import Scope
from overnight.tasks.image_classification.data import Reader
from overnight.testing import fits, tuning_proof
from overnight.trainer import search, trials
from overnight.trainer.console import Console
from overnight.trainer.kept import Plan
from overnight.trainer.stop import SignalStop, Stopped
from overnight.trainer.trials import BrokenCardError, Worker
from overnight.trainer.tune import tune
from overnight.tuning.cards import environments
from overnight.tuning.study import Study, Told

torch = pytest.importorskip("torch")

NUM = 24


@pytest.fixture(autouse=True)
def _no_run(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield
    job.switch_to(None)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Pictures and their table; a config of a search beside them, in a folder of an odd name."""
    folder = tmp_path / "it's 한글"
    folder.mkdir()
    with (folder / "train.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["ID", "target"])
        for example in fits.images(folder / "images", NUM):
            table.writerow([example.id.zfill(4), f"class {example.target}"])
    path = folder / "tune.yaml"
    path.write_text(
        f"# What a person remarks stays.\n"
        f"task: image_classification\n"
        f"data: {{format: csv, train_csv: train.csv, image_dir_train: images, folds: 2}}\n"
        f"model: {{name: {fits.TINY}, pretrained: false}}\n"
        f"train: {{img_size: 32, batch_size: 4, epochs: 2, lr: 1e-2, num_workers: 0, warmup: 0,"
        f" augmentation: none, log_interval: 1}}\n"
        f"tuning:\n"
        f"  n_trials: 2\n"
        f"  search_space: {{train.lr: {{low: 1e-4, high: 1e-1, log: true}}}}\n",
        encoding="utf-8",
    )
    return path


class Searched:
    """A search in this process, without a session."""

    def __init__(self, config: Path, overrides: dict[str, str] | None = None) -> None:
        self.spec: Spec = specs.read(config, overrides or {}, os.environ)
        data: Any = self.spec.data
        index = Reader().scan(data)
        fold_of = folds.split(index.examples, folds=data.folds, seed=42, stratify=True)
        self.plan = Plan(index, fold_of, [Scope(0), Scope(1)])
        self.run = create_run(str(config.parent), "optimization", "tune")
        specs.write(self.spec, self.run.config_yaml)
        info = {"schema_version": 1, "run_id": self.run.run_id, "target": str(config)}
        files.replace(self.run.run_json, files.to_json(info))
        os.environ["OVERNIGHT_RUN_DIR"] = self.run.dir
        self.out = io.StringIO()

    def study(self) -> Study:
        return Study(self.run, search.settings(self.spec, 2))

    def work(self, stop: SignalStop | None = None) -> list[Told]:
        study = self.study()
        Worker(self.spec, self.plan, stop or SignalStop(), Console(self.out), study).work()
        return study.trials()

    def child(self, number: int) -> RunPaths:
        return self.run.child(f"trial{number:04d}")

    def tune(self, stop: SignalStop | None = None) -> Any:
        console = Console(self.out)
        return tune(self.run, console, self.spec, self.plan, stop or SignalStop())


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERNIGHT_RUN_DIR", "")  # put back behind each test
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)


class StopAfter(SignalStop):
    """Asked to stop once it was asked so many times."""

    def __init__(self, turns: int) -> None:
        super().__init__()
        self._left = turns

    def asked(self) -> Any:
        self._left -= 1
        self._asked = self._asked or self._left < 0
        return super().asked()


def test_a_trial_is_a_training_of_its_own_and_its_value_a_mean_of_folds(config: Path) -> None:
    searched = Searched(config, {"tuning.folds": "2", "tuning.n_trials": "1"})
    (told,) = searched.work()
    child = searched.child(0)
    found = [row for row in rows(child.dir) if row.kind == "epoch"]
    assert [(row.scope.fold, row.epoch) for row in found] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert {(row.scope.trial, row.scope.stage) for row in found} == {(None, "train")}
    best = [max(row.values["macro_f1"] for row in found if row.scope.fold == f) for f in (0, 1)]
    assert told.value == pytest.approx(sum(best) / 2)
    assert told.steps[4] == told.value
    assert told.epochs == 4
    assert told.epoch_s is not None
    assert not Path(child.ckpt).exists()
    own = specs.read(Path(child.config_yaml), {}, os.environ)
    assert own.tuning is None
    assert own.train.lr == told.values["train.lr"]  # type: ignore[attr-defined]
    said = searched.out.getvalue()
    assert "[TRIAL 0] train.lr=" in said
    assert f"[TRIAL 0] of 1: macro_f1 {told.value:.4f}, complete, 4 epochs in" in said
    assert "BEST_TRIAL 0: macro_f1" in said
    assert not read(searched.run.dir, "metrics").records


def test_a_trial_that_fails_is_no_end(config: Path) -> None:
    text = config.read_text().replace("{train.lr: {low: 1e-4, high: 1e-1, log: true}}",
                                      "{train.lr: {values: [1e30, 1e-2]}}")  # fmt: skip
    config.write_text(text.replace("n_trials: 2", "n_trials: 2\n  method: grid"))
    searched = Searched(config)
    bad, good = searched.work()
    assert (bad.state, good.state) == ("failed", "complete")
    end = files.read_json(searched.child(0).exit_json)
    assert end is not None
    assert "engine" in end["traceback"]
    assert bad.why is not None
    assert "loss" in bad.why
    assert f"[TRIAL 0] ! {bad.why}: " in searched.out.getvalue()
    assert "Traceback" in Path(searched.child(0).log).read_text()


def test_a_stop_and_a_resume_change_nothing(config: Path) -> None:
    reference = Searched(config).work()
    searched = Searched(config)
    with pytest.raises(Stopped):
        searched.work(StopAfter(5))  # in the middle of the first trial
    assert not Path(searched.child(0).exit_json).exists()
    again = searched.work()
    for one, other in zip(reference, again, strict=True):
        assert (one.values, one.value, one.steps) == (other.values, other.value, other.steps)
    left = [trial for trial in again if len(list(Path(searched.child(trial.number).claims).glob(
        "trial.*"))) > 1]  # fmt: skip
    assert len(left) == 1


def test_a_trial_is_cut_when_the_time_is_over(config: Path) -> None:
    searched = Searched(config, {"train.epochs": "50", "tuning.n_trials": "9"})
    study = searched.study()

    def end() -> None:
        while not (trials := study.trials()) or not trials[0].steps:
            time.sleep(0.01)
        limits = {"n_trials": 9, "ends_us": time.time_ns() // 1000}
        files.replace(searched.run.at("tuning.json"), files.to_json(limits))

    thread = threading.Thread(target=end)
    thread.start()
    (told,) = searched.work()
    thread.join()
    assert (told.state, told.why) == ("pruned", "deadline")
    assert told.value == told.steps[told.epochs]
    assert isinstance(view(searched.child(0)).state, StoppedState)


def test_another_number_may_count(config: Path) -> None:
    searched = Searched(config, {"tuning.metric": "val_loss", "tuning.n_trials": "1",
                                 "tuning.epochs": "3"})  # fmt: skip
    assert search.goal(searched.spec) == "minimize"
    (told,) = searched.work()
    losses = [row.values["valid_loss"] for row in rows(searched.child(0).dir)
              if row.kind == "epoch"]  # fmt: skip
    assert len(losses) == 3
    assert told.value == min(losses)


def test_a_number_that_no_epoch_has_is_told(config: Path) -> None:
    searched = Searched(config, {"tuning.metric": "bleu", "tuning.n_trials": "1"})
    (told,) = searched.work()
    assert told.state == "failed"
    assert "bleu" in (told.why or "")
    assert "valid_loss" in (told.why or "")


def test_a_card_that_can_do_no_more_needs_a_fresh_process(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched = Searched(config, {"train.lr": "1e-2", "tuning.metric": "nothing"})
    monkeypatch.setattr(trials, "_computes", lambda: False)  # no card here can be broken
    with pytest.raises(BrokenCardError):
        searched.work()
    assert [each.state for each in searched.study().trials()] == ["failed"]


@pytest.mark.parametrize(
    ("visible", "num", "devices", "expected"),
    [
        ("4,5,6", 2, 1, ["4", "5"]),
        ("4,5,6", 4, 1, ["4", "5", "6", "4"]),
        ("0,1,2,3", 2, 2, ["0,1", "2,3"]),
        ("0,1,2,3", 2, "auto", ["0,1", "2,3"]),
        ("GPU-a, GPU-b", 2, 1, ["GPU-a", "GPU-b"]),
    ],
)
def test_each_worker_has_cards_of_its_own(
    monkeypatch: pytest.MonkeyPatch, visible: str, num: int, devices: Any, expected: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    dealt = environments(num, devices)
    assert [each["CUDA_VISIBLE_DEVICES"] for each in dealt] == expected
    assert environments(1, devices) == [{}]


@pytest.mark.slow
def test_a_search_survives_its_worker_and_leaves_what_it_found(config: Path) -> None:
    searched = Searched(config)
    killed: list[int] = []

    def kill() -> None:
        claim = Path(searched.child(0).claims, "trial.1")
        rows_of = Path(searched.child(0).dir, "metrics.jsonl")
        while not (claim.exists() and rows_of.exists()):
            time.sleep(0.01)
        killed.append(json.loads(claim.read_text())["pid"])
        os.kill(killed[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    tuned = searched.tune()
    thread.join()
    said = searched.out.getvalue()
    assert "SIGKILL" in said
    assert (tuned.num_trials, tuned.num_failed) == (2, 0)
    events = [record["_event"] for record in read(searched.run.dir, "job").records]
    assert events.count("TrialStarted") == events.count("TrialEnded") == 2
    last = [r for r in read(searched.run.dir, "job").records if r["_event"] == "Progress"][-1]
    assert last["done"] == last["total"] == 4.0
    optimized = next(config.parent.glob("train_optimized_*.yaml"))
    best = specs.read(optimized, {}, os.environ)
    assert best.train.lr == tuned.values["train.lr"]  # type: ignore[attr-defined]
    assert best.tuning is None
    assert best.data == searched.spec.data
    assert str(optimized) in said
    assert searched.tune() == tuned  # what is over is not done again


def test_a_search_of_failures_ends_with_their_cause(config: Path) -> None:
    searched = Searched(config, {"tuning.n_trials": "9"})
    study = searched.study()
    for _ in range(3):
        trial = study.ask()
        assert trial is not None
        study.tell(trial, "failed", time_s=0.1, why="ValueError: 값")
    with pytest.raises(UserError, match="ValueError: 값"):
        searched.tune()
    assert len(study.trials()) == 3  # three alike are enough: no worker was started
    assert "[TUNE] all 3 trials have failed" in searched.out.getvalue()
    events = [record["_event"] for record in read(searched.run.dir, "job").records]
    assert events.count("TrialEnded") == 3


@pytest.mark.slow
def test_a_killed_search_is_the_search_that_was_not_killed(tmp_path: Path) -> None:
    found = tuning_proof.prove(
        tmp_path,
        kills=2,
        seed=7,
        say=print,
        num_trials=5,
        begin=tuning_proof.worker_alone,
        share=False,
    )
    assert found.kills == 2
    assert found.differing == []
    assert found.holds
