"""The proof of the whole: tuned, trained, calibrated, predicted and over in time, on real images.

``python -m overnight.testing.pipeline_proof --data DIR --minutes 10``. DIR holds CIFAR-10, as its
own batches or as ``train.csv``, ``train/``, ``test/``, ``sample_submission.csv`` and
``test_labels.csv``. A copy is laid elsewhere, 4,000 pictures with their labels and 1,000 without;
what those 1,000 show stays in the memory of this process, where no run can read it. Then a config
is trained as anybody trains one, ``--until`` included, and this process looks at what was left:

* the run ended by itself, in the ten minutes before its time or with all of its work done;
* the submission, scored once, has a macro F1 above 0.35;
* the mean of the members is better than they are on average;
* cross-fitted, the out-of-fold rows are no less likely after calibration, and their expected
  calibration error falls where it began above 0.05;
* each out-of-fold row and each row of the submission is what the saved members say.

Shapes: N pictures, K classes, M members.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import overnight
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import read
from overnight.ledger.state import ENDED, Finished, view
from overnight.tasks.image_classification import batch
from overnight.testing import prediction_proof
from overnight.trainer.oof import macro_f1

NUM_TRAIN, NUM_TEST = 4_000, 1_000
LEAST_F1, ECE_TO_MEND = 0.35, 0.05
#: What the run may be idle before its time while there is something left to do.
IDLE_S = 600.0
#: The report and the supervisor's last duties are over by then.
_PATIENCE_S = 120.0

#: From scratch, at the pictures' own size: a small network in many epochs learns more in the time
#: than a larger one in few.
RECIPE = """\
task: image_classification
mode: full-pipeline
project: {name: cifar-proof, seed: %(seed)d}
data:
  train_csv: train.csv
  image_dir_train: train
  sample_csv: sample_submission.csv
  image_dir_test: test
  folds: 5
model: {name: resnet10t, pretrained: false}
train: {img_size: 32, batch_size: 64, epochs: 14, lr: 3e-3, warmup: 1}
tuning:
  n_trials: 6
  epochs: 4
  search_space:
    train.lr: {low: 1e-3, high: 1e-2, log: true}
    train.weight_decay: {low: 0.01, high: 0.3, log: true}
    model.drop_rate: {low: 0.0, high: 0.3}
auto_continue: true
calibration: true
predict: {tta: flip}
track: []
"""


@dataclass(slots=True)
class Found:
    """What was found: a line each, and whether it is as it should be."""

    lines: list[tuple[str, str, bool]] = field(default_factory=list)

    def add(self, name: str, text: str, holds: bool = True) -> None:
        """One line."""
        self.lines.append((name, text, holds))

    @property
    def holds(self) -> bool:
        """Whether all of it is."""
        return all(holds for _, _, holds in self.lines)


# ── the pictures, and what nobody else is to know ───────────────────────────────────────────────


def lay(data: Path, work: Path) -> dict[str, str]:
    """Lays what a run may see into ``work``; gives what it may not: test ID → class.

    Raises:
        SystemExit: There is no CIFAR-10 in ``data``.
    """
    for name in ("train", "test"):
        (work / name).mkdir(parents=True)
    if (data / "test_labels.csv").is_file():
        train, test = _table(data / "train.csv"), _table(data / "test_labels.csv")
        for name, rows in (("train", train), ("test", test)):
            for id, _ in rows:
                shutil.copyfile(data / name / id, work / name / id)
    else:
        train, test = _unpacked(data, work)
    _write(work / "train.csv", train)
    # Whoever reads the sample learns the format, and one class.
    _write(work / "sample_submission.csv", [(id, train[0][1]) for id, _ in test])
    return dict(test)


def _unpacked(data: Path, work: Path) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The first pictures of CIFAR-10's own batches, as files."""
    folder = data / "cifar-10-batches-py" if (data / "cifar-10-batches-py").is_dir() else data
    if not (folder / "test_batch").is_file():
        raise SystemExit(f"no CIFAR-10 in {data}: neither test_labels.csv nor test_batch")
    tables: list[list[tuple[str, str]]] = []
    for name, file, num in (("train", "data_batch_1", NUM_TRAIN), ("test", "test_batch", NUM_TEST)):
        found, rows = batch.read(str(folder / file)), []
        for row in range(num):
            id = f"{name[:2]}{row:05}.png"
            pixels_CHW = np.frombuffer(found.row(row), dtype=np.uint8).reshape(3, 32, 32)
            Image.fromarray(pixels_CHW.transpose(1, 2, 0)).save(work / name / id)
            rows.append((id, str(found.labels[row])))
        tables.append(rows)
    return tables[0], tables[1]


def _table(path: Path) -> list[tuple[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["ID"], row["target"]) for row in csv.DictReader(file)]


def _write(path: Path, rows: Sequence[tuple[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("ID", "target"), *rows])


# ── the run, and what it has left ───────────────────────────────────────────────────────────────


def prove(work: Path, hidden: dict[str, str], *, minutes: float, seed: int) -> Found:
    """Trains, waits, and looks.

    Args:
        work: As :func:`lay` left it.
        hidden: Test ID → class.
        minutes: Until the run has to be over.
        seed: Of the project.
    """
    config = work / "cifar.yaml"
    config.write_text(RECIPE % {"seed": seed}, encoding="utf-8")
    until_s = time.time() + 60 * minutes
    run = overnight.train(config, until=f"{60 * minutes:.0f}s", root=work / "root")
    _say(f"{run.run_id} until {time.strftime('%H:%M:%S', time.localtime(until_s))}: {run.log}")
    while not isinstance(view(run).state, ENDED) and time.time() < until_s + _PATIENCE_S:
        time.sleep(0.5)
    found = Found()
    _in_time(run, until_s, found)
    if not found.holds:
        return found
    # The only look at what is hidden that asks how good the submission is.
    sent = dict(_table(Path(run.at("submission.csv"))))
    score = _f1([hidden[id] for id in hidden], [sent[id] for id in hidden])
    found.add("macro F1 on hidden labels", f"{score:.4f}, at least {LEAST_F1}", score > LEAST_F1)
    _ensemble(run, work, hidden, found)
    _calibration(run, found)
    for each in prediction_proof.prove(run.dir):
        text = f"{each.num:,} rows, largest difference {each.largest:.1e}"
        found.add(f"recomputed {each.name}", text, each.agrees)
    return found


def _in_time(run: RunPaths, until_s: float, found: Found) -> None:
    state = view(run).state
    events = read(run.dir, "events").records
    ended = [each["_t"] / 1e6 for each in events if each.get("_event") == "Exited"]
    late_s = (ended[-1] if ended else time.time()) - until_s
    planned = [each for each in read(run.dir, "job").records if each.get("_event") == "Planned"]
    newest: dict[str, Any] = planned[-1] if planned else {}
    done = f"{newest.get('num_trials')} of {newest.get('trials_asked')} trials,"
    done += f" {newest.get('num_folds')} of {newest.get('folds_asked')} folds"
    is_all = newest.get("num_folds") == newest.get("folds_asked")
    found.add("ended by itself", type(state).__name__, isinstance(state, Finished))
    in_time = late_s <= 0 and (is_all or late_s >= -IDLE_S)
    found.add("in time", f"{late_s:+.0f} s; {done}; {len(planned)} plans told", in_time)


def _ensemble(run: RunPaths, work: Path, hidden: dict[str, str], found: Found) -> None:
    """Each member by itself beside all of them, on the pictures that none has seen."""
    plain = prediction_proof.Plain(Path(run.at("model")))
    temperature = plain.card["postprocessing"]["temperature"]
    codes: list[str] = plain.card.get("codes") or plain.card["labels"]
    truth_N = np.array([codes.index(each) for each in hidden.values()])
    shares_MNK = np.array(
        [
            [
                _softmax(plain.logits(str(work / "test" / id), member, "none")[0] / temperature)
                for id in hidden
            ]
            for member in plain.members.values()
        ]
    )
    member_nll = float(np.mean([_nll(shares_NK, truth_N) for shares_NK in shares_MNK]))
    member_accuracy = float((shares_MNK.argmax(axis=2) == truth_N).mean())
    whole_NK = shares_MNK.mean(axis=0)
    nll, accuracy = _nll(whole_NK, truth_N), float((whole_NK.argmax(axis=1) == truth_N).mean())
    found.add(
        f"mean of {len(shares_MNK)} members",
        f"accuracy {accuracy:.4f} (a member {member_accuracy:.4f}),"
        f" NLL {nll:.4f} (a member {member_nll:.4f})",
        len(shares_MNK) == 1 or (accuracy > member_accuracy and nll < member_nll),
    )


def _calibration(run: RunPaths, found: Found) -> None:
    numbers: dict[str, Any] = {}
    for each in read(run.dir, "metrics").records:
        if each.get("stage") == "calibrate" and each.get("_kind") == "summary":
            numbers.update(each)
    before, after = numbers["nll_before"], numbers["nll_after"]
    text = f"{before:.4f} -> {after:.4f}, temperature {numbers['temperature']:.3f}"
    found.add("NLL out of fold, cross-fitted", text, after <= before)
    before, after = numbers["ece_before"], numbers["ece_after"]
    holds = before <= ECE_TO_MEND or after < before
    found.add("ECE out of fold, cross-fitted", f"{before:.4f} -> {after:.4f}", holds)


def _softmax(logits_K: NDArray[np.float64]) -> NDArray[np.float64]:
    powers_K = np.exp(logits_K - logits_K.max())
    return np.asarray(powers_K / powers_K.sum())


def _nll(shares_NK: NDArray[np.float64], truth_N: NDArray[np.int64]) -> float:
    return float(-np.log(shares_NK[np.arange(len(truth_N)), truth_N]).mean())


def _f1(truth: Sequence[str], said: Sequence[str]) -> float:
    """Macro F1 over the classes that occur."""
    classes = sorted({*truth, *said})
    confusion_KK = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for one, other in zip(truth, said, strict=True):
        confusion_KK[classes.index(one), classes.index(other)] += 1
    return macro_f1(confusion_KK)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints what was found; 1 where something is not as it should be."""
    parser = argparse.ArgumentParser(prog="pipeline_proof", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--keep", type=Path, help="an empty folder that is left as it is")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # a picture at a time is no work to be shared out
    folder = options.keep or Path(tempfile.mkdtemp(prefix="overnight-pipeline-"))
    try:
        hidden = lay(options.data.resolve(), folder.resolve())
        found = prove(folder.resolve(), hidden, minutes=options.minutes, seed=options.seed)
    finally:
        if options.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    for name, text, holds in found.lines:
        _say(f"{name:<30}  {text}" + ("" if holds else "  DOES NOT HOLD"))
    _say("holds" if found.holds else "DOES NOT HOLD")
    return 0 if found.holds else 1


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
