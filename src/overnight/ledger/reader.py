"""Reading the ledger: whole files, files that still grow, and the merged order of several pens."""

from __future__ import annotations

import heapq
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from overnight.ledger.format import (
    EPOCH,
    MAX_LINE_BYTES,
    SUMMARY,
    Row,
    Scope,
    decode,
    row,
    time_us,
)
from overnight.ledger.writer import segment_path, segments

_BLOCK_BYTES = 1024 * 1024


@dataclass
class Tail:
    """Reads one ledger file while it grows. Ask again for what has come since.

    Args:
        folder: The run's folder.
        stem: The file's name before ``.jsonl``.
    """

    folder: str
    stem: str
    #: Lines skipped so far because they hold no record.
    broken: int = 0
    #: The segment the last record came from.
    segment: int = 0
    #: Its ``_seq``; with the segment of a record given, what comes after that one is read.
    after: int = -1
    _offset: int = 0
    _rest: bytes = b""
    _skipping: bool = False

    def read(self) -> Iterator[dict[str, Any]]:
        """Every whole record since the last call, in order of ``_seq``. Take them all.

        Raises:
            OSError: The file is there but cannot be read. One that is not there has no records.
        """
        while True:
            # Asked before reading: a pen that has begun the next segment writes no more into this.
            following = [s for s in segments(self.folder, self.stem) if s > self.segment]
            while True:
                # Closed before anything is handed out: a run may have thousands of files.
                block = self._next_block()
                if not block:
                    break
                yield from self._records(block)
            # A last record that lacks only its newline is whole already.
            if self._rest and not self._skipping:
                record = decode(self._rest)
                if record is not None:
                    self._rest = b""
                    yield from self._once(record)
            if not following:
                return
            if self._rest or self._skipping:
                self.broken += 1
            self.segment = following[0]
            self._offset, self._rest, self._skipping = 0, b"", False

    def _next_block(self) -> bytes:
        try:
            with open(segment_path(self.folder, self.stem, self.segment), "rb") as file:
                file.seek(self._offset)
                block = file.read(_BLOCK_BYTES)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return b""
        self._offset += len(block)
        return block

    def _records(self, block: bytes) -> Iterator[dict[str, Any]]:
        lines = (self._rest + block).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            if self._skipping:
                self._skipping = False
                self.broken += 1
                continue
            record = decode(line) if line else None
            if record is not None:
                yield from self._once(record)
            elif line:
                self.broken += 1
        if len(self._rest) > MAX_LINE_BYTES:
            self._rest, self._skipping = b"", True
        elif self._skipping:
            self._rest = b""

    def _once(self, record: dict[str, Any]) -> Iterator[dict[str, Any]]:
        # A pen that was opened again may have repeated a record it could not see whole.
        if record["_seq"] > self.after:
            self.after = record["_seq"]
            yield record


@dataclass
class Book:
    """All records of one file, read to the end."""

    records: list[dict[str, Any]] = field(default_factory=list)
    broken: int = 0


def read(folder: str, stem: str) -> Book:
    """All records of one ledger file."""
    tail = Tail(folder, stem)
    records = list(tail.read())
    return Book(records, tail.broken + (1 if tail._rest or tail._skipping else 0))


def stems(folder: str, base: str) -> list[str]:
    """The files of one kind in a run: ``metrics``, and ``metrics.p<pid>`` of other processes."""
    pattern = re.compile(re.escape(base) + r"(?:\.p[0-9]+)?(?=(?:\.[0-9]{6})?\.jsonl\Z)")
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    found = {match[0] for match in map(pattern.match, names) if match}
    return sorted(found, key=lambda stem: (len(stem) != len(base), stem))


def merged(folder: str, base: str) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """The records of all files of one kind as (stem, segment, record), in the merged order."""

    def keyed(stem: str) -> Iterator[tuple[tuple[int, int, str, int], str, int, dict[str, Any]]]:
        tail, newest_t = Tail(folder, stem), 0
        for record in tail.read():
            t, attempt = record.get("_t"), record.get("_attempt")
            newest_t = max(newest_t, time_us(t) or 0)
            attempt = attempt if isinstance(attempt, int) else 0
            yield (attempt, newest_t, stem, record["_seq"]), stem, tail.segment, record

    # (stem, seq) is unique, so a comparison never reaches the record itself.
    for _, stem, segment, record in heapq.merge(*(keyed(stem) for stem in stems(folder, base))):
        yield stem, segment, record


def rows(folder: str) -> list[Row]:
    """Every metrics row as it was written, superseded ones included, in the merged order."""
    return [
        row(record, file=stem + ".jsonl", segment=segment)
        for stem, segment, record in merged(folder, "metrics")
    ]


def current(all_rows: Iterable[Row]) -> list[Row]:
    """The rows that count: those of older attempts are dropped where a newer one went again."""
    all_rows = list(all_rows)
    begins: dict[tuple[Scope, str], dict[int, int]] = {}
    for each in all_rows:
        axis = _axis(each)
        if axis is not None:
            firsts = begins.setdefault((each.scope, each.kind), {})
            firsts[each.attempt] = min(firsts.get(each.attempt, axis), axis)
    bounds = {
        group: {
            attempt: min((axis for newer, axis in firsts.items() if newer > attempt), default=None)
            for attempt in firsts
        }
        for group, firsts in begins.items()
    }

    def counts(each: Row) -> bool:
        axis = _axis(each)
        if axis is None:
            return True
        bound = bounds[each.scope, each.kind][each.attempt]
        return bound is None or axis < bound

    return [each for each in all_rows if counts(each)]


def _axis(each: Row) -> int | None:
    if each.kind == SUMMARY:
        return None
    return each.epoch if each.kind == EPOCH else each.step


def latest_values(all_rows: Iterable[Row]) -> Mapping[str, float]:
    """The newest value of each key, among the rows that count."""
    values: dict[str, float] = {}
    for each in current(all_rows):
        values.update(each.values)
    return values
