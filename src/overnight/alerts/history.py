"""What a run has logged so far, read within bounds: a ledger may hold millions of rows."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator

from overnight.ledger.format import EPOCH, MAX_LINE_BYTES, STEP, Row, decode, row
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import current, stems
from overnight.ledger.writer import segment_path, segments

#: 660,000 rows of a usual length; passing over those of the steps takes half a second.
_EPOCH_ROWS_BYTES = 64 * 1024 * 1024
#: 80,000 rows, each taken apart: a second.
_ALL_ROWS_BYTES = 8 * 1024 * 1024
_SAMPLES = 64
_IS_EPOCH = re.compile(rb'"_kind":\s?"epoch"')
_IS_SLOW = re.compile(rb'"_kind":\s?"(?:epoch|summary)"')


def epoch_rows(run: RunPaths) -> tuple[list[Row], bool]:
    """The epoch rows that count, oldest first, and whether none was left out.

    Of a ledger beyond 64 MiB the newest part is read.
    """
    rows, whole = _slow_rows(run, _IS_EPOCH)
    return [each for each in rows if each.kind == EPOCH], whole


def slow_rows(run: RunPaths) -> list[Row]:
    """The rows that count and are no steps: those that close an epoch, a fold or the run."""
    rows, _ = _slow_rows(run, _IS_SLOW)
    return [each for each in rows if each.kind != STEP]


def _slow_rows(run: RunPaths, wanted: re.Pattern[bytes]) -> tuple[list[Row], bool]:
    found: list[Row] = []
    whole, room = True, _EPOCH_ROWS_BYTES
    for stem, segment, size in reversed(_files(run)):
        take = min(size, room)
        whole = whole and take == size
        room -= take
        if take:
            lines = _lines(segment_path(run.dir, stem, segment), size - take, take)
            found += _rows((line for line in lines if wanted.search(line)), stem, segment)
    return current(_ordered(found)), whole


def all_rows(run: RunPaths) -> tuple[list[Row], bool]:
    """The rows that count, oldest first, and whether none was left out.

    Of a ledger beyond 8 MiB some are read, from evenly spaced places.
    """
    files = _files(run)
    total = sum(size for _, _, size in files)
    share = 1.0 if total <= _ALL_ROWS_BYTES else _ALL_ROWS_BYTES / total
    found: list[Row] = []
    for stem, segment, size in files:
        path = segment_path(run.dir, stem, segment)
        if share == 1.0:
            found += _rows(_lines(path, 0, size), stem, segment)
            continue
        stride = max(1, size // _SAMPLES)
        for at in range(0, size, stride):
            found += _rows(_lines(path, at, int(stride * share)), stem, segment)
    return current(_ordered(found)), share == 1.0


def _files(run: RunPaths) -> list[tuple[str, int, int]]:
    """Stem, segment and size of each metrics file, oldest segment first."""
    found = []
    for stem in stems(run.dir, "metrics"):
        for segment in segments(run.dir, stem):
            with contextlib.suppress(OSError):
                size = os.stat(segment_path(run.dir, stem, segment)).st_size
                found.append((stem, segment, size))
    return found


def _lines(path: str, begin: int, num_bytes: int) -> Iterator[bytes]:
    """The whole lines that begin in a piece of a file; of the first and the last a whole one."""
    try:
        with open(path, "rb") as file:
            # From the byte before: a line that begins right here is whole.
            file.seek(max(0, begin - 1))
            if begin:
                file.readline(MAX_LINE_BYTES)
            while file.tell() < begin + num_bytes:
                line = file.readline(MAX_LINE_BYTES)
                if not line:
                    return
                yield line
    except OSError:
        return


def _rows(lines: Iterator[bytes], stem: str, segment: int) -> Iterator[Row]:
    for line in lines:
        record = decode(line)
        if record is not None:
            yield row(record, file=stem + ".jsonl", segment=segment)


def _ordered(rows: Iterator[Row] | list[Row]) -> list[Row]:
    return sorted(rows, key=lambda each: (each.attempt, each.t_us, each.file, each.seq))
