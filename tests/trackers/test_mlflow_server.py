"""An MLflow server that fails in every way: it costs time, and nothing else."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.outbox import track
from overnight.outbox.message import waiting
from overnight.testing.foreign_mlflow import ForeignMlflow

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForeignMlflow]:
    from overnight.trackers import mlflow

    monkeypatch.setitem(mlflow._HTTP, "MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setitem(mlflow._HTTP, "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for name in mlflow._HTTP:
        monkeypatch.setenv(name, "")
    made = ForeignMlflow(tmp_path / "server")
    made.start()
    yield made
    made.stop()


def state(bench: Any, run: RunPaths) -> dict[str, Any]:
    [asked] = track.ask(run)
    return files.read_json(bench.paths.tracker_state(asked.lane)) or {}


def test_whatever_it_does_every_number_is_there_once(bench: Any, server: ForeignMlflow) -> None:
    run = bench.run({"name": "mlflow", "address": server.address})
    number = 0

    def write() -> None:
        nonlocal number
        bench.write(run, *({"step": number + n, "loss": 1.0} for n in range(20)))
        number += 20

    server.fail("half")
    write()
    bench.mirror(run)
    assert state(bench, run)["failures"] == 1
    server.fail("500")
    bench.mirror(run)
    assert state(bench, run)["failures"] == 2
    [standing] = track.standing(run)
    assert standing.left == 20
    assert "mlflow" in standing.trouble
    server.fail("")
    bench.mirror_while(run, lambda: True)  # it is back
    assert state(bench, run).get("failures", 0) == 0
    write()
    server.signal(signal.SIGSTOP)
    begun = time.monotonic()
    bench.mirror(run)
    assert time.monotonic() - begun < 20
    server.signal(signal.SIGCONT)
    write()
    server.fail("half")  # what it took was taken, though its answer got lost
    bench.mirror(run)
    server.fail("")
    write()
    server.stop()  # at the end there is nobody at all
    bench.end(run)
    bench.mirror(run)
    assert not track.standing(run)[0].closed
    server.start()
    bench.mirror(run)
    [found] = server.runs()
    steps = [step for key, _, _, step in found["metrics"] if key == "loss"]
    assert sorted(steps) == list(range(number))
    assert found["info"]["status"] == "FINISHED"
    assert track.standing(run)[0].closed
    assert not track.asked()
    kept = server.folder / "artifacts" / "1" / found["info"]["run_id"] / "artifacts"
    assert (kept / "config" / "config.yaml").exists()


def test_a_wrong_key_is_told_once(bench: Any, server: ForeignMlflow) -> None:
    run = bench.run({"name": "mlflow", "address": server.address})
    files.replace(run.notify_json, files.to_json({"schema": 1, "channels": ["phone", "mail"]}))
    bench.write(run, {"step": 1, "loss": 1.0})
    server.fail("401")
    for _ in range(2):
        bench.mirror(run)
    told = waiting(bench.paths)
    assert sorted(message.channel for message in told) == ["mail", "phone"]
    assert all("MLFLOW_TRACKING_TOKEN" in message.facts["text"] for message in told)
    [standing] = track.standing(run)
    assert "MLflow refuses us" in standing.trouble
    assert standing.fix
    server.fail("")
    bench.end(run)
    bench.mirror(run)
    assert track.standing(run)[0].closed


def test_poison_is_found_by_what_the_server_says(bench: Any, server: ForeignMlflow) -> None:
    run = bench.run({"name": "mlflow", "address": server.address})
    rows = [{"step": n, "loss": 1.0, "lr=": 2.0} for n in range(64)]
    bench.write(run, *rows)
    bench.end(run)
    cursor = bench.mirror(run)
    assert cursor["rejected"]["num"] == 64
    [found] = server.runs()
    assert len(found["metrics"]) == 64
