"""A night's ledger, made in a second: folds, steps, trials, tables and pictures, all of one seed.

For whatever reads ledgers: reports, trackers, benches. No job has run; the records are those that
one would have left.
"""

from __future__ import annotations

import math
import random
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overnight.ledger import files, pixels
from overnight.ledger.paths import RunPaths, create_run
from overnight.ledger.shelf import Shelf
from overnight.ledger.table import write_table
from overnight.ledger.writer import Pen

_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Size:
    """How much a run has left.

    Attributes:
        steps: Rows of steps, of all folds together.
        picture_px: The side of each picture.
    """

    folds: int = 2
    epochs: int = 5
    steps: int = 40
    trials: int = 6
    pictures: int = 6
    classes: int = 3
    picture_px: int = 24
    samples: int = 12


def make(
    root: Path,
    size: Size = Size(),
    *,
    name: str = "night",
    seed: int = 7,
    kind: str = "pipeline",
    labels: Sequence[str] = (),
    outcome: str = "finished",
    cause: Mapping[str, Any] | None = None,
) -> RunPaths:
    """Makes the run's folder below a root.

    Args:
        root: The root.
        size: How much there is.
        name: The run's.
        seed: Another one is another night.
        kind: What it is filed under.
        labels: The classes' names; by default ``class 0`` and so on.
        outcome: How it ended.
        cause: Why, as ``supervisor.cause.Cause.to_json`` has it.
    """
    run = create_run(str(root), kind, name.replace("/", "_"))
    made = _Night(run, size, random.Random(seed), labels)
    made.describe(name)
    made.search()
    made.train()
    made.judge()
    made.watch()
    made.end(outcome, cause or {"kind": "finished", "sentence": "finished", "fields": {}})
    return run


class _Night:
    def __init__(
        self, run: RunPaths, size: Size, chance: random.Random, labels: Sequence[str]
    ) -> None:
        self.run, self.size, self.chance = run, size, chance
        self.labels = [*labels, *(f"class {at}" for at in range(size.classes))][: size.classes]
        self.begun_us = time.time_ns() // 1000 - 3600 * _MICROSECONDS
        self.job, self.metrics = Pen(run.dir, "job", attempt=0), Pen(run.dir, "metrics", attempt=0)
        self.media = Pen(run.dir, "media", attempt=0)

    def describe(self, name: str) -> None:
        run = self.run
        info = {
            "schema_version": 1, "run_id": run.run_id, "name": name, "kind": run.kind,
            "argv": ["python", "-m", "overnight.trainer"], "cwd": run.root, "root": run.root,
            "target": "configs/train.yaml", "host": "gpu01", "cpu_count": 16,
            "created_us": self.begun_us, "python": "/usr/bin/python3", "labels": [],
            "supervised": True, "overnight_version": "0.1.0", "log": run.log,
            "set": ["train.lr"], "git_commit": "0f" * 20,
        }  # fmt: skip
        files.replace(run.run_json, files.to_json(info), sync=False)
        cards = ["NVIDIA L4, 23034 MiB, 580.65, 8.9"] * 2
        machine = {"git_dirty": True, "gpus": cards, "cpu": "AMD EPYC", "cpu_count": 16}
        files.replace(run.machine_json, files.to_json(machine), sync=False)
        config = (
            "task: image_classification\nmode: full-pipeline\nproject:\n  seed: 7\n"
            f"data:\n  folds: {self.size.folds}\n  image_dir_test: /data/test\n"
            f"train:\n  lr: 0.003\n  epochs: {self.size.epochs}\n  img_size: 32\n"
            f"tuning:\n  n_trials: {self.size.trials}\nauto_continue: true\ncalibration: true\n"
        )
        Path(run.config_yaml).write_text(config, encoding="utf-8")
        written = f"task: image_classification\ntrain:\n  epochs: {self.size.epochs}\n"
        Path(run.code, "train.yaml").write_text(written, encoding="utf-8")
        Pen(run.dir, "events", attempt=0).append({"_event": "Started", "log_bytes": 0})
        asked = {
            "task": "image_classification", "model": "resnet10t", "epochs": self.size.epochs,
            "folds": self.size.folds, "seed": 7,
        }  # fmt: skip
        self.job.append({"_event": "Configured", **asked})
        data = {"name": "digits", "fingerprint": "ab" * 32, "num_examples": 1797}
        self.job.append({"_event": "DatasetUsed", **data, "num_classes": self.size.classes})

    def search(self) -> None:
        rows = []
        for trial in range(self.size.trials):
            lr = 10 ** self.chance.uniform(-4.5, -1.5)
            values = {
                "train.lr": lr,
                "train.optimizer": self.chance.choice(["adamw", "sgd"]),
                "train.weight_decay": self.chance.uniform(0, 0.2),
            }
            state = ("complete", "complete", "pruned", "complete", "failed")[trial % 5]
            value = 0.9 - abs(math.log10(lr) + 2.7) / 4 + self.chance.gauss(0, 0.01)
            said = None if state == "failed" else value
            self.job.append({"_event": "TrialStarted", "trial": trial, "values": values})
            self.job.append(
                {"_event": "TrialEnded", "trial": trial, "values": values, "state": state,
                 "value": said, "epochs": 3, "time_s": 20.0 + trial,
                 "why": "CUDA out of memory" if said is None else None}
            )  # fmt: skip
            rows.append([trial, said])
        if rows:
            self._table("trials", ["trial", "value"], rows)
            ranked = [["train.lr", 0.81], ["train.optimizer", 0.14], ["train.weight_decay", 0.05]]
            self._table("importance", ["parameter", "importance"], ranked)
            for at in range(2):
                self.job.append(
                    {"_event": "Planned", "num_trials": self.size.trials, "trials_asked": 20,
                     "num_folds": self.size.folds - at, "folds_asked": self.size.folds,
                     "ends_us": self.begun_us + 3500 * _MICROSECONDS,
                     "until_us": self.begun_us + 3600 * _MICROSECONDS, "why": "measured"}
                )  # fmt: skip

    def train(self) -> None:
        per_fold = self.size.steps // max(1, self.size.folds)
        for fold in range(self.size.folds):
            self.job.append({"_event": "PhaseStarted", "phase": "fit", "fold": fold})
            every = max(1, per_fold // max(1, self.size.epochs))
            best: dict[str, float] = {}
            for epoch in range(1, self.size.epochs + 1):
                for step in range((epoch - 1) * every + 1, epoch * every + 1):
                    loss = 2.3 * math.exp(-3 * step / max(1, per_fold)) + self.chance.random() / 5
                    row = {"step": step, "batch_loss": loss, "lr": 3e-3 * (1 - step / per_fold)}
                    self._row("step", {"fold": fold, **row})
                share = epoch / self.size.epochs
                f1 = 0.95 * (1 - math.exp(-4 * share)) + self.chance.gauss(0, 0.01)
                values = {
                    "train_loss": 2.3 * math.exp(-4 * share),
                    "valid_loss": math.nan if epoch == 2 else 2.4 * math.exp(-3 * share) + 0.05,
                    "accuracy": f1 + 0.004, "macro_f1": f1, "lr": 3e-3 * (1 - share),
                    "time_s": 1.7 + self.chance.random() / 5, "mem_MiB": 1045.7,
                }  # fmt: skip
                self._row("epoch", {"fold": fold, "epoch": epoch, **values})
                if f1 > best.get("macro_f1", -1.0):
                    best = {name: values[name] for name in ("accuracy", "macro_f1")}
                    new = {"metric": "macro_f1", "value": f1, "epoch": epoch, "fold": fold}
                    self.job.append({"_event": "NewBest", **new})
            self._row("summary", {"fold": fold, **best})
        whole = {"valid_loss": 0.113, "accuracy": 0.9649, "macro_f1": 0.965, "total_time_s": 3000.0}
        self._row("summary", whole)
        self.job.append({"_event": "ModelSaved", "path": "model", "sha256": "cd" * 32})

    def judge(self) -> None:
        cells = [
            [truth, prediction, 90 if row == column else self.chance.randrange(6)]
            for row, truth in enumerate(self.labels)
            for column, prediction in enumerate(self.labels)
        ]
        columns = ["truth", "prediction", "count"]
        self._table("confusion_matrix", columns, cells, plot="confusion_matrix")
        scores = [[label, 0.9, 0.88, 0.89 + at / 100, 95] for at, label in enumerate(self.labels)]
        self._table("per_class", ["class", "precision", "recall", "f1", "num"], scores)
        bins = [
            [when, at / 15, (at + 1) / 15, (at + 0.5) / 15,
             max(0.0, (at + 0.5) / 15 - (0.1 if when == "before" else 0.01)), 10 + at * 12]
            for when in ("before", "after") for at in range(15)
        ]  # fmt: skip
        columns = ["when", "bin_low", "bin_high", "confidence", "accuracy", "num"]
        self._table("reliability", columns, bins)
        judged = {"temperature": 1.43}
        for name, before, after in (("ece", 0.118, 0.019), ("mce", 0.3, 0.09),
                                    ("nll", 0.41, 0.36), ("brier", 0.2, 0.19)):  # fmt: skip
            judged |= {name + "_before": before, name + "_after": after}
        self._row("summary", {"stage": "calibrate", **judged})
        self.job.append({"_event": "Calibrated", "temperature": 1.43, "why": "fitted"})
        with tempfile.TemporaryDirectory() as aside:
            self._worst(Path(aside))
        said = {"path": "submission.csv", "num": 1000, "unreadable": 2, "model_sha256": "cd" * 32}
        self.job.append({"_event": "Predicted", **said})

    def _worst(self, aside: Path) -> None:
        num = len(self.labels)
        worst = [
            [self._noise(aside / f"{at}.png"), f"scan_{at:04d}.png", self.labels[at % num],
             self.labels[(at + 1) % num], 0.99 - at / 500, at % max(1, self.size.folds)]
            for at in range(self.size.pictures)
        ]  # fmt: skip
        columns = ["image", "id", "truth", "prediction", "confidence", "fold"]
        self._table("predictions", columns, worst)

    def watch(self) -> None:
        pen = Pen(self.run.dir, "system", attempt=0)
        for at in range(self.size.samples):
            pen.append(
                {"_t": self.begun_us + at * 10 * _MICROSECONDS, "cpu_percent": 150 + at % 30,
                 "ram_mib": 900.0 + at, "host_ram_total_mib": 24106,
                 "gpu0_util_percent": 90 - at % 20, "gpu0_memory_mib": 9000,
                 "gpu1_util_percent": 40 + at % 20, "gpu1_memory_mib": 4000}
            )  # fmt: skip

    def end(self, outcome: str, cause: Mapping[str, Any]) -> None:
        Path(self.run.log).write_text("[BOOT] overnight\n[DONE] 2 folds\n", encoding="utf-8")
        code = 0 if outcome == "finished" else 1
        Pen(self.run.dir, "events", attempt=0).append(
            {"_event": "Exited", "code": code, "signal": None, "known": True, "ran_s": 3540.0,
             "max_rss_mib": 1166.6, "cause": dict(cause), "outcome": outcome, "final": True}
        )  # fmt: skip

    def _row(self, kind: str, values: Mapping[str, Any]) -> None:
        self.metrics.append({"_kind": kind, **values})

    def _table(
        self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], **more: Any
    ) -> None:
        shelf = Shelf(self.run, "", self.media.next_seq)
        fields = write_table(shelf, key, columns, rows)
        self.media.append({"_kind": "table", "key": key, **fields, **more})

    def _noise(self, path: Path) -> Path:
        """A picture that shrinks as badly as a photograph does."""
        side = self.size.picture_px
        noise = self.chance.randbytes(side * side * 3)
        data = bytes(((at // side) % 200 + each // 5) % 256 for at, each in enumerate(noise))
        path.write_bytes(pixels.Raster(side, side, 3, data).png())
        return path
