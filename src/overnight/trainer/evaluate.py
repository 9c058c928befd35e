"""One pass over an evaluation set: loss, metrics, and the logits as they come, into a file."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from overnight.tasks.base import Metric
from overnight.trainer.loader import size_of, to_device
from overnight.trainer.precision import Precision, autocast


class Interrupted(Exception):  # noqa: N818  (nothing went wrong)
    """The evaluation was asked to end; the next attempt does it anew."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What an evaluation found.

    Attributes:
        loss: Mean over the examples.
        metrics: By their names in docs/metrics.md.
    """

    loss: float
    metrics: Mapping[str, float]

    def number(self, name: str) -> float:
        """``valid_loss`` or one of the metrics."""
        return self.loss if name == "valid_loss" else self.metrics[name]


@dataclass(frozen=True, slots=True)
class Part:
    """What one process has seen of an evaluation.

    Attributes:
        total: Sum of the examples' losses.
        num: How many they are.
        metric: Its state.
    """

    total: float
    num: int
    metric: Any

    @staticmethod
    def whole(parts: Sequence[Part], fresh: Callable[[], Metric]) -> Evaluated:
        """Of all of them, each example counted once."""
        metrics = []
        for part in parts:
            metrics.append(fresh())
            metrics[-1].load(part.metric)
        metrics[0].merge(metrics[1:])
        num = sum(part.num for part in parts)
        loss = sum(part.total for part in parts) / num if num else float("nan")
        return Evaluated(loss, metrics[0].compute())


class LogitsFile:
    """``(N, K)`` float32 in a ``.npy``, filled batch by batch: never all of it in memory.

    Written, not mapped: a mapped file on a full disk ends the process by a signal. A disk that
    takes no more is noted in ``error``, and the evaluation goes on.

    Args:
        path: The file; what is there is overwritten.
        num_examples: N.
    """

    def __init__(self, path: Path, num_examples: int) -> None:
        self.path, self._num_examples = path, num_examples
        self._file: IO[bytes] | None = None
        self.error: OSError | None = None

    def write(self, logits: torch.Tensor) -> None:
        """The next examples' rows."""
        rows = np.ascontiguousarray(logits.detach().float().cpu().numpy())
        try:
            if self._file is None:
                self._file = self.path.open("wb")
                shape = (self._num_examples, *rows.shape[1:])
                head = {"descr": "<f4", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(self._file, head)
            if self.error is None:
                self._file.write(rows.astype("<f4", copy=False).tobytes())
        except OSError as error:
            self.error = error

    def append(self, other: Path) -> None:
        """Behind its own rows those of another file, which goes.

        Of an evaluation in parts; one without an example has left no file.
        """
        try:
            if other.exists() and self._file is not None:
                with other.open("rb") as rows:
                    np.lib.format.read_magic(rows)
                    np.lib.format.read_array_header_1_0(rows)
                    shutil.copyfileobj(rows, self._file)
                other.unlink()
        except OSError as error:
            self.error = self.error or error

    def close(self) -> None:
        """No more comes."""
        try:
            if self._file is not None:
                self._file.close()
        except OSError as error:
            self.error = self.error or error


def run(
    model: Callable[..., Any],
    batches: Iterable[Mapping[str, Any]],
    metric: Metric,
    *,
    device: torch.device,
    precision: Precision,
    channels_last: bool = False,
    logits: LogitsFile | None = None,
    go_on: Callable[[], bool] = lambda: True,
) -> Part:
    """Evaluates.

    Args:
        model: In evaluation mode, on ``device``.
        batches: With targets, in the examples' order.
        metric: A fresh one.
        device: Where.
        precision: Of the training.
        channels_last: Whether the model is laid out so.
        logits: Where they are kept.
        go_on: Asked before each batch.

    Raises:
        Interrupted: ``go_on`` said no.
    """
    losses: list[tuple[torch.Tensor, int]] = []
    for batch in batches:
        if not go_on():
            raise Interrupted
        moved = to_device(batch, device, channels_last=channels_last)
        with torch.no_grad(), autocast(precision, device):
            outputs = model(**moved)
        metric.update(outputs, moved)
        losses.append((outputs["loss"].detach().float(), size_of(batch)))
        if logits is not None:
            logits.write(outputs["logits"])
    # One wait for the card instead of one a batch.
    values = torch.stack([loss for loss, _ in losses]).tolist() if losses else []
    sizes = [size for _, size in losses]
    total = sum(value * size for value, size in zip(values, sizes, strict=True))
    return Part(total, sum(sizes), metric.state())
