"""The user's list of runs, over all roots: append-only, one file per machine.

``ls`` of ten thousand runs may not open ten thousand files: the index says where each run lies
and, once it has ended for good, how. Only runs without such an end are looked at themselves. A home
folder on a network disk is shared by machines whose appends do not mix, hence a file per machine;
readers take them all.
"""

from __future__ import annotations

import errno
import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from overnight import crashpoint
from overnight.ledger.format import decode, encode, time_us
from overnight.ledger.identity import here
from overnight.ledger.paths import RunPaths, state_dir


@dataclass(frozen=True)
class Entry:
    """One run as the index knows it."""

    run: RunPaths
    name: str
    kind: str
    created_us: int
    #: The final state as state.py wrote it; None while the run may still change.
    ended: Mapping[str, Any] | None


def _index_dir() -> str:
    return os.path.join(state_dir(), "index")


def _append(fields: Mapping[str, Any]) -> None:
    # One short line, one write, opened to append: on a local disk such lines do not mix.
    folder = _index_dir()
    os.makedirs(folder, mode=0o700, exist_ok=True)
    machine = re.sub(r"[^A-Za-z0-9_.-]", "_", here()[0])
    path = os.path.join(folder, machine + ".jsonl")
    line = encode({"_seq": 0, "_t": time.time_ns() // 1000, **fields})
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
    try:
        size = os.fstat(fd).st_size
        if size:
            os.lseek(fd, size - 1, os.SEEK_SET)
            if os.read(fd, 1) != b"\n":
                line = b"\n" + line
        crashpoint.tear("index.torn", fd, line)
        if os.write(fd, line) < len(line) - 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(fd)


def add(run: RunPaths, *, name: str, created_us: int) -> None:
    """Notes a new run. Raises OSError if the user's state folder cannot be written."""
    _append(
        {
            "_event": "Created",
            "dir": run.dir,
            "name": name,
            "kind": run.kind,
            "created_us": created_us,
        }
    )


def end(run: RunPaths, state: Mapping[str, Any]) -> None:
    """Notes how a run ended, so that nobody has to look again."""
    _append({"_event": "Ended", "dir": run.dir, "state": dict(state)})


def reopen(run: RunPaths) -> None:
    """Notes that an ended run goes on with another attempt."""
    _append({"_event": "Reopened", "dir": run.dir})


def remove(run: RunPaths) -> None:
    """Notes that a run's folder is no more."""
    _append({"_event": "Removed", "dir": run.dir})


def entries() -> list[Entry]:
    """Every run the index knows, newest first. Broken lines are skipped."""
    records: list[dict[str, Any]] = []
    try:
        names = sorted(os.listdir(_index_dir()))
    except OSError:
        return []
    for name in names:
        if name.endswith(".jsonl"):
            try:
                with open(os.path.join(_index_dir(), name), "rb") as file:
                    records.extend(_parse(file.read()))
            except IsADirectoryError:
                continue
    if len(names) > 1:
        records.sort(key=lambda record: time_us(record.get("_t")) or 0)
    found: dict[str, Entry] = {}
    for record in records:
        folder, event = record.get("dir"), record.get("_event")
        if not isinstance(folder, str) or not os.path.isabs(folder) or "\0" in folder:
            continue
        if event == "Created":
            found[folder] = Entry(
                RunPaths(folder),
                str(record.get("name", "")),
                str(record.get("kind", "")),
                time_us(record.get("created_us")) or 0,
                None,
            )
        elif event == "Removed":
            found.pop(folder, None)
        elif folder in found and event in ("Ended", "Reopened"):
            state = record.get("state") if event == "Ended" else None
            ended = state if isinstance(state, dict) else None
            found[folder] = replace(found[folder], ended=ended)
    # Created in the same microsecond is impossible on one machine; elsewhere the folder decides.
    return sorted(found.values(), key=lambda entry: (-entry.created_us, entry.run.dir))


def _parse(data: bytes) -> list[dict[str, Any]]:
    """All records of an index file: in one go where no line is broken, else line by line."""
    lines = [line for line in data.split(b"\n") if line]
    try:
        values = json.loads(b"[" + b",".join(lines) + b"]")
    except (ValueError, RecursionError):
        values = [decode(line) for line in lines]
    return [value for value in values if isinstance(value, dict)]
