"""The facts of one message, read with suspicion: each as what it must be, or as absent.

Facts lie in files between the event and the sending; a file may be damaged, older or newer than
this program, and hold texts that a job wrote.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from overnight.alerts import names
from overnight.alerts.trim import clean, last_lines, line

#: A number beyond it has no use in a message, and an integer beyond it is no float.
_MAX_NUMBER = 1e300
#: Three centuries of seconds.
_MAX_S = 1e10
_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_METRICS_AT_MOST = 6


class Known:
    """What is known of a run and of what happened to it."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self._facts = facts

    def text(self, key: str, limit: int = 300) -> str:
        """A text on one line; "" where there is none."""
        value = self._facts.get(key)
        return line(value, limit) if isinstance(value, str) else ""

    def lines(self, key: str) -> str:
        """A text of several lines; "" where there is none."""
        value = self._facts.get(key)
        return clean(value).strip() if isinstance(value, str) else ""

    def number(self, key: str) -> float | None:
        """A number, NaN and infinities included."""
        return as_number(self._facts.get(key))

    def count(self, key: str) -> float | None:
        """A number from 0 that a counter can show."""
        value = self.number(key)
        return value if value is not None and 0 <= value < 1e15 else None

    def seconds(self, key: str) -> float | None:
        """A duration."""
        value = self.number(key)
        return value if value is not None and 0 <= value < _MAX_S else None

    def range_s(self, key: str) -> tuple[float, float] | None:
        """Fewest and most seconds."""
        value = self._facts.get(key)
        if not isinstance(value, (list, tuple)) or len(value) != 2:
            return None
        low, high = as_number(value[0]), as_number(value[1])
        if low is None or high is None or not (abs(low) < _MAX_S and abs(high) < _MAX_S):
            return None
        return max(0.0, min(low, high)), max(0.0, low, high)

    def says(self, key: str) -> bool:
        """Whether something is so."""
        return self._facts.get(key) is True

    def time_us(self, key: str) -> int | None:
        """A moment, in microseconds since 1970-01-01 UTC."""
        value = self._facts.get(key)
        return value if type(value) is int and 0 < value < 253_402_300_799_000_000 else None

    @property
    def metrics(self) -> dict[str, float]:
        """The newest numbers, what people watch first in front; a handful."""
        value = self._facts.get("metrics")
        if not isinstance(value, Mapping):
            return {}
        found = {
            line(key, 40): number
            for key, number in ((key, as_number(each)) for key, each in value.items())
            if isinstance(key, str) and key.strip() and number is not None
        }
        first = [name for name in (self.text("metric", 40), names.main(found)) if name in found]
        # A learning rate or the seconds of an epoch are good for a page of numbers only.
        telling = [name for name in found if names.better(name) and not names.unit(name)]
        chosen = dict.fromkeys([*filter(None, first), *(telling or found)])
        return {name: found[name] for name in list(chosen)[:_METRICS_AT_MOST]}

    @property
    def cause(self) -> dict[str, Any]:
        """Why it ended, as the ledger has it, with no half of a place; empty where not known."""
        value = self._facts.get("cause")
        if not isinstance(value, Mapping) or not isinstance(value.get("kind"), str):
            return {}
        fields = value.get("fields")
        told = {
            key: line(each, 120)
            for key, each in (fields.items() if isinstance(fields, Mapping) else ())
            if isinstance(key, str) and key.isidentifier() and isinstance(each, str)
        }
        for place, its_line in (("cell", "cell_line"), ("file", "line")):
            if place in told and its_line not in told:
                del told[place]
        sentence = value.get("sentence")
        return {
            "kind": value["kind"],
            "sentence": sentence if isinstance(sentence, str) else value["kind"],
            "fields": told,
        }

    def evidence(self, num_lines: int, limit: int) -> str:
        """What the job said at last: the last lines of it."""
        value = self._facts.get("cause")
        said = value.get("evidence") if isinstance(value, Mapping) else self._facts.get("evidence")
        return last_lines(said, num_lines, limit) if isinstance(said, str) else ""


def as_number(value: object) -> float | None:
    """A number as JSON or the ledger spells it; None for anything else."""
    if isinstance(value, str):
        return _NON_FINITE.get(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, int) and abs(value) >= _MAX_NUMBER:
        return None
    return float(value)


def finite(value: object) -> float | None:
    """A number that is one, as Python has it; None for anything else."""
    number = None if isinstance(value, str) else as_number(value)
    return number if number is not None and abs(number) < _MAX_NUMBER else None


def whole(value: object) -> int | None:
    """A whole number; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None
