"""``probabilities.npy`` while it is being made: batch by batch, and gone on with after a kill.

Shapes: N inputs, K classes, B inputs of a batch.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Self

import numpy as np
from numpy.typing import NDArray

from overnight.ledger import files

Rows = NDArray[np.float32]
_DTYPE = "<f4"
#: Read at a time.
_BLOCK_ROWS = 8192
#: float32 rounds each of them by 6e-8 of itself.
_SUM_TOLERANCE = 1e-4


class RowsFile:
    """``(N, K)`` float32 in a ``.npy`` whose room is set aside at the start.

    A batch counts once its mark is there, written after its rows, and each of its rows is one: it
    adds up to 1, or is NaN (an input that could not be read). So what a power cut has left of it is
    told from what is whole.

    Args:
        folder: For ``probabilities.npy`` and what belongs to it until it is whole.
        num: N.
        num_classes: K.
        batch_size: B: batches are whole or done again, so that the numbers do not depend on when
            somebody was killed.
        fingerprint: Of the inputs and the model: rows of others are not gone on with.

    Raises:
        OSError: There is no room for it.
    """

    def __init__(
        self, folder: Path, num: int, num_classes: int, batch_size: int, fingerprint: str
    ) -> None:
        self.num, self.num_classes, self.batch_size = num, num_classes, batch_size
        self.path, self._marks_path = folder / "probabilities.npy", folder / "batches"
        folder.mkdir(mode=0o700, exist_ok=True)
        said = folder / "rows.json"
        own = {"fingerprint": fingerprint, "batch_size": batch_size, "num": num}
        if files.read_json(str(said)) != own or not self._marks_path.exists():
            self._begin()
            files.replace(str(said), files.to_json(own))
        self._file: IO[bytes] = self.path.open("r+b")
        self._marks: IO[bytes] = self._marks_path.open("r+b")
        np.lib.format.read_magic(self._file)
        np.lib.format.read_array_header_1_0(self._file)
        self._at = self._file.tell()

    def _begin(self) -> None:
        """A file of nothing but its head, and no batch done."""
        with self.path.open("wb") as file:
            shape = (self.num, self.num_classes)
            head = {"descr": _DTYPE, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, head)
            file.flush()
            num_bytes = file.tell() + self.num * self.num_classes * 4
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, num_bytes)
            else:  # macOS: a disk that fills is told when it does
                file.truncate(num_bytes)
        self._marks_path.write_bytes(bytes(math.ceil(self.num / self.batch_size)))

    def begins(self) -> list[int]:
        """The first input of each batch that is left to do, those with unreadable inputs too."""
        marks = self._marks_path.read_bytes()
        left = []
        for place, mark in enumerate(marks):
            begin = place * self.batch_size
            if not mark or not _are_whole(self._read(begin, begin + self.batch_size)):
                left.append(begin)
        return left

    def batch(self, begin: int) -> range:
        """The inputs of the batch that begins with this one."""
        return range(begin, min(begin + self.batch_size, self.num))

    def put(self, begin: int, rows_BK: Rows) -> None:
        """Writes a batch."""
        assert rows_BK.shape == (len(self.batch(begin)), self.num_classes)
        self._file.seek(self._at + begin * self.num_classes * 4)
        self._file.write(np.ascontiguousarray(rows_BK, _DTYPE).tobytes())
        self._file.flush()
        self._marks.seek(begin // self.batch_size)
        self._marks.write(b"\1")
        self._marks.flush()

    def blocks(self) -> Iterator[Rows]:
        """All rows in their order, some thousand at a time."""
        for begin in range(0, self.num, _BLOCK_ROWS):
            yield self._read(begin, begin + _BLOCK_ROWS)

    def sync(self) -> None:
        """From here on a power cut takes nothing of it."""
        os.fsync(self._file.fileno())
        os.fsync(self._marks.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing more is written."""
        self._file.close()
        self._marks.close()

    def _read(self, begin: int, end: int) -> Rows:
        end = min(end, self.num)
        self._file.seek(self._at + begin * self.num_classes * 4)
        data = self._file.read((end - begin) * self.num_classes * 4)
        return np.frombuffer(data, _DTYPE).reshape(end - begin, self.num_classes)


def unreadable(rows_BK: Rows) -> NDArray[np.int64]:
    """The places of those that could not be read."""
    return np.flatnonzero(np.isnan(rows_BK).any(axis=1))


def fingerprint(parts: Sequence[object], names: Iterator[str]) -> str:
    """sha256 of a few values and many names, one after the other."""
    digest = hashlib.sha256(repr(tuple(parts)).encode("utf-8", "surrogatepass"))
    for name in names:
        digest.update(name.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def _are_whole(rows_BK: Rows) -> bool:
    """Whether every row is one, and no input has to be looked at again."""
    sums_B = rows_BK.sum(axis=1, dtype=np.float64)
    return bool(np.all(np.abs(sums_B - 1.0) < _SUM_TOLERANCE))
