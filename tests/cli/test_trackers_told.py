"""What a person is told of a tracker that is slow, or away: by what follows, status and doctor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from overnight.testing.foreign_mlflow import ForeignMlflow

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
JOB = "import overnight\nfor n in range(50):\n    overnight.log({'loss': n}, step=n)\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ForeignMlflow]:
    made = ForeignMlflow(tmp_path / "server")
    made.start()
    yield made
    made.stop()


@pytest.mark.slow
def test_a_command_that_follows_waits_for_a_slow_tracker(shell: Any, server: ForeignMlflow) -> None:
    shell.script(JOB)
    shell.env["MLFLOW_TRACKING_URI"] = server.address
    server.fail("slow")
    shown = shell("run", "--follow", "--track", "mlflow", "job.py").stdout
    assert "Waiting for the trackers" in shown
    assert "mlflow: all records have arrived http://127.0.0.1" in shown
    [kept] = server.runs()
    assert len([each for each in kept["metrics"] if each[0] == "loss"]) == 50
    assert "all of it" in shell("status").stdout
    shell("agent", "stop")


@pytest.mark.slow
def test_a_tracker_that_is_away_costs_the_run_nothing_and_is_told_of(
    shell: Any, server: ForeignMlflow
) -> None:
    shell.env["MLFLOW_TRACKING_URI"] = server.address
    server.fail("refused")
    run = shell.start(JOB, "--track", "mlflow")
    shell.until_ended(run)
    said = shell.json("sync", run.run_id, code=1)
    jsonschema.validate(said, json.loads((SCHEMAS / "sync.json").read_text()))
    [found] = said["trackers"]
    assert (found["closed"], found["sent"], found["failures"] > 0) == (False, 0, True)
    assert found["left"] >= 50
    assert found["retry_s"] > 0
    said = shell.json("status", run.run_id)
    jsonschema.validate(said, json.loads((SCHEMAS / "status.json").read_text()))
    assert said["state"] == "finished"
    assert said["trackers"][0]["trouble"] == found["trouble"] or said["trackers"][0]["failures"] > 1
    assert "nothing is lost" in " ".join(shell("status", run.run_id).stdout.split())
    assert "잃는 기록은 없습니다" in " ".join(shell("status", run.run_id, lang="ko").stdout.split())
    checks = {each["name"]: each for each in shell.json("doctor", code=None)["checks"]}
    assert checks["trackers"]["level"] == "warn"
    assert checks["trackers"]["facts"]["run_id"] == run.run_id
    # It is back: nobody has to do anything but wait, or ask for it.
    server.fail("")
    [found] = shell.json("sync", run.run_id)["trackers"]
    assert found["closed"]
    assert (found["left"], found["trouble"], found["failures"]) == (0, "", 0)
    [kept] = server.runs()
    assert len([each for each in kept["metrics"] if each[0] == "loss"]) == 50
    shell("agent", "stop")


@pytest.mark.slow
def test_what_is_still_to_come_is_said(
    shell: Any, server: ForeignMlflow, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from overnight.cli import follow

    monkeypatch.setattr(follow, "_TRACKERS_S", 0.5)
    shell.env["MLFLOW_TRACKING_URI"] = server.address
    server.fail("refused")
    run = shell.start(JOB, "--track", "mlflow")
    shell.until_ended(run)
    assert follow.follow(run) == 0
    shown = capsys.readouterr().out
    assert "Waiting for the trackers" in shown
    assert "records are still to come; the agent sees to it (overnight sync job_" in shown
    shell("agent", "stop")
