"""What a fit knows beside weights and optimizer; ``fit.json`` in each checkpoint."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from overnight.tasks.base import Ended
from overnight.trainer import checkpoints

NAME = "fit.json"


def tidy(folder: Path, *, keep: int, best: str = "") -> None:
    """Removes what no resume needs: all but the newest checkpoints and the best each knows of.

    Args:
        folder: The scope's.
        keep: How many checkpoints stay.
        best: Name of the folder of the best weights now.
    """
    named = {best}
    for checkpoint in checkpoints.whole(folder)[: max(1, keep)]:
        named.add(FitState.read(checkpoint / NAME).best_folder)
    checkpoints.tidy(folder, keep=keep, beside=named)


@dataclass(slots=True)
class FitState:
    """Grows with the fit.

    Attributes:
        world: How many processes trained.
        ended: Why the fit is over; None while it is not. A stop by a signal is not kept: the next
            attempt goes on.
        unevaluated: Whether the epoch that is over was not evaluated yet.
        best_folder: Name of the folder of the best weights, beside the checkpoints.
        best: The best epoch's numbers, and ``epoch``.
        since_best: Epochs without one that was better by ``min_delta``.
        stop_reference: What early stopping compares with.
        epoch_s: How long the epoch has taken, over all attempts.
        loss_sum: Of the epoch's examples so far.
        loss_num: How many.
        train_metric: The state of the epoch's metric.
    """

    world: int = 1
    ended: Ended | None = None
    unevaluated: bool = False
    best_folder: str = ""
    best: dict[str, float] = field(default_factory=dict)
    since_best: int = 0
    stop_reference: float | None = None
    epoch_s: float = 0.0
    loss_sum: float = 0.0
    loss_num: int = 0
    train_metric: Any = None

    def write(self, path: Path) -> None:
        """As JSON; floats survive to the last bit."""
        path.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> FitState:
        """What :meth:`write` wrote."""
        known = json.loads(path.read_text(encoding="utf-8"))
        return cls(**known)

    def is_better(self, value: float, greater: bool) -> bool:
        """Whether ``value`` beats the best; anything beats none or NaN."""
        best = self.best.get("value", math.nan)
        if math.isnan(best):
            return not math.isnan(value) or not self.best
        return value > best if greater else value < best

    def is_worth_going_on(
        self, value: float, greater: bool, min_delta: float, patience: int
    ) -> bool:
        """Counts an epoch for early stopping; False when patience is at its end."""
        gained = 0.0 if math.isnan(value) else math.inf
        if gained and self.stop_reference is not None:
            gained = value - self.stop_reference if greater else self.stop_reference - value
        if gained > min_delta:
            self.stop_reference, self.since_best = value, 0
        else:
            self.since_best += 1
        return self.since_best < patience

    def best_numbers(self) -> Mapping[str, float]:
        """Of the best epoch, under the names of docs/metrics.md, and ``epoch``."""
        return {name: number for name, number in self.best.items() if name != "value"}
