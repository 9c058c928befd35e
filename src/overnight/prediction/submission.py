"""``submission.csv``: the predictions in the form of a sample, else ``id, prediction, confidence``.

Shapes: N inputs, K classes, B inputs of a block.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overnight.prediction.form import Form
from overnight.prediction.rows import Rows

OWN_COLUMNS = ("id", "prediction", "confidence")


def write(path: Path, form: Form, ids: Iterable[str], blocks: Iterable[Rows]) -> int:
    """Writes the results, some thousand rows at a time.

    An input that could not be read gets what the sample has in its row, or nothing.

    Args:
        path: The file; it is there once it is whole.
        form: How.
        ids: Of the inputs, in their order.
        blocks: Their rows of probabilities.

    Returns:
        How many could not be read.

    Raises:
        OSError: It cannot be written.
    """
    sample = form.sample
    columns = OWN_COLUMNS if sample is None else sample.columns
    num_unreadable = 0
    aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    separator = "," if sample is None else sample.separator
    try:
        with aside.open("w", encoding=_encoding(form), newline="") as file:
            writer = csv.writer(file, delimiter=separator, lineterminator="\n")
            writer.writerow(columns)
            at, names = 0, iter(ids)
            for rows_BK in blocks:
                best_B = _best(rows_BK)
                num_unreadable += int(np.sum(best_B < 0))
                for row_K, best in zip(rows_BK, best_B.tolist(), strict=True):
                    writer.writerow(_cells(form, at, next(names), row_K, best))
                    at += 1
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return num_unreadable


def counts(blocks: Iterable[Rows], labels: Sequence[str]) -> dict[str, int]:
    """How many inputs each class was chosen for."""
    found_K = np.zeros(len(labels) + 1, dtype=np.int64)
    for rows_BK in blocks:
        found_K += np.bincount(_best(rows_BK) + 1, minlength=len(labels) + 1)
    return dict(zip(labels, found_K[1:].tolist(), strict=True))


def _best(rows_BK: Rows) -> NDArray[np.int64]:
    """The likeliest class of each, the first of equals; -1 where it could not be read."""
    is_lost_B = np.isnan(rows_BK).any(axis=1)
    best_B = np.where(is_lost_B, 0, np.nan_to_num(rows_BK).argmax(axis=1))
    return np.where(is_lost_B, -1, best_B).astype(np.int64)


def _cells(form: Form, at: int, id: str, row_K: NDArray[np.float32], best: int) -> Sequence[str]:
    sample = form.sample
    if sample is None:
        return (id, "", "") if best < 0 else (id, form.words[best], f"{row_K[best]:.6f}")
    cells = list(sample.rows[at])
    if best >= 0 and form.target_at is not None:
        cells[form.target_at] = form.words[best]
    elif best >= 0:
        for column, index in form.class_at.items():
            cells[column] = f"{row_K[index]:.9g}"  # every float32 is told from its neighbours
    return cells


def _encoding(form: Form) -> str:
    """The sample's own, where the classes' names can be written in it."""
    if form.sample is None:
        return "utf-8"
    try:
        "".join(form.words).encode(form.sample.encoding)
    except UnicodeEncodeError:
        return "utf-8"
    return form.sample.encoding
