"""Makes the golden ledger of version 1: ``python tests/golden/make_v1.py FOLDER``.

A folder per run with every file and every kind of record of docs/ledger-format.md, written by this
version's own pens under a clock that stands still between records. What the pens would not do by
themselves (die in the middle of a line) is done to their files. ``tests/golden/v1`` is the result;
it is never made again once version 2 exists, only read.

One file: each run is a list of what happened to it, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from overnight.ledger import boxes, files, index
from overnight.ledger.artifact import version
from overnight.ledger.histogram import counted
from overnight.ledger.identity import Identity
from overnight.ledger.paths import RunPaths
from overnight.ledger.shelf import Shelf, writer
from overnight.ledger.table import write_table
from overnight.ledger.writer import Pen
from overnight.outbox import track
from overnight.tasks.base import FitResult, Scope
from overnight.tasks.image_classification.config import INFO
from overnight.testing.faults import FakeClock
from overnight.trackers.base import Rejected
from overnight.trackers.cursor import Cursor
from overnight.trackers.records import Records, end_of
from overnight.trainer import checkpoints, kept, members, oof

#: 2026-01-01 09:00:00 UTC.
NINE_S = 1_767_258_000.0
HOST = "golden-host"
ROOT = "/home/kim/digits"
DATE = "20260101"
RESUMED = "digits_20260101_0900"
#: Which mirror took the training to MLflow before it was killed.
LANE = "0123456789abcdef01234567"
#: 4 x 3 pixels of colour. What packs a picture may change, this does not.
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000040000000308020000003b9639910000001a4944415478"
    "5e636260e7139551d632b4b077f3650a4102281c009de109b50297a8260000000049454e44ae426082"
)
#: One pixel, once.
FILM = bytes.fromhex("47494638396101000100800000000000ffffff2c00000000010001000002024401003b")


def identity(pid: int, *, boot: str = "b007") -> Identity:
    """A process of a machine that no test runs on."""
    return Identity("601de2", boot, "pid:[4026531836]", pid, pid * 100, HOST)


class Maker:
    """One run's folder, ``FOLDER/<run_id>``, as it would lie in its root."""

    def __init__(self, folder: Path, name: str, clock: FakeClock, kind: str = "run") -> None:
        self.run = RunPaths(str(folder / f"{name}_{DATE}_0900"))
        self.place = RunPaths(f"{ROOT}/experiments/{kind}/{DATE}/{self.run.run_id}")
        self.name, self.clock, self.kind = name, clock, kind
        for part in ("", "code", "control", "claims", "media", "ckpt"):
            Path(self.run.at(part)).mkdir(parents=True)
        (Path(self.run.code) / "train.sh").write_text("echo training\n")

    def small(self, path: str, **value: Any) -> None:
        files.replace(path, files.to_json(value), sync=False)

    def pen(self, stem: str, attempt: int = 0, **options: Any) -> Pen:
        return Pen(self.run.dir, stem, attempt=attempt, **options)

    def asked(self) -> None:
        """What stands there before anything starts."""
        sha256 = hashlib.sha256(Path(self.run.code, "train.sh").read_bytes()).hexdigest()
        self.small(
            self.run.run_json,
            schema_version=1,
            run_id=self.run.run_id,
            name=self.name,
            kind=self.kind,
            argv=["bash", "train.sh", "--epochs", "3", "--hf-token", "[hidden]"],
            cwd=ROOT,
            root=ROOT,
            parent=None,
            target="train.sh",
            git_commit="0123456789abcdef0123456789abcdef01234567",
            entry_sha256=sha256,
            python="/usr/bin/python3",
            platform="linux",
            host=HOST,
            cpu_count=8,
            created_us=self.clock.time_ns() // 1000,
            labels=["baseline", "기준선"],
            supervised=True,
            overnight_version="0.1.0",
            log=self.place.log,
        )
        self.small(
            self.run.launch_json,
            argv=["bash", "train.sh", "--epochs", "3", "--hf-token", "${HF_TOKEN}"],
            cwd=ROOT,
            env={"LANG": "ko_KR.UTF-8", "PATH": "/usr/bin"},
            env_names=["HF_TOKEN"],
            entry=f"{ROOT}/train.sh",
            entry_sha256=sha256,
            restart=1,
            stall_after_s=None,
            root=ROOT,
        )
        config = 'target: "train.sh"\nenv: {"HF_TOKEN": "${HF_TOKEN}"}\n'
        Path(self.run.config_yaml).write_text(config)
        gpus = ["NVIDIA H200, 143771 MiB, 570.86, 9.0"]
        self.small(self.run.machine_json, git_dirty=True, gpus=gpus, cpu="golden", cpu_count=8)

    def attended(self, *, supervisor: int = 100, keeper: int = 101, job: int = 102,
                 attempt: int = 0, generation: int = 1, boot: str = "b007") -> None:  # fmt: skip
        """Who looks after it."""
        mine = identity(supervisor, boot=boot).to_json()
        files.replace(self.run.at("claims", f"supervisor.{generation}"), files.to_json(mine))
        self.small(
            self.run.lease, generation=generation, supervisor=mine,
            renewed_us=self.clock.time_ns() // 1000,
        )  # fmt: skip
        self.small(
            self.run.keeper_json, attempt=attempt, keeper=identity(keeper, boot=boot).to_json(),
            job=identity(job, boot=boot).to_json(),
        )  # fmt: skip
        files.replace(
            self.run.at("claims", f"job.{attempt}"), files.to_json(identity(job).to_json())
        )

    def events(self, *records: dict[str, Any], attempt: int = 0) -> None:
        pen = self.pen("events", attempt)
        for record in records:
            pen.append(record)
        pen.close()

    def ended(self, attempt: int, code: int | None, signal: int | None, ran_s: float) -> None:
        self.small(
            self.run.exit_json, attempt=attempt, code=code, signal=signal, ran_s=ran_s,
            ended_us=self.clock.time_ns() // 1000, max_rss_mib=812.5,
        )  # fmt: skip


def exited(code: int | None, signal: int | None, outcome: str, cause: dict[str, Any] | None = None,
           *, final: bool = True, **more: Any) -> dict[str, Any]:  # fmt: skip
    """The ``Exited`` event."""
    return {
        "_event": "Exited", "code": code, "signal": signal, "known": (code, signal) != (None, None),
        "ran_s": 41.25, "max_rss_mib": 812.5, "cause": cause, "outcome": outcome, "final": final,
        **more,
    }  # fmt: skip


STARTED = {"_event": "Started", "job_pid": 102, "keeper_pid": 101, "resumed": False}
QUEUED = {"_event": "Queued", "host": HOST}


def resumed(folder: Path, clock: FakeClock) -> None:
    """Killed in its first attempt, restarted, taken over, finished: most happens to this one."""
    maker = Maker(folder, "digits", clock)
    maker.asked()
    maker.attended()
    maker.events(QUEUED, STARTED, {"_event": "Stalled", "silent_s": 640.5}, {"_event": "Recovered"})

    job = maker.pen("job")
    job.append({"_event": "Configured", "epochs": 3, "lr": 0.0003})
    job.append({"_event": "DatasetUsed", "name": "digits", "num_examples": 1797})
    job.append({"_event": "PhaseStarted", "phase": "train"})
    job.append({"_event": "Progress", "done": 1, "total": 3, "unit": "epoch"})
    job.append({"_event": "CheckpointSaved", "path": "ckpt/1.pt", "step": 2})
    job.append({"_event": "NewBest", "metric": "accuracy", "value": 0.9})
    job.close()

    metrics = maker.pen("metrics", segment_bytes=400)
    for step in range(6):
        metrics.append({"_kind": "step", "step": step, "loss": 1.0 / (step + 1), "lr": 0.0003})
    metrics.append({"_kind": "epoch", "epoch": 0, "accuracy": 0.9, "train_loss": float("nan")})
    metrics.append({"_kind": "step", "fold": 1, "step": 0, "loss": float("inf"), "정확도": 0.5})
    metrics.append({"_kind": "step", "stage": "tune", "trial": 4, "step": 0, "loss": float("-inf")})
    metrics.append({"_kind": "step", "loss": 7, "flag": True})
    metrics.close()
    other = maker.pen("metrics.p104")
    other.append({"_kind": "step", "step": 0, "worker_s": 0.25})
    other.close()
    # Killed in the middle of a line; and a line that somebody else's program has written.
    newest = sorted(Path(maker.run.dir).glob("metrics.0*.jsonl"))[-1]
    with newest.open("ab") as file:
        file.write(b'not ours\n\n{"_seq":10,"_t":17672580')
    maker.ended(0, None, 9, 41.25)
    cause = {"kind": "host_oom", "evidence": "oom_kill 1", "fields": {}}
    maker.events(
        exited(None, 9, "failed", cause, final=False),
        {"_event": "Restarting", "in_s": 5.0, "restarts_left": 0},
    )

    clock.advance(60)
    maker.attended(supervisor=200, keeper=201, job=202, attempt=1, generation=2)
    maker.events(
        {**STARTED, "job_pid": 202, "keeper_pid": 201, "resumed": True},
        {"_event": "Adopted", "generation": 2, "job_pid": 202},
        attempt=1,
    )
    metrics = maker.pen("metrics", attempt=1, segment_bytes=4000)
    for step in range(3, 8):
        metrics.append({"_kind": "step", "step": step, "loss": 0.5 / (step + 1), "lr": 0.0001})
    metrics.append({"_kind": "epoch", "epoch": 0, "accuracy": 0.93, "train_loss": 0.25})
    metrics.append({"_kind": "epoch", "epoch": 1, "accuracy": 0.95, "train_loss": 0.125})
    metrics.append({"_kind": "summary", "accuracy": 0.95, "text": "left out of a row"})
    metrics.close()
    # Its last newline never reached the disk: whole all the same.
    newest = sorted(Path(maker.run.dir).glob("metrics.0*.jsonl"))[-1]
    newest.write_bytes(newest.read_bytes()[:-1])
    job = maker.pen("job", attempt=1)
    for name in ("EarlyStopped", "StopHonoured"):
        job.append({"_event": name, "step": 7})
    job.append({"_event": "ModelSaved", "path": "model"})
    job.append({"_event": "ArtifactSaved", "path": "submission.csv"})
    job.close()
    (Path(maker.run.media) / "curve_000000.png").write_bytes(b"\x89PNG\r\n\x1a\nnot a real one")
    media = maker.pen("media", attempt=1)
    sha256 = hashlib.sha256((Path(maker.run.media) / "curve_000000.png").read_bytes()).hexdigest()
    media.append({"_kind": "figure", "key": "curve", "path": "media/curve_000000.png",
                  "sha256": sha256, "step": 7})  # fmt: skip
    media.close()
    system = maker.pen("system", attempt=1)
    system.append({"cpu_percent": 97.5, "rss_mib": 812.5, "gpus": []})
    system.close()
    (Path(maker.run.ckpt) / "1.pt").write_bytes(b"weights")
    maker.ended(1, 0, None, 41.25)
    cause = {"kind": "finished", "evidence": "", "fields": {}}
    maker.events(exited(0, None, "finished", cause), attempt=1)
    model = {"path": "model.pt", "kind": "model", "bytes": 1024, "written_us": 1767258072000000}
    maker.small(maker.run.at("outputs.json"), folder=ROOT, complete=True, files=[model])
    Path(maker.run.at("import")).mkdir()
    Path(maker.run.at("import", "README")).touch()
    maker.small(maker.run.status_json, attempt=1, estimate=None, metrics={"loss": 0.0625})
    Path(maker.run.supervisor_log).touch()
    index.add(maker.place, name=maker.name, created_us=round(NINE_S * 1e6))
    index.end(maker.place, {"state": "finished", "code": 0})


def stopped(folder: Path, clock: FakeClock) -> None:
    """A person stopped it; the request still lies there, as after a full disk."""
    maker = Maker(folder, "stopped", clock)
    maker.asked()
    maker.attended()
    maker.small(
        maker.run.at("control", "1767258000000-stop.json"), verb="stop", now=False, grace_s=30.0,
        by="kim",
    )  # fmt: skip
    maker.events(QUEUED, STARTED, {"_event": "Stopping", "by": "kim", "now": False})
    maker.ended(0, None, 15, 41.25)
    maker.events(exited(None, 15, "stopped"))
    index.add(maker.place, name=maker.name, created_us=round(NINE_S * 1e6) + 1)
    index.end(maker.place, {"state": "stopped", "code": None, "signal": 15})


def failed(folder: Path, clock: FakeClock) -> None:
    """It failed, was resumed by a person, failed the same way, and no restart was made."""
    maker = Maker(folder, "failed", clock)
    maker.asked()
    maker.attended()
    cause = {"kind": "exception", "evidence": "ValueError: no data", "fields": {}}
    maker.events(QUEUED, STARTED, exited(1, None, "failed", cause))
    maker.events({"_event": "Resumed", "code": "kept"}, STARTED, attempt=1)
    maker.attended(attempt=1)
    maker.ended(1, 1, None, 41.25)
    maker.events({"_event": "RestartRefused", "why": "same_failure"}, attempt=1)
    maker.events(exited(1, None, "failed", cause), attempt=1)
    index.add(maker.place, name=maker.name, created_us=round(NINE_S * 1e6) + 2)
    index.end(maker.place, {"state": "failed", "code": 1})
    index.reopen(maker.place)


def lost(folder: Path, clock: FakeClock) -> None:
    """The machine was started anew; whoever came next wrote the end down."""
    maker = Maker(folder, "lost", clock)
    maker.asked()
    maker.attended(boot="an earlier one")
    maker.events(QUEUED, STARTED, exited(None, None, "lost", why="reboot"))
    index.add(maker.place, name=maker.name, created_us=round(NINE_S * 1e6) + 3)
    index.remove(maker.place)


def elsewhere(folder: Path, clock: FakeClock) -> None:
    """It still runs, on another machine."""
    maker = Maker(folder, "elsewhere", clock)
    maker.asked()
    maker.attended()
    maker.events(QUEUED, STARTED)


def alone(folder: Path, clock: FakeClock) -> None:
    """A script opened it for itself, with ``overnight.init()``, and failed."""
    maker = Maker(folder, "alone", clock)
    maker.small(
        maker.run.run_json, schema_version=1, run_id=maker.run.run_id, name="alone", kind="run",
        target="train.sh", cwd=ROOT, root=ROOT, python="/usr/bin/python3", platform="linux",
        host=HOST, created_us=round(NINE_S * 1e6), labels={"seed": "3"}, supervised=False,
        process=identity(300).to_json(),
    )  # fmt: skip
    metrics = maker.pen("metrics")
    metrics.append({"_kind": "step", "step": 0, "loss": 0.5})
    metrics.close()
    maker.ended(0, 1, None, 2.5)


def told(run_dir: Path) -> None:
    """Says what is to be told of a run. It came after the rest: no clock stands in it."""
    said = {
        "schema": "overnight.notify/1", "channels": ["phone"], "formats": {"phone": "short"},
        "events": ["crashed", "finished"], "rules": ["macro_f1 > 0.9"], "heartbeat_s": 10800.0,
        "milestones": [0.5], "eta_moved": 0.3, "format": None, "template": "", "language": "ko",
    }  # fmt: skip
    files.replace(RunPaths(str(run_dir)).notify_json, files.to_json(said))


def shown(run_dir: Path) -> None:
    """Adds a record of each further kind of media, last: no reading of the clock moves for it."""
    run = RunPaths(str(run_dir))

    def stored(name: str, data: bytes) -> dict[str, Any]:
        path = Path(run.at("media", name))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        sha256 = hashlib.sha256(data).hexdigest()
        return {"path": f"media/{name}", "sha256": sha256, "bytes": len(data)}

    picture = b"\x89PNG\r\n\x1a\nno real picture"
    mask = b"\x89PNG\r\n\x1a\nno real mask"
    small = stored(f"parts/{hashlib.sha256(mask).hexdigest()}.png", mask)
    rows = [
        {"image": {"_picture": small}, "truth": "칠", "score": "NaN"},
        {"image": None, "truth": 7},
    ]
    table = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    weights = {"path": "/data/large.safetensors", "sha256": "1" * 64, "bytes": 2**27}
    pen = Pen(run.dir, "media", attempt=1)
    pen.append({
        "_kind": "image", "key": "valid/worst", "fold": 0, "step": 7, "epoch": 1,
        **stored("valid_worst_000001.png", picture), "masks": {"prediction": small},
        "boxes": {"truth": [{"box": [0, 0, 1, 2]}],
                  "prediction": [{"box": [0, 0.5, 1, 2], "label": 1, "score": 0.93}]},
        "unit": "pixel", "labels": {"0": "road", "1": "car"}, "caption": "the worst",
    })  # fmt: skip
    pen.append({
        "_kind": "table", "key": "predictions", **stored("predictions_000002.jsonl", table),
        "columns": ["image", "truth", "score"], "num_rows": 2,
    })  # fmt: skip
    # {"truth":"a","prediction":"a","count":3}; what compresses it may change, this does not.
    matrix = bytes.fromhex(
        "1f8b08000000000000ffab562a292a2dc950b2524a54d2512a284a4dc94c"
        "2ec9cccf830a24e797e695285919d77201003fbe141d29000000"
    )
    pen.append({
        "_kind": "table", "key": "confusion", **stored("confusion_000003.jsonl.gz", matrix),
        "columns": ["truth", "prediction", "count"], "num_rows": 1, "plot": "confusion_matrix",
    })  # fmt: skip
    film = stored("samples_000004.mp4", b"not a real film")
    pen.append({"_kind": "video", "key": "samples", "epoch": 1, **film})
    pen.append({
        "_kind": "artifact", "key": "digits-model", "kind": "model", "aliases": ["best", "latest"],
        "sha256": "2" * 64, "bytes": 2**27 + small["bytes"],
        "files": [{"name": "mask.png", **small}, {"name": "w/large.safetensors", **weights}],
        "metadata": {"accuracy": 0.95},
    })  # fmt: skip
    pen.close()


CONFIG = """\
task: image_classification
project: {name: flowers, seed: 42}
data: {train_csv: train.csv, image_dir_train: images, folds: 2}
model: {name: resnet10t, pretrained: false}
train: {img_size: 32, batch_size: 4, epochs: 2, lr: 0.003}
track: [mlflow]
"""
#: Of each fold's two epochs: training loss, validation loss, accuracy, macro F1.
EPOCHS = [[(2.5, 1.5, 0.5, 0.25), (1.25, 0.75, 1.0, 1.0)], [(2.25, 1.75, 0.25, 0.125),
          (1.0, 0.875, 0.75, 0.625)]]  # fmt: skip


def trained(folder: Path, clock: FakeClock) -> None:
    """Two folds of our own trainer, killed in the second one; its mirror was killed as well."""
    maker = Maker(folder, "flowers", clock, kind="train")
    run = maker.run
    maker.asked()
    Path(run.config_yaml).write_text(CONFIG)
    track.write(
        run,
        [
            {"name": "mlflow", "address": "", "project": "꽃", "tags": ["기준선"]},
            {"name": "wandb", "address": "https://api.wandb.ai", "mode": "offline"},
        ],
    )
    maker.attended()
    maker.events(QUEUED, STARTED)
    kept.check_plan(run, "f" * 64, [0, 1, 0, 1])
    Path(run.at("architecture.txt")).write_text(
        "layer   kind    output  parameters\nfc      Linear  3       1,539\n"
    )
    fit(maker, 0, attempt=0, epochs=range(2))
    fold_over(run, 0, [[2.0, 0.5, -1.0], [0.25, 0.5, 3.0]])
    fit(maker, 1, attempt=0, epochs=range(1))
    maker.ended(0, None, 9, 41.25)
    cause = {"kind": "signal_kill", "evidence": "", "fields": {"name": "SIGKILL"}}
    maker.events(
        exited(None, 9, "failed", cause, final=False),
        {"_event": "Restarting", "in_s": 5.0, "restarts_left": 0},
    )
    mirrored(run)

    clock.advance(60)
    maker.attended(supervisor=200, keeper=201, job=202, attempt=1, generation=2)
    maker.events({**STARTED, "job_pid": 202, "keeper_pid": 201, "resumed": True}, attempt=1)
    # Its checkpoint lies within the first epoch of the fold: that is gone over again.
    fit(maker, 1, attempt=1, epochs=range(2), from_step=2)
    fold_over(run, 1, [[0.5, 2.5, 0.25], [1.0, 0.75, -0.5]])
    left(maker, attempt=1)
    maker.ended(1, 0, None, 41.25)
    maker.events(exited(0, None, "finished"), attempt=1)
    index.add(maker.place, name=maker.name, created_us=round(NINE_S * 1e6) + 4)
    index.end(maker.place, {"state": "finished", "code": 0})


def fit(
    maker: Maker, fold: int, *, attempt: int, epochs: range, from_step: int = 1
) -> None:  # fmt: skip
    """The rows and events of a fold: two steps an epoch."""
    job, metrics = maker.pen("job", attempt), maker.pen("metrics", attempt)
    if (fold, attempt) == (0, 0):
        job.append({"_event": "Configured", "task": "image_classification", "epochs": 2})
        job.append({"_event": "DatasetUsed", "name": "flowers-data", "fingerprint": "f" * 64})
        metrics.append({"_kind": "summary", "num_parameters": 1539, "flops": 3072})
    job.append({"_event": "PhaseStarted", "phase": "fit", "fold": fold})
    for epoch in epochs:
        for step in (2 * epoch + 1, 2 * epoch + 2):
            if step >= from_step:
                metrics.append({"_kind": "step", "fold": fold, "step": step,
                                "batch_loss": 4.0 / step, "lr": 0.003})  # fmt: skip
        train_loss, valid_loss, accuracy, macro_f1 = EPOCHS[fold][epoch]
        metrics.append({
            "_kind": "epoch", "fold": fold, "epoch": epoch + 1, "train_loss": train_loss,
            "valid_loss": valid_loss, "train_accuracy": accuracy, "train_macro_f1": macro_f1,
            "accuracy": accuracy, "macro_f1": macro_f1, "best_macro_f1": macro_f1, "lr": 0.0015,
            "time_s": 12.5, "mem_MiB": 812.5,
        })  # fmt: skip
        job.append({"_event": "NewBest", "metric": "macro_f1", "value": macro_f1,
                    "epoch": epoch + 1, "fold": fold})  # fmt: skip
        job.append({"_event": "Progress", "done": 2.0 * fold + epoch + 1, "total": 4,
                    "unit": "epoch"})  # fmt: skip
    if epochs == range(2):
        _, valid_loss, accuracy, macro_f1 = EPOCHS[fold][-1]
        metrics.append({"_kind": "summary", "fold": fold, "valid_loss": valid_loss,
                        "accuracy": accuracy, "macro_f1": macro_f1})  # fmt: skip
    job.close()
    metrics.close()


def fold_over(run: RunPaths, fold: int, logits: list[list[float]]) -> None:
    """What a fold leaves in ckpt/."""
    scope = Scope(fold)
    base = kept.folder(run, scope)
    texts = {
        "model.safetensors": f"weights {fold}",
        "config.json": "{}",
        "member.json": '{"base_model": {"name": "resnet10t"}}',
    }
    writers = {name: partial(Path.write_text, data=text) for name, text in texts.items()}
    checkpoints.commit(base / "best", writers)
    np.save(base / "valid_logits.npy", np.array(logits, dtype=np.float32))
    _, valid_loss, accuracy, macro_f1 = EPOCHS[fold][-1]
    metrics = {"epoch": 2, "valid_loss": valid_loss, "accuracy": accuracy, "macro_f1": macro_f1}
    result = FitResult(base / "best", metrics, "finished", base / "valid_logits.npy")
    kept.keep(run, scope, result)
    members.point(Path(run.ckpt) / f"best_{scope.name}", base / "best")


def mirrored(run: RunPaths) -> None:
    """How far MLflow's mirror was: in the middle of its third batch, one value set aside."""
    records = Records(run.dir, {})
    cursor = Cursor(LANE, url="mlflow.db#/experiments/1/runs/0a1b2c")
    for _ in range(2):
        taken = records.take(7)
        cursor.files = end_of(taken, cursor.files)
        cursor.number += len(taken)
        cursor.num_records += len(taken)
    cursor.sending = end_of(records.take(2), cursor.files)
    cursor.sent = {
        "axes": [["train", 0, None, "step", 0, 4], ["train", 0, None, "epoch", 0, 2]],
        "kinds": {"num_parameters": ["summary"], "flops": ["summary"],
                  "fold0/batch_loss": ["step"]},
    }  # fmt: skip
    cursor.reject([Rejected("fold0/batch_loss", "no such name", "metrics.jsonl", 1)])
    cursor.save(run, "mlflow")


def left(maker: Maker, attempt: int) -> None:
    """What a training leaves once its folds are over."""
    run = maker.run
    folds = [fold for at in range(2) if (fold := kept.kept(run, Scope(at))) is not None]
    found = oof.gather({at: fold.logits for at, fold in enumerate(folds) if fold.logits},
                       [0, 1, 0, 1], [0, 1, 2, 0])  # fmt: skip
    found.save(Path(run.at("oof")), ["꽃 1.jpg", "꽃 2.jpg", "꽃 3.jpg", "꽃 4.jpg"])
    # What a processor makes of an exponent may change, this does not.
    metrics = {**found.metrics(), "valid_loss": 0.321854}
    with mock.patch("overnight.__version__", "0.1.0"):
        model = members.build(
            run,
            INFO,
            folds,
            labels=["장미", "백합", "국화"],
            metrics=metrics,
            data_fingerprint="f" * 64,
        )
    pen = maker.pen("metrics", attempt)
    pen.append({"_kind": "summary", **metrics, "total_time_s": 82.5})
    pen.close()
    card = Path(run.media) / "dataset" / "card.json"
    card.parent.mkdir()
    card.write_text('{"num_examples": 4}\n')
    pen = maker.pen("media", attempt)

    def note(kind: str, key: str, fields: dict[str, Any]) -> None:
        pen.append({"_kind": kind, "key": key, **fields})

    def shelf() -> Shelf:
        return Shelf(run, "", pen.next_seq)

    def noted(name: str, kind: str, path: Path, **more: Any) -> None:
        note("artifact", name, {"kind": kind, **version(shelf(), str(path)).fields(), **more})

    noted("flowers-data", "dataset", card.parent, aliases=["latest"], metadata={"num_examples": 4})
    note("figure", "confusion_matrix", shelf().picture(PICTURE, "confusion_matrix"))
    cells = [("장미", "장미", 1), ("백합", "국화", 1), ("국화", "국화", 1), ("장미", "백합", 1)]
    columns = ["truth", "prediction", "count"]
    note("table", "confusion_matrix", {
        **write_table(shelf(), "confusion_matrix", columns, cells), "plot": "confusion_matrix",
        "caption": "out of fold",
    })  # fmt: skip
    (Path(run.at("code")) / "worst.png").write_bytes(PICTURE)
    rows = [[Path(run.at("code", "worst.png")), "꽃 2.jpg", "백합", "국화", 0.875, 1],
            [None, "꽃 1.jpg", "장미", "장미", float("nan"), 0]]  # fmt: skip
    columns = ["image", "id", "truth", "prediction", "confidence", "fold"]
    note("table", "predictions", write_table(shelf(), "predictions", columns, rows))
    mask = shelf().part(".png", writer(PICTURE))
    note("image", "valid/worst", {
        **shelf().picture(PICTURE, "valid/worst"), "fold": 1, "epoch": 2,
        "masks": {"truth": mask}, "labels": {"1": "백합"}, "unit": "share",
        "boxes": boxes.kept([[0, 0, 0.5, 1]], "share", "xywh"),
    })  # fmt: skip
    note("video", "epochs", {**shelf().put("epochs", ".gif", writer(FILM)), "epoch": 2})
    note("histogram", "gradients/fc", {
        **counted([-0.5, 0.25, 0.25, 0.5, float("nan")], 4), "fold": 1, "step": 2,
    })  # fmt: skip
    noted("flowers-model", "model", model, aliases=["best", "latest"], metadata=metrics)
    pen.close()
    job = maker.pen("job", attempt)
    job.append({"_event": "ModelSaved", "path": "model", "members": 2})
    job.close()


def make(folder: Path) -> None:
    """Writes ``folder/runs/<run_id>`` and ``folder/index/golden-host.jsonl``."""
    state = folder / "state"
    clock = FakeClock(NINE_S, tick_s=0.25)
    with clock.installed(), mock.patch.dict(os.environ, {"XDG_STATE_HOME": str(state)}):
        for each in (resumed, stopped, failed, lost, elsewhere, alone):
            each(folder / "runs", clock)
        told(folder / "runs" / RESUMED)
        shown(folder / "runs" / RESUMED)
        trained(folder / "runs", clock)
    # Where this machine keeps its index is not the format's business.
    (written,) = state.rglob("*.jsonl")
    (folder / "index").mkdir()
    written.rename(folder / "index" / (HOST + ".jsonl"))
    shutil.rmtree(state)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
