"""Streaming metrics: what is held of an evaluation does not grow with the set.

N examples, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from overnight.tasks.base import Json


class Classification:
    """Accuracy and macro F1, as scikit-learn counts them.

    Three counts per class are all that either needs: how often it was meant, predicted, and both.
    As in ``sklearn.metrics.f1_score(average="macro")``, a class that was neither meant nor
    predicted does not count, and one without a right answer counts as 0.

    Args:
        num_classes: K.
    """

    def __init__(self, num_classes: int) -> None:
        self._num_classes = num_classes
        #: Rows: meant, predicted, both.
        self._counts_3K = torch.zeros(3, num_classes, dtype=torch.int64)

    def update(self, outputs: Any, batch: Mapping[str, Any]) -> None:
        """Takes a batch's logits and labels; of mixed labels the heavier one is meant."""
        logits_NK = outputs["logits"].detach()
        labels_N = batch["labels"]
        if labels_N.ndim == 2:
            labels_N = labels_N.argmax(-1)
        predicted_N = logits_NK.argmax(-1)
        if self._counts_3K.device != logits_NK.device:
            self._counts_3K = self._counts_3K.to(logits_NK.device)
        meant_K, predicted_K, both_K = self._counts_3K
        right_N = predicted_N == labels_N
        # Without bincount and boolean indexing, which make a card wait for the host.
        ones_N = torch.ones_like(labels_N)
        meant_K.index_add_(0, labels_N, ones_N)
        predicted_K.index_add_(0, predicted_N, ones_N)
        both_K.index_add_(0, labels_N, right_N.long())

    def merge(self, others: Sequence[Classification]) -> None:
        """Adds what other processes have counted."""
        for other in others:
            self._counts_3K += other._counts_3K.to(self._counts_3K.device)

    def compute(self) -> dict[str, float]:
        """``accuracy`` and ``macro_f1``; both 0 where nothing was seen."""
        meant_K, predicted_K, both_K = self._counts_3K.double().cpu()
        seen_K = (meant_K + predicted_K) > 0
        f1_K = 2 * both_K[seen_K] / (meant_K + predicted_K)[seen_K]
        accuracy = both_K.sum() / meant_K.sum().clamp(min=1)
        macro_f1 = f1_K.mean() if f1_K.numel() else torch.zeros(())
        return {"accuracy": float(accuracy), "macro_f1": float(macro_f1)}

    def state(self) -> Json:
        """What a checkpoint keeps of an epoch half seen."""
        counts: list[Json] = [list(map(int, row)) for row in self._counts_3K.tolist()]
        return {"counts": counts}

    def load(self, state: Any) -> None:
        """Goes on from a checkpoint's state."""
        self._counts_3K = torch.tensor(state["counts"], dtype=torch.int64)
