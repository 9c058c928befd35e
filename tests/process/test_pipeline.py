"""Search, folds, calibration, prediction: one run, killed and resumed."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import read
from overnight.ledger.state import Failed, Finished
from overnight.tuning import lines

pytest.importorskip("torch")
pytestmark = pytest.mark.slow
TRIALS, NUM_TEST = 2, 9


@pytest.fixture
def config(workplace: Any) -> Path:
    from overnight.testing.sessions import small_config

    folder = workplace.root / "사진 'A'"
    folder.mkdir()
    workplace.env["OMP_NUM_THREADS"] = "1"
    search = (
        "tuning: {epochs: 1, search_space: {train.lr: {low: 1e-3, high: 1e-1, log: true}}}\n"
        "track: []\n"
    )
    return small_config(folder, more=search, num_test=NUM_TEST)


def events(run: RunPaths, name: str) -> list[dict[str, Any]]:
    return [each for each in read(run.dir, "job").records if each["_event"] == name]


def test_killed_in_its_search_it_ends_with_a_submission_in_time(
    workplace: Any, config: Path
) -> None:
    done = workplace.overnight(
        "train", "--config", config, "--mode", "full-pipeline", "--optimize", "--n-trials", TRIALS,
        "--use-calibration", "--auto-continue", "--until", "2h", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = RunPaths(json.loads(done.stdout)["dir"])
    assert run.kind == "pipeline"
    workplace.until(lambda: events(run, "TrialEnded"), timeout_s=240)
    workplace.kill(workplace.job(run))
    assert isinstance(workplace.ended(run), Failed)
    assert workplace.overnight("resume", run.run_id).returncode == 0
    assert isinstance(workplace.ended(run, timeout_s=240), Finished), workplace.log(run)

    # Each stage once, in its order, whatever was killed.
    ended = events(run, "TrialEnded")
    assert sorted(each["trial"] for each in ended) == list(range(TRIALS))
    (tuned,) = events(run, "Tuned")
    assert tuned["values"].keys() == {"train.lr"}
    log = workplace.log(run)
    assert f"[CFG] the folds train with {lines.values(tuned['values'])}\n" in log
    assert "trials were begun in earlier attempts" in log
    assert events(run, "Calibrated")
    assert events(run, "ModelSaved")[-1]["members"] == 2
    (predicted,) = events(run, "Predicted")
    assert predicted["num"] == NUM_TEST
    order = [each["_event"] for each in read(run.dir, "job").records]
    last = {name: len(order) - order[::-1].index(name) for name in set(order)}
    stages = ["TrialEnded", "Tuned", "CheckpointSaved", "ModelSaved", "Predicted"]
    assert sorted(stages, key=lambda name: last[name]) == stages

    with Path(run.at("submission.csv")).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["ID"] for row in rows] == [f"{number:04d}" for number in range(NUM_TEST)]
    shares_NK = np.load(run.at("probabilities.npy"))
    assert shares_NK.shape == (NUM_TEST, 3)
    assert [row["target"] for row in rows] == [f"class {best}" for best in shares_NK.argmax(axis=1)]
    card = json.loads(Path(run.at("model", "overnight.json")).read_text())
    assert card["postprocessing"]["temperature"] > 0

    # What is planned is told, and how far the whole of it is.
    plans = events(run, "Planned")
    assert {each["trials_asked"] for each in plans} == {TRIALS}
    assert all(each["ends_us"] <= each["until_us"] for each in plans)
    assert plans[-1]["num_folds"] == 2
    told = events(run, "Progress")
    assert told[-1]["done"] == pytest.approx(told[-1]["total"])
    for attempt in range(2):
        own = [each["done"] / each["total"] for each in told if each["_attempt"] == attempt]
        assert own == sorted(own)
