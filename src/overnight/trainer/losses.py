"""The training's losses: watched for NaN without making a card wait at each step."""

from __future__ import annotations

import math
from itertools import chain

import torch

from overnight.errors import OvernightError
from overnight.trainer.team import Team


class Losses:
    """Takes each batch's loss, gives the epoch's mean and the newest step's.

    A loss stays on its card until it is asked for; all that came meanwhile come over at once. Of
    several processes each knows the losses of all, and adds them up in the same order.

    Args:
        where: What an error names: the run's part.
        team: Who trains.
    """

    def __init__(self, where: str, team: Team) -> None:
        self._where, self._team = where, team
        self._waiting: list[tuple[torch.Tensor, int, int, float]] = []
        self._step = -1
        self._of_step: list[float] = []
        self.total, self.num = 0.0, 0

    def add(self, loss: torch.Tensor, size: int, *, step: int, lr: float) -> None:
        """A batch of ``size`` examples, part of optimizer step ``step``."""
        self._waiting.append((loss.detach(), size, step, lr))

    def settle(self) -> None:
        """Takes in what waits.

        Raises:
            OvernightError: A loss is NaN or infinite; the first such step is named.
        """
        if not self._waiting:
            return
        values = torch.stack([loss.float() for loss, _, _, _ in self._waiting]).tolist()
        mine = [(value, *rest) for value, (_, *rest) in zip(values, self._waiting, strict=True)]
        # Batch by batch, not process by process: when it was settled must not show in the sum.
        by_batch = zip(*self._team.gather(mine), strict=True)
        for value, size, step, lr in chain.from_iterable(by_batch):
            if not math.isfinite(value):
                raise OvernightError(
                    "engine.nan_loss", where=self._where, value=value, step=step, lr=f"{lr:g}"
                )
            if step != self._step:
                self._step, self._of_step = step, []
            self._of_step.append(value)
            self.total += value * size
            self.num += size
        self._waiting.clear()

    def newest(self) -> float:
        """Mean over the batches of the newest settled step."""
        return sum(self._of_step) / len(self._of_step)

    def mean(self) -> float:
        """Over the examples of the epoch."""
        return self.total / max(1, self.num)

    def begin_epoch(self, total: float = 0.0, num: int = 0) -> None:
        """A new epoch, or one that a checkpoint was in the middle of."""
        self.total, self.num = total, num
