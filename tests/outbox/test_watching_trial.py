"""What a trial run of ``overnight check`` does not do."""

from __future__ import annotations

from pathlib import Path

import pytest

import overnight
from overnight.ledger.paths import runs_of


def test_a_job_that_is_only_tried_tells_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVERNIGHT_TRIAL", "1")
    monkeypatch.setenv("OVERNIGHT_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("OVERNIGHT_RUN_DIR", raising=False)
    with overnight.watch("tried", channels=["phone"]) as folder:
        overnight.notify("halfway")
    assert folder is None
    assert list(runs_of(str(tmp_path / "root"))) == []
    assert not (tmp_path / "state").exists()
