"""The records of one run for one tracker: in the merged order, from a cursor on, in batches.

What a batch holds depends only on where it begins and ends, and so does the order within it: a
batch that was under way when its mirror died is made again exactly as it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from overnight.ledger.format import Row, row, time_us
from overnight.ledger.reader import Tail, stems
from overnight.outbox.track import BASES

#: File → (segment, seq) of its last record that was taken.
Places = dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Record:
    """One record of one of the run's ledgers."""

    base: str
    stem: str
    segment: int
    data: Mapping[str, Any]

    @cached_property
    def row(self) -> Row:
        """A record of numbers, read as a row; asked for several times."""
        return row(self.data, file=self.stem + ".jsonl", segment=self.segment)

    @property
    def seq(self) -> int:
        """Its number within its file."""
        return int(self.data["_seq"])

    @property
    def attempt(self) -> int:
        """The attempt it is of."""
        attempt = self.data.get("_attempt")
        return attempt if type(attempt) is int else 0

    @property
    def t_us(self) -> int:
        """When it was written."""
        return time_us(self.data.get("_t")) or 0


class _File:
    """One ledger file: what was read of it and not yet taken."""

    def __init__(self, folder: str, base: str, stem: str, place: tuple[int, int]) -> None:
        self.base = base
        self.tail = Tail(folder, stem, segment=place[0], after=place[1])
        self.ahead: deque[Record] = deque()
        self.newest_us = 0
        self._reading: Iterator[dict[str, Any]] | None = None

    def fill(self, *, look: bool) -> None:
        """Sees to it that the next record is at hand, if there is one.

        Args:
            look: Whether to look for what was written since the file's end was reached.
        """
        if self.ahead:
            return
        if self._reading is None and look:
            self._reading = self.tail.read()
        if self._reading is not None:
            data = next(self._reading, None)
            if data is None:
                self._reading = None
            else:
                self.ahead.append(Record(self.base, self.tail.stem, self.tail.segment, data))

    @property
    def key(self) -> tuple[int, int, str, int]:
        """Where its next record stands in the merged order."""
        record = self.ahead[0]
        newest_us = max(self.newest_us, record.t_us)
        return record.attempt, newest_us, record.stem, record.seq


class Records:
    """What a tracker has not yet of a run.

    Args:
        folder: The run's folder.
        places: What it has.
    """

    def __init__(self, folder: str, places: Mapping[str, tuple[int, int]]) -> None:
        self.folder = folder
        self._places = dict(places)
        self._files: dict[str, _File] = {}

    def take(self, most: int, until: Mapping[str, tuple[int, int]] | None = None) -> list[Record]:
        """The next records, at most so many; all there are now if it gives fewer.

        Args:
            most: How many.
            until: Take exactly those up to here instead.

        Raises:
            OSError: A file cannot be read now.
        """
        self._find_files()
        for file in self._files.values():
            file.fill(look=True)
        taken: list[Record] = []
        while until is not None or len(taken) < most:
            ready = [file for file in self._files.values() if self._may_go(file, until)]
            if not ready:
                break
            file = min(ready, key=lambda each: each.key)
            record = file.ahead.popleft()
            file.newest_us = max(file.newest_us, record.t_us)
            taken.append(record)
            file.fill(look=False)
        return _in_order(taken)

    def _may_go(self, file: _File, until: Mapping[str, tuple[int, int]] | None) -> bool:
        if not file.ahead:
            return False
        if until is None:
            return True
        record = file.ahead[0]
        return record.seq <= until.get(record.stem, (0, -1))[1]

    def _find_files(self) -> None:
        for base in BASES:
            for stem in stems(self.folder, base):
                if stem not in self._files:
                    place = self._places.get(stem, (0, -1))
                    self._files[stem] = _File(self.folder, base, stem, place)


def _in_order(records: list[Record]) -> list[Record]:
    """The merged order, by what these records alone say: so it is the same the next time."""
    newest: dict[str, int] = {}
    keyed = []
    for record in sorted(records, key=lambda each: (each.stem, each.seq)):
        t_us = newest[record.stem] = max(newest.get(record.stem, 0), record.t_us)
        keyed.append(((record.attempt, t_us, record.stem, record.seq), record))
    return [record for _, record in sorted(keyed, key=lambda each: each[0])]


def end_of(records: list[Record], places: Mapping[str, tuple[int, int]]) -> Places:
    """Where one stands once these records are taken as well."""
    found = dict(places)
    for record in records:
        if record.seq > found.get(record.stem, (0, -1))[1]:
            found[record.stem] = (record.segment, record.seq)
    return found
