"""Searches over scripts as people start them: left alone, stopped, killed, resumed, failing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from overnight.ledger.files import read_json
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import read
from overnight.ledger.state import Failed, Finished, Lost, Stopped, view

pytest.importorskip("optuna")
SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "tune.json"
#: Each trial waits for the file ``go``, but for the first one.
SCRIPT = """
import argparse, os, time
import overnight

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--epochs", type=int)
args = parser.parse_args()
run = os.environ["OVERNIGHT_RUN_DIR"]
for epoch in range(args.epochs):
    overnight.log({"val_loss": abs(args.lr - 0.3) + 1 / (epoch + 1)}, epoch=epoch)
    while epoch == 1 and not run.endswith("trial0000") and not os.path.exists("go"):
        time.sleep(0.02)
"""
SWEEP = """
program: my train.py
method: random
metric: {name: val/loss, goal: minimize}
parameters: {lr: {min: 0.0, max: 1.0}}
run_cap: 3
"""


def start(workplace: Any, *words: str) -> RunPaths:
    workplace.script(SCRIPT, "my train.py")
    (workplace.root / "스윕 'a'.yaml").write_text(SWEEP)
    done = workplace.overnight("tune", "스윕 'a'.yaml", "--json", *words, "--", "--epochs", "3")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    jsonschema.validate(answer, json.loads(SCHEMA.read_text(encoding="utf-8")))
    return RunPaths(answer["dir"])


def trials(run: RunPaths, event: str = "TrialEnded") -> list[dict[str, Any]]:
    return [each for each in read(run.dir, "job").records if each["_event"] == event]


def waits(run: RunPaths, number: int = 1) -> bool:
    """Whether a trial has come to its second epoch, and stands there."""
    return len(read(run.child(f"trial{number:04d}").dir, "metrics").records) >= 2


def values(run: RunPaths, number: int) -> Any:
    return (read_json(run.child(f"trial{number:04d}").run_json) or {})["values"]


@pytest.mark.slow
def test_all_of_it_killed_it_goes_on_with_the_same_trial(workplace: Any) -> None:
    run = start(workplace)
    workplace.until(lambda: waits(run))
    was = values(run, 1)
    child = run.child("trial0001")
    orphans = workplace.of_run(child)
    assert orphans
    for who in (workplace.supervisor(run), workplace.keeper(run), workplace.job(run)):
        workplace.kill(who)
    assert workplace.of_run(child) == orphans  # nobody was left to end it
    assert isinstance(workplace.ended(run), Lost)

    resumed = workplace.overnight("resume", run.run_id)
    assert resumed.returncode == 0, resumed.stderr
    workplace.until(lambda: workplace.of_run(child) and not workplace.of_run(child) & orphans)
    (workplace.root / "go").touch()
    assert isinstance(workplace.ended(run), Finished)

    ended = trials(run)
    assert [each["trial"] for each in ended] == [0, 1, 2]
    assert {each["state"] for each in ended} == {"complete"}
    assert ended[1]["values"] == was == values(run, 1)
    assert [each["trial"] for each in trials(run, "TrialStarted")] == [0, 1, 2]
    best = min(ended, key=lambda each: each["value"])
    log = workplace.log(run)
    assert f"best is trial {best['trial']}, val/loss {best['value']:.4f}" in log
    assert f"overnight run 'my train.py' --epochs 3 --lr={best['values']['lr']}" in log


@pytest.mark.slow
def test_stopped_it_leaves_no_trial_at_work_and_goes_on_later(workplace: Any) -> None:
    run = start(workplace, "--workers", "2")
    workplace.until(lambda: waits(run, 1) and waits(run, 2))
    status = json.loads(workplace.overnight("status", run.run_id, "--json").stdout)
    workplace.until(lambda: read(run.dir, "job").records[-1].get("done") == 1)
    assert status["state"] == "running"
    assert workplace.overnight("stop", run.run_id).returncode == 0
    assert isinstance(workplace.ended(run), Stopped)
    assert [each["trial"] for each in trials(run)] == [0]
    assert read_json(run.child("trial0001").exit_json) is None

    (workplace.root / "go").touch()
    assert workplace.overnight("resume", run.run_id).returncode == 0
    assert isinstance(workplace.ended(run), Finished)
    assert sorted(each["trial"] for each in trials(run)) == [0, 1, 2]
    assert isinstance(view(run.child("trial0002")).state, Finished)


@pytest.mark.slow
def test_a_script_that_fails_each_time_ends_the_search_with_its_cause(workplace: Any) -> None:
    workplace.script("import sys\nprint(sys.argv)\nraise ValueError('no such data')\n", "bad.py")
    (workplace.root / "sweep.yaml").write_text(SWEEP.replace("run_cap: 3", "run_cap: 50"))
    words = ["tune", "bad.py", "--sweep", "sweep.yaml", "--json"]
    run = RunPaths(json.loads(workplace.overnight(*words).stdout)["dir"])
    state = workplace.ended(run)
    assert isinstance(state, Failed)
    ended = trials(run)
    assert [each["state"] for each in ended] == ["failed"] * 3
    assert {each["why"] for each in ended} == {"ValueError: no such data (bad.py:3)"}
    first = read_json(run.child("trial0000").exit_json) or {}
    assert (first["code"], first["state"], first["outcome"]) == (1, "failed", "failed")
    assert "ValueError: no such data" in first["traceback"]
    assert "ValueError: no such data" in workplace.log(run).splitlines()[-2]


@pytest.mark.slow
def test_one_that_does_worse_is_cut_short_and_one_that_fails_is_no_end(workplace: Any) -> None:
    workplace.script(
        """
        import sys, time
        lr = float(sys.argv[1].partition("=")[2])
        for epoch in range(9):
            print(f"epoch {epoch}: my_number {lr + epoch / 10}", flush=True)
            if lr == 9:
                time.sleep(60)  # until it is cut short
        if lr == 2:
            sys.exit(7)
        """,
        "plain.py",
    )
    workplace.script(
        """
        import overnight

        run = overnight.tune("plain.py", sweep={
            "method": "grid", "metric": {"name": "my_number"},
            "parameters": {"lr": {"values": [1, 2, 3, 9]}},
            "early_terminate": {"type": "hyperband", "min_iter": 1},
        })
        print(run.dir)
        """,
        "start.py",
    )
    done = subprocess.run(
        [sys.executable, "start.py"], cwd=workplace.root, env=workplace.env, capture_output=True,
        text=True, timeout=120, check=True,
    )  # fmt: skip
    run = RunPaths(done.stdout.strip())
    assert isinstance(workplace.ended(run), Finished)
    states = {each["values"]["lr"]: each["state"] for each in trials(run)}
    assert states[1] == "complete"
    assert states[2] == "failed"
    assert states[9] == "pruned"
    ended = read_json(run.child("trial0003").exit_json) or {}
    assert ended["signal"] == signal.SIGTERM
    assert "my_number is read from what the script prints" in workplace.log(run)
    assert "epoch 8" in Path(run.child("trial0001").log).read_text()
