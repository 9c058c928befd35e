"""MLflow in a file of the root's own: everything arrives, once, and reads well."""

from __future__ import annotations

import hashlib
import json
import math
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.ledger.writer import Pen
from overnight.outbox import track
from overnight.outbox.standing import standing as standing_of
from overnight.testing.read_back import numbers

#: Of its own libraries; nobody is shown them.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
POISON = {"lr=": 0.5, "k" * 251: 1.0}


def ask(bench: Any, query: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(bench.root / "mlflow.db")) as database:
        return database.execute(query, values).fetchall()


def read(bench: Any, run: RunPaths) -> dict[tuple[str, int], str]:
    found = list(numbers("mlflow", bench.root, run))
    assert len(found) == len({each[:2] for each in found}), "one stands there twice"
    return {(name, step): value for name, step, value in found}


def test_a_run_arrives_with_all_that_is_known_of_it(bench: Any) -> None:
    run = bench.run()
    odd = [math.nan, math.inf, -math.inf]
    bench.write(run, *({"step": n, "fold": n % 2, "loss": value} for n, value in enumerate(odd)))
    picture = Path(run.media)
    picture.mkdir()
    png = b"\x89PNG\r\n\x1a\n rest"
    (picture / "curve.png").write_bytes(png)
    (picture / "table.jsonl").write_text('{"truth": "cat", "share": 0.5}\n{"truth": "dog"}\n')
    model = Path(run.at("model"))
    model.mkdir()
    (model / "weights.safetensors").write_bytes(b"w" * 100)
    sha256 = hashlib.sha256(b"w" * 100).hexdigest()
    part = {"name": "weights.safetensors", "path": "model/weights.safetensors", "sha256": sha256}
    pen = Pen(run.dir, "media", attempt=0)
    pen.append({"_kind": "figure", "key": "curve", "path": "media/curve.png", "step": 3})
    pen.append({"_kind": "table", "key": "shares", "path": "media/table.jsonl",
                "columns": ["truth", "share"], "num_rows": 2})  # fmt: skip
    pen.append({"_kind": "artifact", "key": "classifier", "kind": "model", "aliases": ["best"],
                "sha256": sha256, "files": [part]})  # fmt: skip
    pen.append({"_kind": "figure", "key": "stolen", "path": "../../../../mlflow.db"})
    job = Pen(run.dir, "job", attempt=0)
    job.append({"_event": "Configured", "model": {"parameters": 123}})
    files.replace(run.machine_json, files.to_json({"cpu": "a fast one", "gpus": []}))
    bench.end(run, 3)
    cursor = bench.mirror(run)
    assert cursor["closed"] == 0
    assert not cursor["rejected"]["num"]
    assert read(bench, run) == {
        ("fold0/loss", 0): "NaN", ("fold1/loss", 1): "Infinity", ("fold0/loss", 2): "-Infinity",
    }  # fmt: skip
    [(status, name, uri)] = ask(bench, "select status, name, artifact_uri from runs")
    assert (status, name) == ("FAILED", run.run_id)
    tags = dict(ask(bench, "select key, value from tags"))
    assert tags["baseline"] == "true"
    assert tags["size"] == "small"
    assert tags["overnight.cause"] == "unknown"
    assert tags["machine.cpu"] == "a fast one"
    assert tags["artifact.classifier.best"] == sha256
    params = dict(ask(bench, "select key, value from params"))
    assert params == {"train.lr": "0.1", "train.epochs": "3", "model.parameters": "123"}
    kept = next((bench.root / "mlartifacts").iterdir()) / "artifacts"
    assert uri.startswith("file://")
    assert (kept / "config" / "config.yaml").exists()
    assert (kept / "artifacts" / "classifier" / sha256[:12] / "weights.safetensors").samefile(
        model / "weights.safetensors"
    )
    shown = json.loads((kept / "tables" / "shares.json").read_text())
    assert shown == {"columns": ["truth", "share"], "data": [["cat", 0.5], ["dog", None]]}
    pictures = sorted(path.name for path in (kept / "images").iterdir())
    assert len(pictures) == 2
    assert all(name.startswith("curve+step+3+") for name in pictures)


def test_one_poison_row_among_500_is_set_aside(ready: Any) -> None:
    run = ready.run()
    rows = [{"step": n, "loss": n / 10} for n in range(500)]
    rows[250] = {"step": 250, **POISON}
    ready.write(run, *rows)
    ready.end(run)
    cursor = ready.mirror(run)
    assert cursor["rejected"]["num"] == 2
    assert set(cursor["rejected"]["keys"]) == set(POISON)
    assert len(read(ready, run)) == 499
    [standing] = standing_of(run)
    assert standing.closed
    assert (standing.sent, standing.left, standing.num_rejected) == (500, 0, 2)


def test_a_newer_attempt_replaces_what_was_sent(ready: Any) -> None:
    run = ready.run()
    ready.write(run, *({"epoch": n, "fold": 1, "loss": n} for n in range(6)))
    ready.mirror_while(run, lambda: True)
    ready.write(run, *({"epoch": n, "fold": 1, "loss": n + 0.5} for n in range(3, 8)), attempt=1)
    ready.end(run)
    cursor = ready.mirror(run)
    assert cursor["generation"] == 1
    should = {("fold1/loss", n): repr(float(n)) for n in range(3)}
    should |= {("fold1/loss", n): repr(n + 0.5) for n in range(3, 8)}
    assert read(ready, run) == should
    assert ask(ready, "select count(*) from runs where lifecycle_stage = 'deleted'") == [(1,)]


def test_a_run_deleted_there_comes_back_only_when_asked_for(ready: Any) -> None:
    run = ready.run()
    ready.write(run, {"step": 1, "loss": 1.0})
    ready.mirror_while(run, lambda: True)
    with closing(sqlite3.connect(ready.root / "mlflow.db")) as database:
        database.execute("update runs set lifecycle_stage = 'deleted'")
        database.commit()
    ready.write(run, {"step": 2, "loss": 2.0})
    ready.end(run)
    cursor = ready.mirror(run)
    assert "deleted" in cursor["trouble"]
    assert not track.asked()
    assert read(ready, run) == {}
    cursor = ready.mirror(run, again=True)
    assert not cursor["trouble"]
    assert read(ready, run) == {("loss", 1): "1.0", ("loss", 2): "2.0"}


@pytest.mark.parametrize("point", ["mirror.sent", "replace.written"])
def test_a_mirror_that_dies_loses_and_doubles_nothing(ready: Any, point: str) -> None:
    run = ready.run()
    ready.write(run, *({"step": n, "loss": n / 7, "lr": 0.1} for n in range(700)))
    ready.end(run)
    [asked] = track.ask(run)
    argv = [sys.executable, "-c", f"from overnight.agent.mirror import main; main('{asked.lane}')"]
    env = {**os.environ, "OVERNIGHT_CRASH_AT": f"{point}:2"}
    done = subprocess.run(argv, env=env, capture_output=True)
    assert done.returncode == -9, done.stderr
    ready.mirror(run)
    assert len(read(ready, run)) == 1400
    assert not track.asked()
