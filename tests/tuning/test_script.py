"""How a trial of a script is called, and where its number is read."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from overnight.errors import LedgerError
from overnight.ledger.paths import RunPaths
from overnight.ledger.writer import Pen
from overnight.tuning.numbers import Numbers
from overnight.tuning.script import Script, arguments

VALUES = {"lr": 0.01, "batch-size": 32, "aug": True, "ema": None, "opt": "a b", "flip": False}
TUNING = {"n_trials": 3, "search_space": {"lr": {"low": 0.1, "high": 1.0}}}


def script(**changed: Any) -> Script:
    asked: dict[str, Any] = {
        "path": "/work/train.py", "args": ("--epochs", "3", "--key=${API_KEY}"),
        "python": "/py/bin/python", "cwd": "/work", "metric": "val_loss", "goal": "minimize",
        "tuning": TUNING,
    }  # fmt: skip
    return Script(**{**asked, **changed})


def call(asked: Script, env: dict[str, str] | None = None) -> list[str]:
    return asked.call({"lr": 0.5}, env or {}, json_file="/v.json", program=asked.path)


def test_by_default_it_is_called_as_by_w_and_b_s_agent() -> None:
    assert call(script(), {"API_KEY": "hush"}) == [
        "/usr/bin/env", "/py/bin/python", "/work/train.py", "--epochs", "3", "--key=hush",
        "--lr=0.5",
    ]  # fmt: skip


def test_a_command_of_its_own() -> None:
    command = ["nice", "${interpreter}", "-u", "${program}", "${args_no_hyphens}",
               "@${args_json_file}", "${args_json_file}", "${envvar:DATA}/x", "${envvar:NONE}",
               "${other}"]  # fmt: skip
    assert call(script(command=command, args=()), {"DATA": "/data"}) == [
        "nice", "/py/bin/python", "-u", "/work/train.py", "lr=0.5", "@${args_json_file}", "/v.json",
        "/data/x", "NONE", "${other}",
    ]  # fmt: skip


def test_values_in_each_form() -> None:
    forms = arguments(VALUES)
    assert forms["args"][:3] == ["--lr=0.01", "--batch-size=32", "--aug=True"]
    assert forms["args_no_hyphens"][3:5] == ["ema=None", "opt=a b"]
    assert forms["args_no_equals"][:4] == ["--lr", "0.01", "--batch-size", "32"]
    assert "--aug" in forms["args_no_boolean_flags"]
    assert not any("flip" in word for word in forms["args_no_boolean_flags"])
    assert json.loads(forms["args_json"][0]) == VALUES
    assert forms["args_append_hydra"][0] == "+lr=0.01"
    assert forms["args_override_hydra"][0] == "++lr=0.01"


def test_the_line_that_runs_it_again() -> None:
    plain = ["overnight", "run", "train.py", "--epochs", "3", "--key=${API_KEY}", "--lr=0.5"]
    assert script().again({"lr": 0.5}) == plain
    notebook = script(path="/work/a/nb.ipynb", args=())
    assert notebook.again({"lr": 0.5}) == ["overnight", "run", "a/nb.ipynb", "--set", "lr=0.5"]
    own = script(command=["${interpreter}", "${program}", "${args_no_hyphens}"], args=())
    assert own.again({"lr": 1}) == ["overnight", "run", "--", "/py/bin/python", "train.py", "lr=1"]


def test_it_is_kept_and_a_damaged_file_is_told(tmp_path: Path) -> None:
    run = RunPaths(str(tmp_path))
    script().write(run)
    assert Script.read(run) == script()
    Path(run.at("script.json")).write_text("{")
    with pytest.raises(LedgerError):
        Script.read(run)


# ── the number ───────────────────────────────────────────────────────────────────────────────


class Job:
    """Writes what a script would."""

    def __init__(self, folder: Path, metric: str, goal: Any = "minimize") -> None:
        self.run = RunPaths(str(folder / "children" / "trial0000"))
        Path(self.run.dir).mkdir(parents=True)
        self.numbers = Numbers(self.run, metric, goal)

    def rows(self, *rows: dict[str, Any], attempt: int = 0, stem: str = "metrics") -> None:
        pen = Pen(self.run.dir, stem, attempt=attempt)
        for row in rows:
            pen.append(row)
        pen.close()

    def epochs(self, *values: float, name: str = "val_loss", first: int = 0, **more: int) -> None:
        self.rows(*({"_kind": "epoch", "epoch": at, name: value}
                    for at, value in enumerate(values, first)), **more)  # fmt: skip

    def prints(self, text: str) -> None:
        with Path(self.run.log).open("a") as log:
            log.write(text)


def test_epochs_of_the_ledger_and_the_best_of_them(tmp_path: Path) -> None:
    job = Job(tmp_path, "val/loss")
    assert job.numbers.look() == []
    job.epochs(3.0, 2.0)
    assert job.numbers.look() == [(1, 3.0), (2, 2.0)]
    job.epochs(2.5, float("nan"), first=2)
    assert job.numbers.look() == [(3, 2.5)]
    assert job.numbers.value() == 2.0
    assert not job.numbers.is_printed


def test_steps_where_there_are_no_epochs_thinned(tmp_path: Path) -> None:
    job = Job(tmp_path, "score", "maximize")
    job.rows(*({"_kind": "step", "step": at, "score": at / 10} for at in range(5000)))
    told = [step for step, _ in job.numbers.look()]
    assert told[:200] == list(range(1, 201))
    assert told[200:203] == [210, 220, 230]
    assert told[-1] == 5000
    assert len(told) < 350
    assert job.numbers.value() == 499.9


def test_over_folds_the_mean_of_their_best(tmp_path: Path) -> None:
    job = Job(tmp_path, "val_loss")
    for fold, values in enumerate(((3.0, 1.0), (2.0, 4.0))):
        job.rows(*({"_kind": "epoch", "epoch": at, "fold": fold, "val_loss": value}
                   for at, value in enumerate(values)))  # fmt: skip
    assert [step for step, _ in job.numbers.look()] == [1, 2, 3, 4]
    assert job.numbers.value() == 1.5


def test_what_it_calls_final_counts(tmp_path: Path) -> None:
    job = Job(tmp_path, "accuracy", "maximize")
    job.epochs(0.9, name="val_acc")
    job.rows({"_kind": "summary", "val_acc": 0.7})
    job.numbers.look()
    assert job.numbers.value() == 0.7


def test_a_newer_attempt_goes_over_what_an_older_one_had(tmp_path: Path) -> None:
    job = Job(tmp_path, "val_loss")
    job.epochs(1.0, 0.5, 0.1)
    assert len(job.numbers.look()) == 3
    job.epochs(0.7, first=1, attempt=1)
    assert job.numbers.look() == [(2, 0.7)]
    assert job.numbers.value() == 0.7


def test_several_processes_of_a_script(tmp_path: Path) -> None:
    job = Job(tmp_path, "val_loss")
    job.rows({"_kind": "step", "step": 0, "batch_loss": 1.0})
    job.rows({"_kind": "epoch", "epoch": 0, "val_loss": 0.3}, stem="metrics.p77")
    assert job.numbers.look() == [(1, 0.3)]
    assert job.numbers.names() == "batch_loss, val_loss"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("epoch 3: val_loss 0.25\n", 0.25),
        ("val_loss: 0.25 - acc: 0.9\n", 0.25),
        ("{'val_loss': 0.25, 'epoch': 3}\n", 0.25),
        ("Val_Loss=2.5e-1 (best val_loss 0.2)\n", 0.25),
        ("loss: 1.0 - validation loss: 0.25\n", 0.25),
        ("0%|  | val_loss=0.9\r50%| | val_loss=0.25\n", 0.25),
        ("train_val_loss 3.0\n", None),
        ("my_val_loss: 3.0\n", None),
        ("val_loss 3.0.1\n", None),
        ("val_loss went down by 3\n", None),
        ("val_loss 0.2", None),  # its line is not over
    ],
)
def test_lines_where_there_is_no_ledger(tmp_path: Path, line: str, value: float | None) -> None:
    job = Job(tmp_path, "val_loss")
    job.prints(line)
    assert job.numbers.look() == ([] if value is None else [(1, value)])
    assert job.numbers.value() == value
    assert job.numbers.is_printed


def test_a_name_of_its_own_in_lines(tmp_path: Path) -> None:
    job = Job(tmp_path, "my score", "maximize")
    job.prints("my score: 3\nmy score: nan\nmy")
    assert job.numbers.look() == [(1, 3.0)]
    job.prints(" score = -1.5e0\n")
    assert job.numbers.look() == [(3, -1.5)]
    assert job.numbers.value() == 3.0


def test_a_number_that_never_was_one(tmp_path: Path) -> None:
    job = Job(tmp_path, "val_loss")
    job.epochs(float("nan"), float("inf"))
    assert job.numbers.look() == []
    value = job.numbers.value()
    assert value is not None
    assert math.isnan(value)


def test_no_number_and_what_there_was_instead(tmp_path: Path) -> None:
    job = Job(tmp_path, "val_loss")
    job.prints("train_acc: 0.5\n")
    assert job.numbers.look() == []
    assert job.numbers.value() is None
    assert job.numbers.names() == "train_acc"
