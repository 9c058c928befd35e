"""How a run ended, what it was asked and what it is called: as both trackers show it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from overnight.ledger.paths import RunPaths
from overnight.outbox import track
from overnight.testing.read_back import offline_records
from overnight.tracking import OpenRun, init_run

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
OFFLINE = {
    "name": "wandb", "address": "https://api.wandb.ai", "mode": "offline", "project": "digits",
    "entity": "team", "group": "cv", "notes": "for the paper", "tags": ["from WANDB_TAGS"],
}  # fmt: skip
CONFIG = {"train": {"lr": 0.1, "layers": [1, 2]}, "name": "작은 모델"}
OUTCOMES = {
    "finished": ("FINISHED", 0, None),
    "failed": ("FAILED", 1, "unknown"),
    "stopped": ("KILLED", 255, "stopped"),
}


@pytest.fixture
def ended(ready: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, OpenRun]:
    """A run of each outcome, and all of it in both trackers."""
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    for name in ("WANDB_ERROR_REPORTING", "WANDB_SILENT"):
        monkeypatch.setenv(name, "")
    runs = {}
    for outcome in OUTCOMES:
        run = init_run(outcome, config=CONFIG, tags=["cv"], track="none", root=ready.root)
        run.log({"loss": 0.5}, step=1)
        run.finish(outcome)  # type: ignore[arg-type]
        track.write(paths(run), [{"name": "mlflow", "address": ""}, OFFLINE])
        ready.mirror(paths(run))
        runs[outcome] = run
    return runs


def paths(run: OpenRun) -> RunPaths:
    return RunPaths(str(run.dir))


def test_the_trackers_say_how_it_ended(ready: Any, ended: dict[str, OpenRun]) -> None:
    with closing(sqlite3.connect(ready.root / "mlflow.db")) as database:
        for outcome, (status, exit_code, cause) in OUTCOMES.items():
            run = ended[outcome]
            asks = "select run_uuid, status, artifact_uri from runs where name = ?"
            [(number, found, uri)] = database.execute(asks, [run.run_id])
            assert found == status
            asks = "select key, value from tags where run_uuid = ?"
            tags = dict(database.execute(asks, [number]))
            assert (tags["overnight.name"], tags["cv"]) == (outcome, "true")
            assert tags.get("overnight.cause") == cause
            asks = "select key, value from params where run_uuid = ?"
            params = dict(database.execute(asks, [number]))
            assert params == {"train.lr": "0.1", "train.layers": "[1, 2]", "name": "작은 모델"}
            kept = ready.root / "mlartifacts" / uri.rpartition("mlartifacts/")[2]
            assert "작은 모델" in (kept / "config" / "config.yaml").read_text()

            records = list(offline_records(ready.root, paths(run)))
            [about] = [each["run"] for each in records if "run" in each][:1]
            assert (about["project"], about["entity"]) == ("digits", "team")
            assert (about["run_group"], about["notes"]) == ("cv", "for the paper")
            update = about["config"]["update"]
            assert (update["train"], update["name"]) == (CONFIG["train"], CONFIG["name"])
            tagged = [each["run"]["tags"] for each in records if "run" in each][-1]
            assert set(tagged) == {"cv", "from WANDB_TAGS", *([cause] if cause else [])}
            assert [each["exit"]["exit_code"] for each in records if "exit" in each] == [exit_code]
            artifacts = [each["artifact"] for each in records if "artifact" in each]
            assert [(a["name"], a["type"]) for a in artifacts] == [(f"{outcome}-config", "config")]
