"""Which batches a tracker was given that only takes them on trust: ``cursors/<tracker>.batches``.

W&B's library says yes at once and sends later; with its process dies what it had not sent. How far
W&B really is shows when the run is opened again, as the number of its last row. From there on the
same batches are made again: each row's number depends on how its batch was cut, so that is kept, a
line for each.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.outbox.track import positions_of
from overnight.trackers.records import Places


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch.

    Attributes:
        begin: The number of the last record before it, from 0.
        number: The number of its own last record.
        files: Where one stands after it: file → (segment, seq) of the last record taken.
    """

    begin: int
    number: int
    files: Places


class Batches:
    """The batches one tracker was given of one run, since the run was begun there.

    Args:
        run: The run.
        tracker: The tracker's word.
    """

    def __init__(self, run: RunPaths, tracker: str) -> None:
        self._path = Path(run.cursor(tracker)).with_suffix(".batches")

    def forget(self) -> None:
        """The run is begun anew. Raises OSError if the file cannot be removed."""
        self._path.unlink(missing_ok=True)

    def note(self, batch: Batch) -> None:
        """Appends one; the same one may come twice. Raises OSError if that fails."""
        said = {"begin": batch.begin, "number": batch.number, "files": batch.files}
        # With a newline before it as well: a line that was cut off must not spoil the next.
        data = b"\n" + json.dumps(said).encode() + b"\n"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        fd = os.open(self._path, flags, 0o600)
        try:
            files.write_all(fd, data)
        finally:
            os.close(fd)

    def read(self) -> list[Batch]:
        """Those that follow upon each other without a gap, up to the last one.

        Raises:
            OSError: They cannot be read now.
        """
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        found: list[Batch] = []
        for batch in filter(None, map(_batch, lines)):
            while found and found[-1].begin >= batch.begin:  # made again, or cut anew from there
                found.pop()
            if found and found[-1].number != batch.begin:
                found.clear()
            found.append(batch)
        return found


def _batch(line: bytes) -> Batch | None:
    try:
        said = json.loads(line)
    except ValueError:
        return None  # an empty line, or one that a full disk has cut off
    if not isinstance(said, dict):
        return None
    begin, number = said.get("begin"), said.get("number")
    if type(begin) is not int or type(number) is not int or number <= begin:
        return None
    return Batch(begin, number, positions_of(said))
