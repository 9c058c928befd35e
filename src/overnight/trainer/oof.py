"""Out-of-fold predictions: every example as the fold saw it that had never learnt from it.

Shapes: N examples with a prediction, K classes, F folds.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overnight.calibration import apply

Floats = NDArray[np.float32]
Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """The predictions, in the order of the data.

    Attributes:
        rows: ``(N,)``: positions in the data's index; ``valid_fold: 2`` leaves other folds' out.
        logits: ``(N, K)``: what the members put out.
        targets: ``(N,)``: the classes' indices.
        folds: ``(N,)``: the fold each was validated in.
    """

    rows: Whole
    logits: Floats
    targets: Whole
    folds: Whole

    def probabilities(self, temperature: float = 1.0) -> NDArray[np.float64]:
        """``(N, K)``: softmax of the logits divided by a temperature."""
        return apply(self.logits, temperature)

    def loss(self) -> float:
        """Mean cross entropy."""
        top_N = self.logits.max(axis=1).astype(np.float64)
        shifted_NK = self.logits.astype(np.float64) - top_N[:, None]
        own_N = shifted_NK[np.arange(len(self.targets)), self.targets]
        return float(np.mean(np.log(np.exp(shifted_NK).sum(axis=1)) - own_N))

    def confusion(self) -> Whole:
        """``(K, K)``: row = truth, column = prediction."""
        num_classes = self.logits.shape[1]
        flat = self.targets * num_classes + self.logits.argmax(axis=1)
        counts = np.bincount(flat, minlength=num_classes**2)
        return counts.reshape(num_classes, num_classes).astype(np.int64)

    def metrics(self) -> dict[str, float]:
        """Over all rows at once, by their names in docs/metrics.md."""
        confusion_KK = self.confusion()
        return {
            "valid_loss": self.loss(),
            "accuracy": float(np.trace(confusion_KK) / confusion_KK.sum()),
            "macro_f1": macro_f1(confusion_KK),
        }

    def save(self, folder: Path, ids: Sequence[str]) -> None:
        """Writes oof_logits.npy, oof_targets.npy, oof_folds.npy and oof_ids.npy.

        Args:
            folder: Made where it is not there.
            ids: Of all examples of the data.
        """
        folder.mkdir(mode=0o700, exist_ok=True)
        save_array(folder / "oof_logits.npy", self.logits)
        save_array(folder / "oof_targets.npy", self.targets)
        save_array(folder / "oof_folds.npy", self.folds)
        # Text of one width, not objects: numpy.load needs no pickle for it.
        save_array(folder / "oof_ids.npy", np.array([ids[row] for row in self.rows], dtype=np.str_))


def gather(logits: Mapping[int, Path], fold_of: Sequence[int], targets: Sequence[Any]) -> OutOfFold:
    """Lays the folds' validation logits together.

    Args:
        logits: Fold → its ``(N_f, K)`` ``.npy``, rows in the order of the data.
        fold_of: The fold of each example of the data.
        targets: The class of each.
    """
    rows, parts, folds = [], [], []
    for fold in sorted(logits):
        own = [row for row, of in enumerate(fold_of) if of == fold]
        part_NK = np.load(logits[fold], allow_pickle=False)
        assert len(part_NK) == len(own), f"{logits[fold]}: {len(part_NK)} rows of {len(own)}"
        rows += own
        parts.append(part_NK)
        folds += [fold] * len(own)
    order_N = np.argsort(np.array(rows))
    rows_N = np.array(rows, dtype=np.int64)[order_N]
    return OutOfFold(
        rows=rows_N,
        logits=np.concatenate(parts).astype(np.float32)[order_N],
        targets=np.array([targets[row] for row in rows_N], dtype=np.int64),
        folds=np.array(folds, dtype=np.int64)[order_N],
    )


def per_class(confusion_KK: Whole) -> list[dict[str, float]]:
    """Precision, recall, F1 and the number of examples of each class; 0 where nothing is known."""
    hits_K = np.diag(confusion_KK).astype(np.float64)
    support_K, chosen_K = confusion_KK.sum(axis=1), confusion_KK.sum(axis=0)
    precision_K = hits_K / np.maximum(chosen_K, 1)
    recall_K = hits_K / np.maximum(support_K, 1)
    f1_K = 2 * hits_K / np.maximum(support_K + chosen_K, 1)
    return [
        {
            "precision": float(precision_K[k]),
            "recall": float(recall_K[k]),
            "f1": float(f1_K[k]),
            "num": int(support_K[k]),
        }
        for k in range(len(hits_K))
    ]


def macro_f1(confusion_KK: Whole) -> float:
    """Mean F1 of the classes that occur, as truth or as prediction: scikit-learn's."""
    occurs_K = confusion_KK.sum(axis=0) + confusion_KK.sum(axis=1) > 0
    f1_K = np.array([each["f1"] for each in per_class(confusion_KK)])
    return float(f1_K[occurs_K].mean())


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Writes a ``.npy``, whole or not at all.

    Raises:
        OSError: The disk is full.
    """
    aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with aside.open("wb") as file:
            np.save(file, array, allow_pickle=False)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
