"""One set of images, classified by ``overnight train`` and by a script of timm's parts.

Both sides have the same split, network, input size, threads and loader workers, float32 and no GPU;
a cell says what one of them took and reached.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold

import _measure as measure
from overnight.ledger import reader

RIVAL = measure.BENCH / "trainings" / "timm_plain.py"
_NUM_FOLDS, _VALID = 5, 0
_RUNS = "experiments/train/[0-9]*/*"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is the same for all cells, but for ``seeds``: how many there are."""

    data: Path
    minutes: float
    seeds: int
    model: str
    size_px: int
    threads: int
    workers: int


@dataclass(frozen=True, slots=True)
class Cell:
    """One training as it went.

    Attributes:
        start_s: From the command to the making of the model: process, imports, a look at the data.
        epochs_s: When each epoch was over, its evaluation included, from the making of the model.
        trained_s: To the last checkpoint.
        macro_f1: Of the best epoch's predictions.
        last_f1: Of the last epoch.
        load: The machine's load average at the end.
    """

    start_s: float
    epochs_s: tuple[float, ...]
    trained_s: float
    macro_f1: float
    last_f1: float
    load: float


Side = Callable[[Asked, Path, int, int], Cell]


def rows_of(data: Path) -> list[tuple[str, str]]:
    """ID and target of each image."""
    with (data / "train.csv").open(newline="") as file:
        return [(row["ID"], row["target"]) for row in csv.DictReader(file)]


def _split(asked: Asked, folder: Path, seed: int) -> Path:
    """The set as each side reads it: a table with folds, and a folder for each class."""
    made = folder / f"set{seed}"
    if made.exists():
        return made
    rows = rows_of(asked.data)
    targets = [target for _, target in rows]
    fold_of = {}
    splitter = StratifiedKFold(_NUM_FOLDS, shuffle=True, random_state=seed)
    for fold, (_, valid) in enumerate(splitter.split(targets, targets)):
        fold_of.update(dict.fromkeys(valid.tolist(), fold))
    (made / "table").mkdir(parents=True)
    (made / "table" / "train").symlink_to(asked.data / "train")
    with (made / "table" / "train.csv").open("w", newline="") as file:
        written = csv.writer(file)
        written.writerow(["ID", "target", "fold"])
        written.writerows([*row, fold_of[index]] for index, row in enumerate(rows))
    for index, (name, target) in enumerate(rows):
        part = "validation" if fold_of[index] == _VALID else "train"
        place = made / "folders" / part / target
        place.mkdir(parents=True, exist_ok=True)
        (place / name).symlink_to(asked.data / "train" / name)
    return made


def _run(words: Sequence[str], env: Mapping[str, str], label: str) -> None:
    """Runs a training and lets its epochs be seen.

    Raises:
        SystemExit: It failed; with the end of what it said.
    """
    said: list[str] = []
    with subprocess.Popen(
        words, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            said.append(line)
            if line.lower().startswith(("[epoch", "epoch")):
                print(f"  {label}: {line.rstrip()}", file=sys.stderr, flush=True)
    if running.returncode:
        raise SystemExit(f"{label} failed:\n{''.join(said[-30:])}")


def _place(folder: Path) -> tempfile.TemporaryDirectory[str]:
    """For one training: all their checkpoints are gigabytes. A mirror may still write there."""
    return tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True)


def _environment(asked: Asked, folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OVERNIGHT_", "WANDB_"))}
    return {
        **kept,
        "OMP_NUM_THREADS": str(asked.threads),
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONUNBUFFERED": "1",
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }


# ── ours ─────────────────────────────────────────────────────────────────────────────────────


def ours(asked: Asked, folder: Path, seed: int, epochs: int) -> Cell:
    """``overnight new``, ``overnight train``, and what the ledger says of it."""
    made = _split(asked, folder, seed)
    overnight = str(Path(sys.executable).with_name("overnight"))
    env = _environment(asked, folder)
    values = {
        "model.name": asked.model, "model.pretrained": "false", "train.img_size": asked.size_px,
        "train.epochs": epochs, "train.num_workers": asked.workers,
        "data.valid_fold": _VALID, "project.seed": seed,
    }  # fmt: skip
    sets = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
    with _place(folder) as place:
        project = Path(place, "ours")
        new = [overnight, "new", str(project), "--data", str(made / "table")]
        subprocess.run(new, env=env, stdout=subprocess.DEVNULL, check=True)
        config = str(project / "configs" / "train.yaml")
        begun = time.time()
        try:
            _run([overnight, "train", "--config", config, *sets], env, f"overnight, seed {seed}")
        except KeyboardInterrupt:
            # Else it would go on without its terminal.
            for run in project.glob(_RUNS):
                subprocess.run([overnight, "stop", run.name], env=env, check=False)
            raise
        (run,) = project.glob(_RUNS)
        validated = {name for name, _ in rows_of(asked.data)} - _names(made / "folders" / "train")
        if set(np.load(run / "oof" / "oof_ids.npy").tolist()) != validated:
            raise SystemExit("the two sides were not validated on the same images")
        return _read(run, begun)


def _read(run: Path, begun: float) -> Cell:
    fit = next(
        each["_t"] / 1e6
        for each in reader.read(str(run), "job").records
        if each["_event"] == "PhaseStarted" and each["phase"] == "fit"
    )
    records = reader.read(str(run), "metrics").records
    rows = [each for each in records if each["_kind"] == "epoch"]
    # The fold's summary is written when its last checkpoint is.
    over = next(each["_t"] for each in records if each["_kind"] == "summary" and "fold" in each)
    logits, targets = (np.load(run / "oof" / f"oof_{name}.npy") for name in ("logits", "targets"))
    return Cell(
        start_s=fit - begun,
        epochs_s=tuple(each["_t"] / 1e6 - fit for each in rows),
        trained_s=over / 1e6 - fit,
        macro_f1=float(f1_score(targets, logits.argmax(1), average="macro")),
        last_f1=float(rows[-1]["macro_f1"]),
        load=os.getloadavg()[0],
    )


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*/*")}


# ── theirs ───────────────────────────────────────────────────────────────────────────────────


def theirs(asked: Asked, folder: Path, seed: int, epochs: int) -> Cell:
    """The rival's script, and what it writes."""
    made = _split(asked, folder, seed)
    with _place(folder) as place:
        output = Path(place)
        options: dict[str, object] = {
            "--data": made / "folders", "--output": output, "--model": asked.model,
            "--img-size": asked.size_px, "--epochs": epochs, "--workers": asked.workers,
            "--seed": seed,
        }  # fmt: skip
        words = [str(word) for pair in options.items() for word in pair]
        begun = time.time()
        env = _environment(asked, folder)
        _run([sys.executable, str(RIVAL), *words], env, f"timm, seed {seed}")
        said = json.loads((output / "times.json").read_text())
        with np.load(output / "predictions.npz") as found:
            macro_f1 = float(f1_score(found["meant"], found["found"], average="macro"))
    begins = said["imported"]
    return Cell(
        start_s=begins - begun,
        epochs_s=tuple(each - begins for each in said["epochs_ended"]),
        trained_s=said["epochs_ended"][-1] - begins,
        macro_f1=macro_f1,
        last_f1=float(said["macro_f1"][-1]),
        load=os.getloadavg()[0],
    )


SIDES: Mapping[str, Side] = {"overnight": ours, "timm": theirs}
