"""Real images from scratch, equal minutes: ``overnight train`` and timm's plain recipe, macro F1.

``--data DIR`` is a folder with ``train.csv`` (ID,target) and ``train/``, or one above it that holds
``cifar10/``. Each seed has its own split (a fifth is validated on) and both sides have the same.

Ours is the config that ``overnight new --data`` writes, theirs ``trainings/timm_plain.py`` with the
defaults of timm's train.py. Both have the same network from scratch, the same input size, the same
threads and loader workers, float32, and no GPU. A trial of three epochs for each side says how many
fit into the minutes; so each schedule ends within them. The minutes are those of the training with
its evaluations and checkpoints, from the making of the model to the last of them; the start of the
process is told apart. Each side is scored by scikit-learn on what its best epoch predicted.

Cells that are over are kept (``--json``): a bench that was broken off goes on where it was, unless
the code, the data or what was asked for is another. Six cells of four minutes take half an hour:
``python bench/real_images.py --data DIR --minutes 4``.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import _measure as measure
from _image_trainings import RIVAL, SIDES, Asked, Cell, rows_of
from overnight.ledger import files

_TRIAL_EPOCHS = 3
#: Of the minutes, so that an epoch that is slower than those of the trial still ends within them.
_MARGIN = 0.98
#: A cell that took another share of its minutes than this says that something else computed.
_FAIR = 0.85, 1.02
_KEPT = measure.BENCH / "results" / "real-images.json"


def _fitting(trial: Cell, minutes: float) -> int:
    """The epochs that end within the minutes; the first one is slower than those after it."""
    first, *later = trial.epochs_s
    each = min(b - a for a, b in zip(trial.epochs_s, later, strict=False))
    tail = trial.trained_s - trial.epochs_s[-1]
    return 1 + int((minutes * 60 * _MARGIN - first - tail) / each)


def _key(asked: Asked) -> dict[str, Any]:
    """What has to be the same for a kept cell to count."""
    digest = hashlib.sha256()
    source = measure.ROOT / "src" / "overnight"
    sides = [RIVAL, measure.BENCH / "_image_trainings.py"]
    code = [*source.glob("trainer/**/*.py"), *source.glob("tasks/**/*.py"), *sides]
    for path in sorted(code):
        digest.update(path.read_bytes())
    table = hashlib.sha256((asked.data / "train.csv").read_bytes()).hexdigest()
    said = {name: value for name, value in asdict(asked).items() if name not in ("data", "seeds")}
    return {**said, "table": table[:12], "code": digest.hexdigest()[:12]}


class Kept:
    """The cells that are over, in a file."""

    def __init__(self, path: Path, asked: Asked, machine: str) -> None:
        self._path, key = path, _key(asked)
        before = files.read_json(str(path)) or {}
        if before.get("asked") == key:
            self.said: dict[str, Any] = before
            print(f"Going on with {len(before['cells'])} cells of {path}", file=sys.stderr)
        else:
            self.said = {"asked": key, "machine": machine, "epochs": {}, "cells": {}}

    def keep(self) -> None:
        """Writes them, whole or not at all."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        files.replace(str(self._path), files.to_json(self.said))

    def epochs(self, name: str, asked: Asked, folder: Path) -> int:
        """How many a side gets; tried out where it is not known yet."""
        if name not in self.said["epochs"]:
            print(f"{name}: a trial of {_TRIAL_EPOCHS} epochs …", file=sys.stderr, flush=True)
            trial = SIDES[name](asked, folder, 0, _TRIAL_EPOCHS)
            fitting = _fitting(trial, asked.minutes)
            if fitting <= _TRIAL_EPOCHS:
                each = trial.trained_s / _TRIAL_EPOCHS
                raise SystemExit(
                    f"{asked.minutes:g} minutes are too few: an epoch of {name} takes {each:.0f} s."
                    " Give more with --minutes, or a smaller --size."
                )
            self.said["epochs"][name] = fitting
            self.keep()
        return int(self.said["epochs"][name])

    def cell(self, name: str, asked: Asked, folder: Path, seed: int) -> Cell:
        """A side's training with a seed; run where it is not kept."""
        key = f"{name}-{seed}"
        if key not in self.said["cells"]:
            epochs = self.epochs(name, asked, folder)
            print(f"{name}, seed {seed}: {epochs} epochs …", file=sys.stderr, flush=True)
            self.said["cells"][key] = asdict(SIDES[name](asked, folder, seed, epochs))
            self.keep()
        said = self.said["cells"][key]
        return Cell(**{**said, "epochs_s": tuple(said["epochs_s"])})


def main() -> None:
    """Prints the table."""
    asked, kept_at = _asked()
    if asked is None:
        # `make bench` runs them all: not having data of one's own is no failure.
        print("Needs --data DIR, images of one's own. Nothing was measured.")
        return
    machine = measure.calm()
    kept = Kept(kept_at, asked, machine)
    cells: dict[str, list[Cell]] = {name: [] for name in SIDES}
    with tempfile.TemporaryDirectory(
        prefix="overnight-bench-", ignore_cleanup_errors=True
    ) as folder:
        for name in SIDES:
            kept.epochs(name, asked, Path(folder))
        for seed in range(asked.seeds):
            # ABBA: a slow quarter of an hour hits both.
            for name in SIDES if seed % 2 == 0 else reversed(list(SIDES)):
                cells[name].append(kept.cell(name, asked, Path(folder), seed))
    _tell(asked, kept.said["machine"], cells)
    print(f"\nEvery number: {kept_at}")


def _tell(asked: Asked, machine: str, cells: Mapping[str, Sequence[Cell]]) -> None:
    rows = []
    for seed, (a, b) in enumerate(zip(*cells.values(), strict=True)):
        rows.append([str(seed), *_row(a), *_row(b), f"{a.macro_f1 / b.macro_f1:.2f}"])
    means = [statistics.mean(cell.macro_f1 for cell in each) for each in cells.values()]
    lasts = [statistics.mean(cell.last_f1 for cell in each) for each in cells.values()]
    both = [["", "", f"{f1:.4f}", f"{last:.4f}"] for f1, last in zip(means, lasts, strict=True)]
    rows.append(["mean", *both[0], *both[1], f"{means[0] / means[1]:.2f}"])
    counts = Counter(target for _, target in rows_of(asked.data))
    title = (
        f"{sum(counts.values())} images, {len(counts)} classes, {asked.model} from scratch at"
        f" {asked.size_px} px, {asked.minutes:g} minutes, {asked.threads} threads,"
        f" {asked.workers} workers"
    )
    side = ["epochs", "minutes", "macro F1", "its last epoch's"]
    head = ["seed", *(f"{name}: {each}" for name in SIDES for each in side), "ratio"]
    measure.table(title, machine, head, rows)
    for name, each in cells.items():
        start = statistics.median(cell.start_s for cell in each)
        print(f"\n{name} begins to train {start:.1f} s after its command; not in the minutes.")
        shares = [cell.trained_s / (asked.minutes * 60) for cell in each]
        if min(shares) < _FAIR[0] or max(shares) > _FAIR[1]:
            print(
                f"! {name} used {min(shares):.0%} to {max(shares):.0%} of its minutes: something"
                " else computed, now or in the trial. Measure again with --again."
            )


def _row(cell: Cell) -> list[str]:
    return [
        str(len(cell.epochs_s)), f"{cell.trained_s / 60:.2f}", f"{cell.macro_f1:.4f}",
        f"{cell.last_f1:.4f}",
    ]  # fmt: skip


def _asked() -> tuple[Asked | None, Path]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parser.add_argument("--data", type=Path, help="train.csv and train/, or cifar10/ with them")
    parser.add_argument("--minutes", type=float, default=4.0, help="of each training")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--model", default="resnet18", help="timm's name of it")
    parser.add_argument("--size", type=int, default=64, help="the input's side in pixels")
    parser.add_argument("--threads", type=int, default=cores or 1, help="of torch")
    parser.add_argument("--json", type=Path, default=_KEPT, help="where cells are kept")
    parser.add_argument("--again", action="store_true", help="forget the cells that are kept")
    options = parser.parse_args()
    if options.data is None:
        return None, options.json
    data = options.data.resolve()
    data = data / "cifar10" if (data / "cifar10").is_dir() else data
    if not (data / "train.csv").is_file():
        parser.error(f"{data} has no train.csv")
    if options.again:
        options.json.unlink(missing_ok=True)
    asked = Asked(
        data=data,
        minutes=options.minutes,
        seeds=options.seeds,
        model=options.model,
        size_px=options.size,
        threads=options.threads,
        # As many as overnight takes by itself: one less than the cores.
        workers=max(0, options.threads - 1),
    )
    return asked, options.json


if __name__ == "__main__":
    main()
