"""The moving average of a model's weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import safetensors.torch
import torch
from torch import nn


class Ema:
    """Keeps ``decay * average + (1 - decay) * weights`` of all that a model holds.

    Early on the decay is lower (``(1 + step) / (10 + step)``, as TensorFlow has it), so that the
    average is one of the training and not of the initial weights.

    Args:
        model: Whose.
        decay: Close to 1; 0.999 looks back about 1,000 steps.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self._held = model.state_dict()  # tensors that share the model's memory
        self._kept = {name: tensor.clone() for name, tensor in self._held.items()}
        moving = [name for name, tensor in self._held.items() if tensor.is_floating_point()]
        self._moving = [self._held[name] for name in moving]
        self._average = [self._kept[name] for name in moving]
        #: Counters, as a batch norm's: there is no average of them.
        self._counted = [name for name in self._held if name not in set(moving)]

    def update(self, step: int) -> None:
        """Takes in the weights after optimizer step ``step``, counted from 1."""
        decay = min(self.decay, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(self._average, self._moving, 1 - decay)
            for name in self._counted:
                self._kept[name].copy_(self._held[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within it the model holds the average."""
        own = {name: tensor.clone() for name, tensor in self._held.items()}
        self._put(self._kept)
        try:
            yield
        finally:
            self._put(own)

    def _put(self, tensors: dict[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, tensor in self._held.items():
                tensor.copy_(tensors[name])

    def save(self, path: Path) -> None:
        """Writes the average."""
        tensors = {name: tensor.contiguous() for name, tensor in self._kept.items()}
        safetensors.torch.save_file(tensors, path)

    def load(self, path: Path) -> None:
        """Goes on from what :meth:`save` wrote."""
        with torch.no_grad():
            for name, tensor in safetensors.torch.load_file(path).items():
                self._kept[name].copy_(tensor)
