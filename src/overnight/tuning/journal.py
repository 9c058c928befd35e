"""The file of a search, ``study.jsonl``: Optuna's own records, a line each, by several processes.

Optuna's file backend locks by a symbolic link that a killed process leaves behind, and a line that
it was killed in spoils the next one for good. Here the kernel holds the lock, and lets go of it
with the process; and a broken line stays alone, and is skipped, as everywhere in the ledger.

All who write are processes of one machine: whoever starts a search's workers starts them there. So
what is known of locks on network disks does not count against this one.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from overnight import crashpoint
from overnight.ledger.files import write_all


class Journal(BaseJournalBackend):
    """Optuna's records in a file of ours. Threads may share it; a forked child may not.

    Args:
        path: The file; made where there is none.
    """

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        #: Whoever holds it may write. It is taken before the one that Optuna's storage has.
        self.thread, self._depth = RLock(), 0
        #: What was read: the records so far, and the bytes that they and broken lines took.
        self._num, self._bytes = 0, 0

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within it no other process writes. Whoever holds it may ask for it again."""
        with self.thread:
            if not self._depth:
                fcntl.flock(self._fd, fcntl.LOCK_EX)
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if not self._depth:
                    fcntl.flock(self._fd, fcntl.LOCK_UN)

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        """The whole records from a number on; a line that holds none has no number."""
        with self.thread:
            if log_number_from < self._num:
                self._num, self._bytes = 0, 0
            found, first = self._new_records(), self._num
            # Before anything is handed out: Optuna stops in the middle where it finds a mistake.
            self._num += len(found)
        return found[log_number_from - first :]

    def _new_records(self) -> list[dict[str, Any]]:
        size = os.fstat(self._fd).st_size
        content = b""
        while len(content) < size - self._bytes:
            part = os.pread(self._fd, size - self._bytes - len(content), self._bytes + len(content))
            if not part:
                break
            content += part
        whole, newline, _ = content.rpartition(b"\n")  # behind it somebody may be writing
        self._bytes += len(whole) + len(newline)
        return [record for line in whole.split(b"\n") if (record := _parse(line)) is not None]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Adds records, each whole or not at all.

        They are in the kernel's hands, as those of the ledger are: a killed process loses none.

        Raises:
            OSError: The disk is full.
        """
        lines = b"".join(json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in logs)
        with self.alone():
            end = os.fstat(self._fd).st_size
            if end and os.pread(self._fd, 1, end - 1) != b"\n":
                lines = b"\n" + lines
            crashpoint.tear("record.torn", self._fd, lines)
            write_all(self._fd, lines)

    def close(self) -> None:
        """Gives the file back."""
        os.close(self._fd)


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line) if line else None
    except ValueError:
        return None
    return found if isinstance(found, dict) and "op_code" in found else None
