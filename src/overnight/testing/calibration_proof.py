"""What a temperature does to real trainings, on rows that nothing was fitted to.

``python -m overnight.testing.calibration_proof --data DIR`` trains small nets from scratch on
CIFAR-10 (laid out as ``pipeline_proof`` takes it), once for each seed, far enough to be surer than
they should be. It holds each run to this:

* cross-fitted, the out-of-fold rows are never less likely after calibration than before;
* their expected calibration error falls where it began above 0.05;
* what is served, the mean of the members, is likelier on pictures that no run has had at the
  temperature that the mean asks for than at that of the members, and than as trained.

``--record FILE`` keeps the out-of-fold logits.

Shapes: N pictures, K classes, M members.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overnight import calibration
from overnight.calibration import Scores
from overnight.ledger.paths import RunPaths
from overnight.model_folder import verify
from overnight.testing import pipeline_proof, sessions

#: Below it a network is as good as calibrated, and its error is mostly that of counting.
ECE_TO_MEND = 0.05
_FOLDS = 3
_BATCH = 100


@dataclass(frozen=True, slots=True)
class Found:
    """What one training came to.

    Attributes:
        temperatures: What each fold's rows ask for by themselves.
        before: Of the out-of-fold rows; ``after`` cross-fitted.
        mean: What the mean of the members is served at; the labels held back have no part in it.
        served: Of that mean on the pictures held back: at 1, at the temperature, at its own.
        member_nll: Of the members on these, on average, at the temperature.
        out_of_fold: Logits, targets and folds.
    """

    seed: int
    temperature: float
    temperatures: Sequence[float]
    before: Scores
    after: Scores
    mean: float
    served: tuple[Scores, Scores, Scores]
    member_nll: float
    out_of_fold: Mapping[str, NDArray[Any]]

    def faults(self) -> list[str]:
        """What the proof does not allow."""
        found = []
        if self.after.nll > self.before.nll:
            found.append(f"seed {self.seed}: NLL {self.before.nll:.4f} -> {self.after.nll:.4f}")
        if self.before.ece > ECE_TO_MEND and self.after.ece >= self.before.ece:
            found.append(f"seed {self.seed}: ECE {self.before.ece:.4f} -> {self.after.ece:.4f}")
        *others, own = self.served
        found += [
            f"seed {self.seed}: NLL of the mean {each.nll:.4f} -> {own.nll:.4f}"
            for each in others
            if own.nll > each.nll
        ]
        return found


def prove(data: Path, root: Path, seed: int, *, num: int, epochs: int) -> Found:
    """Trains, and looks at what was left.

    Args:
        data: CIFAR-10.
        root: Where the run goes.
        seed: Of the training.
        num: Pictures to train on; the test pictures are held back.
        epochs: Of each fold.
    """
    _lay(data, root, num)
    run = sessions.begin(_config(root, epochs), root, project__seed=str(seed))
    trainer = [sys.executable, "-m", "overnight.trainer", run.dir]
    # Nets as small as this one are slower with several threads that wait for each other.
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(trainer, capture_output=True, text=True, check=False, cwd=root, env=env)
    if done.returncode:
        raise SystemExit(done.stdout[-4000:] + done.stderr[-4000:])
    logits_NK, targets_N, folds_N = (
        np.load(run.at("oof", f"oof_{name}.npy")) for name in ("logits", "targets", "folds")
    )
    found = calibration.judge(logits_NK, targets_N, folds_N)
    card = verify(run.at("model"))
    assert card.temperature == found.temperature, "the model has another one than its rows ask for"
    held_MNK, truth_N = _held(run, root)
    scaled_MNK = calibration.apply(held_MNK, card.temperature)
    at_N = np.arange(len(truth_N))
    mean = calibration.fit_mean(held_MNK, card.temperature) or card.temperature
    return Found(
        seed=seed,
        temperature=card.temperature,
        temperatures=[
            calibration.fit(logits_NK[folds_N == fold], targets_N[folds_N == fold])
            for fold in range(_FOLDS)
        ],
        before=found.before,
        after=found.after,
        served=(
            _scores(calibration.apply(held_MNK).mean(axis=0), truth_N),
            _scores(scaled_MNK.mean(axis=0), truth_N),
            _scores(calibration.apply(held_MNK, mean).mean(axis=0), truth_N),
        ),
        mean=mean,
        member_nll=float(-np.log(scaled_MNK[:, at_N, truth_N]).mean()),
        out_of_fold={"logits": logits_NK, "targets": targets_N, "folds": folds_N},
    )


def small(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """As they are recorded: a hundredth of a logit says nothing here."""
    kinds = {"logits": np.float16, "targets": np.uint8, "folds": np.uint8}
    return {name: array.astype(kinds[name]) for name, array in arrays.items()}


def _scores(shares_NK: NDArray[np.float64], truth_N: NDArray[np.int64]) -> Scores:
    """Of probabilities: those of their logarithms, as they are."""
    return calibration.judge(np.log(shares_NK), truth_N).before


def _lay(data: Path, root: Path, num: int) -> None:
    """The first pictures to train on, and a table of those that no run sees."""
    hidden = pipeline_proof.lay(data, root)
    with (root / "train.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[: num + 1]
    for name, part in (("train", rows), ("held", [rows[0], *hidden.items()])):
        with (root / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(part)


def _config(root: Path, epochs: int) -> Path:
    path = root / "calibration.yaml"
    path.write_text(
        "task: image_classification\n"
        f"data: {{train_csv: train.csv, image_dir_train: train, folds: {_FOLDS}}}\n"
        "model: {name: test_resnet, pretrained: false}\n"
        # Plain and long: so a net becomes surer than it should be.
        f"train: {{img_size: 32, batch_size: 32, epochs: {epochs}, lr: 3e-3, num_workers: 0,"
        " augmentation: none}\n"
        "calibration: true\n",
        encoding="utf-8",
    )
    return path


def _held(run: RunPaths, root: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """What each member puts out for the pictures held back, and what these are."""
    import torch

    from overnight.tasks.base import FitContext, Scope
    from overnight.tasks.image_classification.data import Reader
    from overnight.tasks.image_classification.task import ImageClassification
    from overnight.testing.fits import MemoryLedger, StopAt
    from overnight.trainer.spec_of_run import read_spec

    spec, task = read_spec(run), ImageClassification()
    data: Any = spec.data
    held = {"train_csv": root / "held.csv", "image_dir_train": root / "test"}
    index = Reader().scan(data.model_copy(update=held))
    card = verify(run.at("model"))
    assert tuple(index.labels) == card.labels, "the pictures held back have other classes"
    ctx = FitContext(
        root, spec, Scope(), [], index.examples, index.labels, None, MemoryLedger(), StopAt(),
        lambda _epoch, _metric: True,
    )  # fmt: skip
    dataset = task.dataset(index.examples, ctx, augment=False)
    logits = []
    for member in card.members:
        model = task.load(member.folder).eval()
        parts = []
        for begin in range(0, len(dataset), _BATCH):
            rows = range(begin, min(begin + _BATCH, len(dataset)))
            batch = task.collate([dataset[row] for row in rows], seed=0, train=False)
            with torch.no_grad():
                parts.append(model(**batch)["logits"].float().numpy())
        logits.append(np.concatenate(parts))
    return np.stack(logits), np.array([each.target for each in index.examples], dtype=np.int64)


def _line(found: Found) -> str:
    nll = " -> ".join(f"{each.nll:6.4f}" for each in found.served)
    ece = " -> ".join(f"{each.ece:6.4f}" for each in found.served)
    own = " ".join(f"{each:.2f}" for each in found.temperatures)
    return (
        f"{found.seed:>4}  {found.temperature:5.2f}  {own:<16}"
        f"  {found.before.nll:6.4f} -> {found.after.nll:6.4f}"
        f"  {found.before.ece:6.4f} -> {found.after.ece:6.4f}"
        f"  | {found.mean:5.2f}  {nll}  {ece}  (a member: NLL {found.member_nll:.4f})"
    )


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(words: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="calibration_proof", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--num", type=int, default=1_500)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--record", type=Path, metavar="FILE", help="an .npz to keep logits in")
    asked = parser.parse_args(words)
    _say("seed      T  T of each fold      NLL out of fold     ECE out of fold "
         "  | held back, the mean: its T, NLL, ECE at 1, at T, at its own")  # fmt: skip
    faults: list[str] = []
    kept: dict[str, NDArray[Any]] = {}
    for seed in range(asked.seeds):
        with tempfile.TemporaryDirectory(prefix="overnight-calibration-") as root:
            data = asked.data.resolve()
            found = prove(data, Path(root), seed, num=asked.num, epochs=asked.epochs)
        _say(_line(found))
        faults += found.faults()
        kept |= {f"{name}_{seed}": array for name, array in small(found.out_of_fold).items()}
    if asked.record is not None:
        np.savez_compressed(asked.record, allow_pickle=False, **kept)
    for fault in faults:
        _say(f"FAULT {fault}")
    _say(f"{asked.seeds} trainings, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
