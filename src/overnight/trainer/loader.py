"""Batches: what a loader's workers need to know of the run, carried by the items themselves.

Workers are forked anew for each epoch, because a worker that lives on never hears of the next
epoch: it would draw the same augmentation again, and a resume would draw another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader

from overnight.tasks.base import Task
from overnight.tasks.seeded import derive

#: Set beside a sample's own parts, so that no batch draws what a sample of it drew.
_BATCH = 1


class Numbered(torch.utils.data.Dataset[tuple[int, int, Any]]):  # type: ignore[misc]
    """A data set whose items know their number and their epoch.

    Args:
        items: The task's.
    """

    def __init__(self, items: Any) -> None:
        self.items = items
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.items)

    def set_epoch(self, epoch: int) -> None:
        """Before an epoch's workers are forked."""
        self.epoch = epoch
        self.items.set_epoch(epoch)

    def __getitem__(self, index: int) -> tuple[int, int, Any]:
        return index, self.epoch, self.items[index]


class Collate:
    """Items to a batch by the task; draws are a function of (seed, epoch, the batch's first item).

    In an epoch each item comes once, so its first one tells batches apart.
    """

    def __init__(self, task: Task, seed: int, *, train: bool) -> None:
        self._task, self._seed, self._train = task, seed, train

    def __call__(self, batch: Sequence[tuple[int, int, Any]]) -> Mapping[str, Any]:
        """A batch of items with their numbers and their epoch."""
        index, epoch, _ = batch[0]
        seed = derive(self._seed, epoch, index, _BATCH)
        return self._task.collate([item for _, _, item in batch], seed=seed, train=self._train)


def evaluation(
    items: Any, task: Task, *, seed: int, batch_size: int, num_workers: int, pin: bool
) -> DataLoader[Any]:
    """The batches of an evaluation, in the order of the items.

    Its generator is its own: how often was evaluated must not show in the training's draws.
    """
    return DataLoader(
        Numbered(items),
        batch_size=batch_size,
        collate_fn=Collate(task, seed, train=False),
        num_workers=num_workers,
        pin_memory=pin,
        generator=torch.Generator().manual_seed(seed % 2**63),
    )


def size_of(batch: Mapping[str, Any]) -> int:
    """How many examples are in it: the length of its first part."""
    return len(next(iter(batch.values())))


def to_device(value: Any, on: torch.device, *, channels_last: bool) -> Any:
    """A batch where the model is, and laid out as the model is; lists of boxes and all."""
    if torch.is_tensor(value):
        value = value.to(on, non_blocking=True)
        if channels_last and value.ndim == 4:
            value = value.contiguous(memory_format=torch.channels_last)
        return value
    if isinstance(value, Mapping):
        return {k: to_device(v, on, channels_last=channels_last) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_device(each, on, channels_last=channels_last) for each in value]
    return value
