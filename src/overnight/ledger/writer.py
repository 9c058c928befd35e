"""The pen: appends records to one file of a run's folder, one ``write`` each."""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Mapping
from threading import RLock
from typing import Any

from overnight import crashpoint
from overnight.ledger.format import MAX_LINE_BYTES, SEGMENT_BYTES, decode, encode

_TAIL_BYTES = 64 * 1024


def segment_path(folder: str, stem: str, segment: int) -> str:
    """``metrics.jsonl``, then ``metrics.000001.jsonl`` and so on."""
    return os.path.join(folder, stem + (f".{segment:06d}" if segment else "") + ".jsonl")


def segments(folder: str, stem: str) -> list[int]:
    """The segments of a file that exist, in order."""
    pattern = re.compile(re.escape(stem) + r"(?:\.([0-9]{6}))?\.jsonl")
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    matches = (pattern.fullmatch(name) for name in names)
    return sorted(int(match[1] or 0) for match in matches if match)


class Pen:
    """The one writer of one ledger file. Made to be opened again after any kind of death.

    Threads of the process may share it; a forked child may not.

    Args:
        folder: The run's folder.
        stem: The file's name before ``.jsonl``.
        attempt: Goes into each record as ``_attempt``.
        sync: Follow each record by ``fdatasync``: for events, which are few and must survive.
        segment_bytes: Where the next segment begins.
    """

    def __init__(
        self,
        folder: str,
        stem: str,
        *,
        attempt: int,
        sync: bool = False,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self.attempt = attempt
        self._folder, self._stem, self._sync = folder, stem, sync
        self._segment_bytes = segment_bytes
        self._lock = RLock()
        #: How many writes were begun: tells whether a handler wrote during one.
        self._turn = 0
        there = segments(folder, stem)
        #: The ``_seq`` of the next record.
        self.next_seq = _last_seq(folder, stem, there) + 1
        self._segment = there[-1] if there else 0
        self._fd = self._open()
        self._size = os.fstat(self._fd).st_size
        self._mid_line = (
            self._size > 0 and _last_byte(segment_path(folder, stem, self._segment)) != b"\n"
        )

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        flags |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        return os.open(segment_path(self._folder, self._stem, self._segment), flags, 0o600)

    def append(self, fields: Mapping[str, Any]) -> int:
        """Writes one record and returns its ``_seq``. When this returns, the record is whole.

        Raises:
            OSError: Nothing, or a broken line, was written (the disk is full, or the record is
                longer than readers take); the ``_seq`` is free for the next record.
        """
        with self._lock:
            if self._size >= self._segment_bytes:
                self._next_segment()
            seq = -1
            while seq != self.next_seq:  # again, where a signal's handler logged in between
                seq = self.next_seq
                record = {"_seq": seq, "_t": time.time_ns() // 1000, "_attempt": self.attempt}
                record.update(fields)
                line = encode(record)
                if len(line) > MAX_LINE_BYTES:
                    raise OSError(errno.EFBIG, f"a record of {len(line)} bytes is too long")
                if self._mid_line:
                    line = b"\n" + line
                crashpoint.reach("record.before")
                crashpoint.tear("record.torn", self._fd, line)
            # A handler runs right behind the write, before its outcome is known here. Until it is,
            # the number counts as taken and the line as broken: what the handler logs is safe.
            mid_line, self._mid_line = self._mid_line, True
            self._turn = turn = self._turn + 1
            self.next_seq = seq + 1
            written = 0
            try:
                written = os.write(self._fd, line)
            except BaseException:
                # A handler's exception hides what was written; the file tells.
                written = os.fstat(self._fd).st_size - self._size
                raise
            finally:
                self._size += written
                whole = written >= len(line) - 1  # the next record can bring the newline
                if turn == self._turn:
                    self._mid_line = written < len(line) if written else mid_line
                    self.next_seq = seq + 1 if whole else seq
            if not whole:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            crashpoint.reach("record.after")
            if self._sync:
                _datasync(self._fd)
            return seq

    def _next_segment(self) -> None:
        self._segment += 1
        try:
            fd = self._open()
        except OSError:
            self._segment -= 1
            raise
        os.close(self._fd)
        self._fd = fd
        self._size = os.fstat(fd).st_size
        self._mid_line = False
        crashpoint.reach("segment.opened")

    def close(self) -> None:
        """Gives the file back to the system. What was appended is there already."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


_datasync = getattr(os, "fdatasync", os.fsync)


def _last_seq(folder: str, stem: str, there: list[int]) -> int:
    """The ``_seq`` of the last whole record of a file, over all its segments; -1 if none."""
    for segment in reversed(there):
        seq = _last_seq_in(segment_path(folder, stem, segment))
        if seq is not None:
            return seq
    return -1


def _last_seq_in(path: str) -> int | None:
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        window = _TAIL_BYTES
        while True:
            begin = max(0, size - window)
            file.seek(begin)
            lines = file.read(size - begin).split(b"\n")
            found = filter(None, map(decode, lines if begin == 0 else lines[1:]))
            seq = max((record["_seq"] for record in found), default=None)
            if seq is not None:
                return int(seq)
            if begin == 0:
                return None
            window *= 8  # a tail of broken or very long lines: look further back


def _last_byte(path: str) -> bytes:
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1)
