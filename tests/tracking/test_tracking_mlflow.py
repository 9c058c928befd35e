"""Runs looked up in a real MLflow database."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

#: In a process of its own: MLflow's client changes the environment and the logging of its process.
PROGRAM = """
import warnings
from pathlib import Path
from overnight.errors import UserError
from overnight.tracking import get_latest_runs, get_runs
from overnight.trackers.mlflow import Mlflow

assert get_runs(source="mlflow") == []  # nothing was ever tracked here, and nothing is made
assert not Path("mlflow.db").exists()
client = Mlflow("", Path.cwd(), {}).client()
for name in ("cats", "dogs"):
    experiment = client.create_experiment(name)
    for number, status in enumerate(["FINISHED", "FAILED", "KILLED", "RUNNING"]):
        tags = {"overnight.name": f"{name}-{number}", "overnight.kind": "train", "cv": "true",
                "seed": str(number), "mlflow.user": "kim"}
        run = client.create_run(experiment, 1_000_000 + number, tags=tags, run_name="id")
        client.log_metric(run.info.run_id, "macro_f1", number / 10)
        client.log_param(run.info.run_id, "train.lr", "0.1")
        if status != "RUNNING":
            client.set_terminated(run.info.run_id, status)
cats = get_runs(source="mlflow", project="cats")
assert [run.name for run in cats] == ["cats-3", "cats-2", "cats-1", "cats-0"]
assert [run.state for run in cats] == ["running", "stopped", "failed", "finished"]
assert sorted(cats[0].tags) == ["cv", "seed=3"]
assert (cats[0].kind, cats[0].created_us, cats[0].source) == ("train", 1_000_003_000, "mlflow")
assert (cats[1].metrics, cats[1].config) == ({"macro_f1": 0.2}, {"train.lr": "0.1"})
assert len(get_runs(source="mlflow")) == 8
found = get_latest_runs(1, state="failed", tags=["cv", "seed=1"], source="mlflow", project="dogs")
assert [run.name for run in found] == ["dogs-1"]
try:
    get_runs(source="mlflow", project="birds")
except UserError as error:
    assert error.what == "MLflow knows no experiment 'birds'" and "dogs" in error.fix
else:
    raise AssertionError
"""


def test_runs_of_a_database(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    (tmp_path / "overnight.yaml").touch()
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OVERNIGHT_", "MLFLOW_"))}
    env |= {"XDG_STATE_HOME": str(tmp_path / "state"), "OVERNIGHT_LANG": "en"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
