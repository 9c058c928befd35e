"""The newest loss-like numbers of a log, under the names they were printed with.

Lines that may hold one are kept and read only when somebody asks.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping

from overnight.supervisor.progress.lines import clean

# A bar's numbers stand behind it; with colours that is within the first 512 bytes.
_KEPT_BYTES = 512
_KEPT_LINES = 6
_MAX_NAMES = 16
_METRIC_HINTS = (
    b"loss",
    b"acc",
    b"f1",
    b"auc",
    b"map",
    b"iou",
    b"dice",
    "손실".encode(),
    "정확도".encode(),
)
_METRIC = re.compile(
    r"(?<![\w./])((?:[a-z_]{1,20}[ _/-])?(?:(?:[a-z]\w{0,20}_|train|val|valid|test)?loss"
    r"|acc|accuracy|[a-z_]{0,12}f1"
    r"|auc|auroc|mse|rmse|mae|map50-95|map50|map|m?iou|dice|ppl|perplexity|손실|정확도)(?:_[a-z0-9]{1,20}|@\d{1,3})?)['\"]?(?:\(\w{1,12}\))?"
    r"(?:\s{0,4}[:=]\s{0,4}|\s{1,4})['\"]?([-+]?(?:\d{1,12}(?:\.\d{0,17})?(?:e[-+]?\d{1,3})?|nan|inf))(?![\w%/]|\.\d)",
    re.IGNORECASE,
)


class LastMetrics:
    """The last lines and rows that named a metric."""

    __slots__ = ("_frame", "_lines", "_rows")

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque(maxlen=_KEPT_LINES)
        self._frame = b""  # of a bar: kept apart, or its frames would push everything else out
        self._rows: dict[str, float] = {}

    def see_line(self, line: bytes, *, is_frame: bool) -> None:
        """Keep a line of the log, if it may hold a metric."""
        kept = line[:_KEPT_BYTES]
        if kept.startswith(b"NEW_BEST "):  # our trainer's, which logs the number too
            return
        low = kept.lower()
        if any(hint in low for hint in _METRIC_HINTS):
            if is_frame:
                self._frame = kept
            else:
                self._lines.append(kept)

    def see_row(self, row: Mapping[str, object]) -> None:
        """Keep the metrics of a row of the ledger; ``"NaN"`` and its like are numbers there."""
        for name, value in row.items():
            if not name.startswith("_") and _METRIC.fullmatch(name + "=0"):
                number = _number(value)
                if number is not None:
                    self._rows.pop(name, None)
                    self._rows[name] = number
        while len(self._rows) > _MAX_NAMES:
            del self._rows[next(iter(self._rows))]

    def values(self) -> dict[str, float]:
        """Name to value, the newest last, at most 16; what the job logged itself wins."""
        found: dict[str, float] = {}
        for line in (*self._lines, self._frame):
            for name, value in _METRIC.findall(clean(line)):
                key = name.strip()
                found.pop(key, None)
                found[key] = float(value)
        for name, number in self._rows.items():
            found.pop(name, None)
            found[name] = number
        return dict(list(found.items())[-_MAX_NAMES:])

    def dump(self) -> dict[str, object]:
        """The state, ready for JSON."""
        return {
            "lines": [line.decode("latin-1") for line in self._lines],
            "frame": self._frame.decode("latin-1"),
            "rows": {name: str(value) for name, value in self._rows.items()},
        }

    @classmethod
    def load(cls, data: Mapping[str, object]) -> LastMetrics:
        """The metrics ``dump`` described.

        Raises:
            TypeError, ValueError, KeyError: It is not such a description.
        """
        metrics = cls()
        lines, rows = data["lines"], data["rows"]
        if not isinstance(lines, list) or not isinstance(rows, Mapping):
            raise TypeError("a list and a table were expected")
        for line in lines:
            metrics._lines.append(str(line).encode("latin-1")[:_KEPT_BYTES])
        metrics._frame = str(data["frame"]).encode("latin-1")[:_KEPT_BYTES]
        for name, value in list(rows.items())[:_MAX_NAMES]:
            metrics._rows[str(name)] = float(value)
        return metrics


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return None
    return float(value) if value in ("NaN", "Infinity", "-Infinity") else None
