"""The pass over all inputs: a batch at a time, each on the disk before the next, and resumable.

Memory holds the inputs' names and some batches; nothing in it grows with a picture.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from overnight.prediction import rows as rows_
from overnight.prediction.rows import RowsFile

if TYPE_CHECKING:
    from overnight.model_folder import Card
    from overnight.tasks.base import Example
    from overnight.tasks.predictor import Predictor, Views

#: A power cut costs this much.
_SYNC_EVERY_S = 30.0


class Interrupted(Exception):  # noqa: N818  (nothing went wrong)
    """It was asked to end; another attempt goes on behind the last whole batch."""


def identity(card: Card, views: Views, examples: Sequence[Example], batch_size: int) -> str:
    """sha256 of all that the numbers depend on: a rebuilt folder of equal members is the same.

    Args:
        card: The model.
        views: See ``overnight.tasks.predictor``.
        examples: The inputs; their contents are not looked at.
        batch_size: A model may compute otherwise in other batches, in the last bits.
    """
    members = {str(each.folder.relative_to(card.folder)) for each in card.members}
    served = sorted(
        (name, file.sha256)
        for name, file in card.files.items()
        if name.partition("/")[0] in members
    )
    parts = (served, card.temperature, card.combine, card.labels, views, batch_size)

    def names() -> Iterator[str]:
        for example in examples:
            yield example.id
            # Not where they lie: a root that was moved holds the same ones.
            yield from (value.rpartition("/")[2] for value in example.inputs.values())

    return rows_.fingerprint(parts, names())


def run(
    predictor: Predictor[Any, Any],
    examples: Sequence[Example],
    rows: RowsFile,
    *,
    num_workers: int,
    pin: bool = False,
    go_on: Callable[[], bool] = lambda: True,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    lost: Callable[[Example], None] = lambda _example: None,
) -> int:
    """Predicts what ``rows`` lacks, and gives how many inputs that were.

    Args:
        predictor: Loaded.
        examples: Of all rows.
        rows: Where the results go.
        num_workers: Processes that load.
        pin: Whether the card fetches batches by itself.
        go_on: Asked before each batch.
        progress: Told after each batch: inputs that are done, of how many.
        lost: Told of each that cannot be read.

    Raises:
        Interrupted: ``go_on`` said no.
        OSError: The disk is full.
    """
    begins = rows.begins()
    left = sum(len(rows.batch(begin)) for begin in begins)
    done = rows.num - left
    progress(done, rows.num)
    if not begins:
        return 0
    from torch.utils.data import DataLoader

    loader: Any = DataLoader(
        predictor.dataset(examples),
        batch_sampler=_Batches(rows, begins),
        collate_fn=predictor.collate,
        num_workers=num_workers,
        pin_memory=pin,
    )
    synced_at = time.monotonic()
    try:
        for begin, batch in zip(begins, loader, strict=True):
            if not go_on():
                raise Interrupted
            found = predictor.probabilities(batch)
            rows.put(begin, found)
            for place in rows_.unreadable(found):
                lost(examples[begin + int(place)])
            done += len(found)
            progress(done, rows.num)
            if time.monotonic() - synced_at > _SYNC_EVERY_S:
                rows.sync()
                synced_at = time.monotonic()
    finally:
        rows.sync()
    return left


class _Batches:
    """The inputs' numbers, batch by batch: of a hundred thousand no list is made.

    Args:
        rows: Knows the batches.
        begins: Which are left.
    """

    def __init__(self, rows: RowsFile, begins: Sequence[int]) -> None:
        # Not the file itself: workers are given this.
        self._batches = [rows.batch(begin) for begin in begins]

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[int]]:
        return (list(batch) for batch in self._batches)


def unreadable_of(rows: RowsFile, examples: Sequence[Example]) -> Iterator[Example]:
    """The inputs whose row says that they could not be read."""
    begin = 0
    for block in rows.blocks():
        for place in rows_.unreadable(block):
            yield examples[begin + int(place)]
        begin += len(block)


def place_of(folder: Path) -> Path:
    """Where what is not whole yet lies, in a run's folder."""
    return folder / "prediction"
