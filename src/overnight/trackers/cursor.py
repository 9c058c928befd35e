"""How far one tracker has come with one run: ``cursors/<tracker>.json`` in the run's folder.

A batch is noted before it is sent, and noted as sent after: what a killed mirror was sending is
made again exactly, and known there by its numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.outbox.track import positions_of
from overnight.trackers.base import Rejected
from overnight.trackers.records import Places

SCHEMA_VERSION = 1
#: Of what was rejected so many names are kept, each with its first place.
_MOST_KEYS = 50
_MOST_CHARS = 300


@dataclass(slots=True)
class Cursor:
    """How far it is.

    Attributes:
        lane: The mirror's: another address or key begins anew.
        files: File → (segment, seq) of the last record the tracker has.
        sending: The same, once the batch that is under way has arrived; None: none is.
        number: The number of the last row that was taken; ``num_records``: all records taken.
        sent: What of it may turn out not to count (Counting.sent).
        closed: ``track.end_mark`` when the tracker had the run's end.
        parts: The same, once it had all of its parts as well.
        rejected: ``num`` values, and by their ``keys`` why and where first.
        trouble: What a person has to put right, and what to do about it.
    """

    lane: str = ""
    generation: int = 0
    files: Places = field(default_factory=dict)
    sending: Places | None = None
    number: int = 0
    num_records: int = 0
    sent: dict[str, Any] = field(default_factory=dict)
    url: str = ""
    closed: int | None = None
    parts: int | None = None
    rejected: dict[str, Any] = field(default_factory=lambda: {"num": 0, "keys": {}})
    trouble: str = ""
    fix: str = ""

    def begin_anew(self, generation: int) -> None:
        """Nothing that was sent counts any more."""
        self.generation = generation
        self.files, self.sending = {}, None
        self.number = self.num_records = 0
        self.sent = {}
        self.rejected = {"num": 0, "keys": {}}

    def reject(self, found: Sequence[Rejected]) -> None:
        """Notes what a tracker will not take."""
        keys = self.rejected["keys"]
        self.rejected["num"] += len(found)
        for each in found:
            key = each.key[:_MOST_CHARS]
            if key in keys:
                keys[key]["num"] += 1
            elif len(keys) < _MOST_KEYS:
                why = each.why[:_MOST_CHARS]
                keys[key] = {"num": 1, "why": why, "file": each.file, "seq": each.seq}

    def save(self, run: RunPaths, tracker: str) -> None:
        """Writes the file.

        Raises:
            OSError: The run's folder cannot be written.
        """
        Path(run.cursors).mkdir(mode=0o700, exist_ok=True)
        said = {"schema": SCHEMA_VERSION, "tracker": tracker, **asdict(self)}
        if self.parts is None:  # most runs have none
            del said["parts"]
        files.replace(run.cursor(tracker), files.to_json(said), sync=False)


def read(run: RunPaths, tracker: str, lane: str) -> Cursor:
    """A run's cursor; a fresh one where there is none, or it is of another address or key.

    Raises:
        OSError: It cannot be read now.
    """
    said = files.read_json(run.cursor(tracker)) or {}
    if said.get("lane") != lane:
        return Cursor(lane)
    sending = positions_of(said, "sending") if isinstance(said.get("sending"), dict) else None
    rejected = said.get("rejected")
    sent = said.get("sent")
    whole = isinstance(rejected, dict) and isinstance(rejected.get("keys"), dict)
    cursor = Cursor(
        lane=lane,
        generation=_whole(said.get("generation")),
        files=positions_of(said),
        sending=sending,
        number=_whole(said.get("number")),
        num_records=_whole(said.get("num_records")),
        sent=sent if isinstance(sent, dict) else {},
        url=str(said.get("url") or ""),
        closed=said["closed"] if type(said.get("closed")) is int else None,
        parts=said["parts"] if type(said.get("parts")) is int else None,
        trouble=str(said.get("trouble") or ""),
        fix=str(said.get("fix") or ""),
    )
    if whole and rejected is not None:
        cursor.rejected = {"num": _whole(rejected.get("num")), "keys": rejected["keys"]}
    return cursor


def _whole(value: Any) -> int:
    return value if type(value) is int and value >= 0 else 0
