"""Passes over a ``torch.utils.data.DataLoader``: a training's are cut, an evaluation's are not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from overnight.preflight.trial.inside.clock import CLOCK
from overnight.preflight.trial.inside.passes import Pass, turns


def hook(module: Any) -> None:
    """Hooks ``torch.utils.data.dataloader``."""
    loader = module.DataLoader
    original = loader.__iter__

    def watched(self: Any) -> Any:
        batches = original(self)
        try:
            total = len(self)
        except TypeError:  # an endless stream
            return batches
        if total < 2 or CLOCK.notes.get("in_trainer"):
            return batches
        return _Batches(batches, _site(self), total)

    loader.__iter__ = watched


class _Batches:
    """The batches of one pass; else what the loader's own iterator is."""

    def __init__(self, batches: Any, site: str, total: int) -> None:
        self._batches = batches
        self._site = site
        self._total = total
        self._turns: Any = None

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._turns is None:
            torch = sys.modules["torch"]
            kind = "train" if torch.is_grad_enabled() else "eval"
            one = Pass(f"{self._site} {kind}", kind, self._total)
            self._turns = turns(self._batches, one)
        try:
            return next(self._turns)
        except StopIteration:
            self._batches = None  # its workers end
            raise

    def __len__(self) -> int:
        return self._total

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batches, name)


def _site(loader: Any) -> str:
    """The same for a loader that is made anew in each epoch or fold."""
    return f"DataLoader {type(loader.dataset).__name__} {loader.batch_size}"
