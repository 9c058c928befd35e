"""Kept tables, read back: what a training keeps under known names, and any other."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from overnight.alerts.known import as_number
from overnight.ledger.format import parse_object
from overnight.reporting.figures import Bin
from overnight.reporting.gather import Story

#: Of a table that is drawn: a matrix of 300 classes has so many cells that are not empty.
_ROWS_AT_MOST = 100_000
_PICTURE = "_picture"


def newest(story: Story, key: str, kind: str = "table") -> Mapping[str, Any] | None:
    """The newest record of a key; None where there is none."""
    found = [each for each in story.media if each.get("_kind") == kind and each.get("key") == key]
    return found[-1] if found else None


def rows(
    story: Story, record: Mapping[str, Any] | None, at_most: int = _ROWS_AT_MOST
) -> list[dict[str, Any]]:
    """The first rows of a table; of one that is gone or damaged what can be read."""
    path = record.get("path") if record is not None else None
    if not isinstance(path, str):
        return []
    place = PurePosixPath(path)
    if place.is_absolute() or ".." in place.parts:
        return []
    file = Path(story.run.dir, *place.parts)
    found: list[dict[str, Any]] = []
    with contextlib.suppress(OSError, EOFError, zlib.error), file.open("rb") as data:
        lines: Iterable[bytes] = gzip.GzipFile(fileobj=data) if file.suffix == ".gz" else data
        found += filter(None, map(parse_object, islice(lines, at_most)))
    return found


def picture_of(cell: object) -> str:
    """The path of a cell that is a picture; empty for any other."""
    if isinstance(cell, Mapping) and isinstance(cell.get(_PICTURE), Mapping):
        path = cell[_PICTURE].get("path")
        return path if isinstance(path, str) else ""
    return ""


def confusion(story: Story) -> tuple[list[str], dict[tuple[str, str], float]]:
    """The classes and (truth, prediction) → count of the newest matrix; empty where none is."""
    drawn = [each for each in story.media if each.get("plot") == "confusion_matrix"]
    found: dict[tuple[str, str], float] = {}
    names: dict[str, None] = {}
    for row in rows(story, drawn[-1] if drawn else None):
        truth, prediction = str(row.get("truth")), str(row.get("prediction"))
        names.setdefault(truth)
        found[truth, prediction] = as_number(row.get("count")) or 0.0
    names.update(dict.fromkeys(prediction for _, prediction in found))
    return list(names), found


def reliability(story: Story) -> dict[str, list[Bin]]:
    """The bins ``before`` and ``after`` calibration; empty where there was none."""
    found: dict[str, list[Bin]] = {"before": [], "after": []}
    for row in rows(story, newest(story, "reliability"), 1000):
        named = ("bin_low", "bin_high", "confidence", "accuracy", "num")
        values = [as_number(row.get(name)) for name in named]
        low, high, confidence, accuracy, num = values
        if None in (low, high) or row.get("when") not in found:
            continue
        found[row["when"]].append(
            Bin(low or 0.0, high or 0.0, confidence or 0.0, accuracy or 0.0, int(num or 0))
        )
    return found


def importance(story: Story) -> list[tuple[str, float]]:
    """Setting and how much it matters, the most important first."""
    found = [
        (str(row.get("parameter")), value)
        for row in rows(story, newest(story, "importance"), 1000)
        if (value := as_number(row.get("importance"))) is not None
    ]
    return sorted(found, key=lambda each: -each[1])


def others(story: Story, known: Sequence[str]) -> list[Mapping[str, Any]]:
    """The newest table of each further key."""
    found = {
        str(each.get("key")): each
        for each in story.media
        if each.get("_kind") == "table" and each.get("key") not in known
    }
    return list(found.values())
