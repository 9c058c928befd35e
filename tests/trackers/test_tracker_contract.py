"""The contract of every tracker, kept by ours."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from overnight.ledger.paths import RunPaths
from overnight.testing.read_back import numbers
from overnight.testing.tracker_contract import TrackerContract
from overnight.trackers import open_tracker
from overnight.trackers.base import Tracker

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class _Ours(TrackerContract):
    name = ""

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        shutil.copy(database, tmp_path / "mlflow.db")
        for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
            monkeypatch.setenv(name, str(tmp_path / name.lower()))
        for name in ("WANDB_ERROR_REPORTING", "WANDB_SILENT"):
            monkeypatch.setenv(name, "")

    def tracker(self, root: Path) -> Tracker:
        address = "https://api.wandb.ai" if self.name == "wandb" else ""
        return open_tracker(self.name, address, str(root), {})

    def numbers(self, root: Path, run_id: str) -> Mapping[tuple[str, int], float]:
        run = RunPaths(str(self.about(root).dir))
        found = list(numbers(self.name, root, run))
        assert len(found) == len({each[:2] for each in found})
        return {(name, axis): float(value) for name, axis, value in found}


class TestMlflow(_Ours):
    name = "mlflow"


class TestWandb(_Ours):
    name = "wandb"
