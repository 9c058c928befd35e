"""W&B over a network, played by a server on loopback that refuses what W&B refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb

from overnight.outbox import track
from overnight.testing.foreign_wandb import KEY, ForeignWandb
from overnight.testing.read_back import history_numbers


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForeignWandb]:
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    for name in ("WANDB_ERROR_REPORTING", "WANDB_SILENT"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    made = ForeignWandb()
    yield made
    made.close()


def online(server: ForeignWandb) -> dict[str, Any]:
    return {"name": "wandb", "address": server.address, "mode": "online", "project": "digits"}


def test_a_run_that_was_sent_and_went_on_is_there_once(bench: Any, server: ForeignWandb) -> None:
    run = bench.run(online(server))
    bench.write(run, *({"epoch": n, "fold": 0, "loss": n} for n in range(20)))
    bench.mirror_while(run, lambda: True)
    assert set(server.runs) == {run.run_id}
    bench.write(run, *({"epoch": n, "fold": 0, "loss": n} for n in range(20, 30)))
    bench.mirror_while(run, lambda: True)  # resumed: behind what is there
    assert len(server.runs[run.run_id]["history"]) == 30
    bench.write(run, *({"epoch": n, "fold": 0, "loss": -n} for n in range(25, 32)), attempt=1)
    bench.end(run, 1)
    bench.mirror(run)
    assert track.standing(run)[0].closed, server.operations
    assert set(server.runs) == {run.run_id + "-g2"}
    assert server.deleted == {run.run_id}
    [found] = server.runs.values()
    numbers = [each for row in found["history"] for each in history_numbers(row)]
    should = [n if n < 25 else -n for n in range(32)]
    assert [float(value) for _, _, value in numbers] == should
    assert [axis for _, axis, _ in numbers] == list(range(32))
    assert found["exit"] == 1
    assert found["displayName"] == run.run_id
    assert {"baseline", "unknown"} <= set(found["tags"])
    assert ("job-config", ["latest"]) in server.artifacts


def test_a_wrong_key_is_said_and_the_right_one_helps(
    bench: Any, server: ForeignWandb, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = bench.run(online(server))
    bench.write(run, {"epoch": 1, "loss": 1.0})
    bench.end(run)
    monkeypatch.setenv("WANDB_API_KEY", "f" * 40)
    bench.mirror(run)
    [standing] = track.standing(run)
    assert "W&B refuses us" in standing.trouble
    assert "WANDB_API_KEY" in standing.fix
    assert "f" * 40 not in Path(run.cursor("wandb")).read_text()
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    wandb.teardown()  # as the next mirror, which is another process
    bench.mirror(run, again=True)
    assert track.standing(run)[0].closed
    assert len(server.runs[run.run_id]["history"]) == 1
