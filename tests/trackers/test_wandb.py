"""W&B without a network: the file it leaves is read back by W&B's own reader."""

from __future__ import annotations

import hashlib
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from overnight.ledger.paths import RunPaths
from overnight.ledger.writer import Pen
from overnight.outbox.standing import standing as standing_of
from overnight.testing.read_back import numbers, offline_records

OFFLINE = {"name": "wandb", "address": "https://api.wandb.ai", "mode": "offline"}


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    rows = b"".join(b"\0" + bytes(width) for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    for name in ("WANDB_ERROR_REPORTING", "WANDB_SILENT"):
        monkeypatch.setenv(name, "")


def read(bench: Any, run: RunPaths) -> dict[tuple[str, int], str]:
    found = list(numbers("wandb", bench.root, run))
    assert len(found) == len({each[:2] for each in found}), "one stands there twice"
    return {(name, step): value for name, step, value in found}


def test_a_run_of_five_folds_that_went_on_stands_there_once(bench: Any) -> None:
    run = bench.run(OFFLINE, name="한국어 이름")
    said = {"_event": "Configured", "train": "in a word", "model": "resnet18"}
    Pen(run.dir, "job", attempt=0).append(said)  # `train` stands in config.yaml too
    for fold in range(5):
        bench.write(run, *({"epoch": n, "fold": fold, "loss": n, "lr": 1} for n in range(4)))
        bench.write(run, *({"step": n, "fold": fold, "lr": 2} for n in range(4)))
    bench.mirror_while(run, lambda: True)
    bench.write(run, *({"epoch": n, "fold": 4, "loss": -n, "lr": 3} for n in (2, 3)), attempt=1)
    bench.write(run, {"step": 4, "loss": float("nan"), "odd name=": 1.0, "k" * 251: 2.0}, attempt=1)
    bench.end(run)
    cursor = bench.mirror(run)
    assert cursor["generation"] == 1
    assert not cursor["rejected"]["num"]
    found = read(bench, run)
    assert len(found) == 5 * (4 * 2 + 4) + 3
    assert [found["fold4/loss", n] for n in range(4)] == ["0.0", "1.0", "-2.0", "-3.0"]
    assert found["fold3/step/lr", 2] == "2.0"
    assert found["loss", 4] == "NaN"  # logs no fold, so it is another number than a fold's
    records = list(offline_records(bench.root, run))
    steps = [each["history"]["step"]["num"] for each in records if "history" in each]
    assert steps == sorted(set(steps))
    axes = {e["metric"]["name"]: e["metric"].get("step_metric") for e in records if "metric" in e}
    assert axes["fold2/loss"] == "fold2/epoch"
    assert axes["fold2/step/lr"] == "fold2/step"
    [about] = [each["run"] for each in records if "run" in each][:1]
    assert set(about["tags"]) == {"baseline", "size=small"}
    assert about["config"]["update"]["train"] == {"lr": 0.1, "epochs": 3}
    later = [each["config"]["update"] for each in records if "config" in each]
    assert {key: value for each in later for key, value in each.items()}["model"] == "resnet18"
    assert [each["exit"]["exit_code"] for each in records if "exit" in each] == [0]


def test_pictures_tables_and_models_arrive(bench: Any) -> None:
    run = bench.run(OFFLINE)
    bench.write(run, {"step": 1, "loss": 1.0})
    media = Path(run.media)
    media.mkdir()
    (media / "a.png").write_bytes(png(8, 6))
    (media / "mask.png").write_bytes(png(8, 6))
    (media / "t.jsonl").write_text('{"truth": "cat", "prediction": "dog", "count": 3}\n')
    model = Path(run.at("model"))
    model.mkdir()
    (model / "weights.bin").write_bytes(b"w")
    pen = Pen(run.dir, "media", attempt=0)
    pen.append({
        "_kind": "image", "key": "seen", "path": "media/a.png", "step": 1, "caption": "one",
        "labels": {"0": "cat"}, "masks": {"truth": {"path": "media/mask.png"}}, "unit": "pixel",
        "boxes": {"found": [{"box": [0, 0, 3, 4], "label": "cat", "score": 0.5}]},
    })  # fmt: skip
    columns = ["truth", "prediction", "count"]
    pen.append({"_kind": "table", "key": "confusion", "path": "media/t.jsonl", "num_rows": 1,
                "columns": columns, "plot": "confusion_matrix"})  # fmt: skip
    sha256 = hashlib.sha256(b"w").hexdigest()
    part = {"name": "weights.bin", "path": "model/weights.bin", "sha256": sha256, "bytes": 1}
    pen.append({"_kind": "artifact", "key": "classifier", "kind": "model", "aliases": ["best"],
                "sha256": sha256, "files": [part], "metadata": {"macro_f1": 0.5}})  # fmt: skip
    gone = {**part, "path": "/nowhere/at/all"}
    pen.append({"_kind": "artifact", "key": "lost", "kind": "model", "files": [gone]})
    bench.end(run, 1)
    cursor = bench.mirror(run)
    assert list(cursor["rejected"]["keys"]) == ["lost"]
    records = list(offline_records(bench.root, run))
    rows = [each["history"]["item"] for each in records if "history" in each]
    [image] = [row for row in rows if "seen._type" in row]  # the reader flattens what is nested
    assert image["seen._type"] == "image-file"
    assert image["seen.masks.truth._type"] == "mask"
    assert image["seen.boxes.found._type"] == "boxes2D"
    artifacts = {e["artifact"]["name"]: e["artifact"] for e in records if "artifact" in e}
    assert set(artifacts["classifier"]["aliases"]) == {"best", "latest"}
    assert "job-config" in artifacts
    assert any("confusion" in key for row in rows for key in row)
    assert [each["exit"]["exit_code"] for each in records if "exit" in each] == [1]
    [standing] = standing_of(run)
    assert standing.closed
