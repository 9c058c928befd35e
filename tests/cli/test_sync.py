"""``overnight sync`` and ``ui``, as a person types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "sync.json"


@pytest.mark.slow
def test_a_run_that_went_nowhere_is_taken_there_afterwards(shell: Any) -> None:
    job = "import overnight\nfor n in range(9):\n    overnight.log({'loss': n, 'lr=': 1}, step=n)\n"
    run = shell.start(job)
    shell.until_ended(run)
    assert "--track" in shell("sync", run.run_id, code=2).stderr
    said = shell.json("sync", run.run_id, "--track", "mlflow")
    jsonschema.validate(said, json.loads(SCHEMA.read_text()))
    [found] = said["trackers"]
    assert (found["closed"], found["left"], found["num_rejected"]) == (True, 0, 9)
    assert (shell.root / "mlflow.db").exists()
    assert "lr=" in shell("sync", run.run_id).stdout
    assert shell("sync", lang="ko").stdout.strip()
    shell("agent", "stop")


def test_what_cannot_be_is_said(shell: Any) -> None:
    assert "overnight[ui]" in shell("ui", code=2).stderr
    assert shell("sync", "nothing", code=2).stderr
