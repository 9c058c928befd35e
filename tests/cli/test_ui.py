"""What the person who comes back is shown first."""

from __future__ import annotations

import os
from typing import Any

from overnight.cli.portrait import metrics_text
from overnight.cli.ui import _first_page, _newest
from overnight.ledger import files


def test_the_page_opens_at_the_runs_that_came_last(shell: Any) -> None:
    assert _first_page(_newest(shell.root)) == ""
    for age_s, day, url in (
        (30, "20261119", "mlflow.db#/experiments/1/runs/0a"),
        (10, "20261120", "https://mlflow.example/#/experiments/3/runs/0c"),
        (20, "20261121", "mlflow.db#/experiments/7/runs/0b"),
    ):
        cursor = shell.root / "experiments" / "train" / day / "x" / "cursors" / "mlflow.json"
        cursor.parent.mkdir(parents=True)
        files.replace(str(cursor), files.to_json({"url": url}))
        then_s = cursor.stat().st_mtime - age_s
        os.utime(cursor, (then_s, then_s))
    server = "https://mlflow.example/#/experiments/3/runs/0c"
    assert server in shell("ui", "--root", shell.root).stdout, "a server has a page of its own"
    os.utime(cursor)
    page = "#/experiments/7/runs?workflowType=machine_learning"
    assert _first_page(_newest(shell.root)) == page


def test_what_tells_of_quality_is_shown_first() -> None:
    metrics = {
        "num_parameters": 5e6, "train_loss": 0.4, "accuracy": 0.9, "macro_f1": 0.8, "lr": 3e-4,
        "time_s": 12.0, "mem_MiB": 900.0, "flops": 2e8,
    }  # fmt: skip
    assert metrics_text(metrics, 2) == "accuracy 0.9 · macro_f1 0.8"
    shown = metrics_text(metrics, 5)
    assert shown == "train_loss 0.4 · accuracy 0.9 · macro_f1 0.8 · time_s 12 · mem_MiB 900"
    assert metrics_text({"num_parameters": 5e6}) == ""


def test_a_verb_without_words_shows_its_page(shell: Any) -> None:
    for words in ((), ("run",), ("check",), ("rm",), ("convert",), ("notify",)):
        shown = shell(*words, code=2)
        assert shown.stdout == ""
        assert shown.stderr.strip() == shell(*words, "--help").stdout.strip()
    assert "no config was named" in shell("train", code=2).stderr
