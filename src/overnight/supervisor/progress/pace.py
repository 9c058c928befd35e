"""How long a unit of work takes, learnt from when units were seen to be done.

A pace does not care what its unit is: an epoch, a training step, a fold. It keeps a few dozen
segments (seconds, units), so a year-long run costs what a minute does. Units that appear at the
same moment, because the log is looked at every few seconds only, are one segment: nothing is ever
measured as having taken no time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite, sqrt

# Enough to tell a quarter from the whole; small enough that a snapshot stays under 2 kB.
_MAX_SEGMENTS = 48
# The slow start is left out once this much of what it covered was done again without it, and may
# still come again for all one knows until this many segments are there.
_ENOUGH_WITHOUT_FIRST = 0.5
_ENOUGH_SEGMENTS = 3
# Less says nothing: the log is looked at once a second, and a machine does its start besides.
_LEAST_SECONDS = 5.0
# A unit costs what it did over all that was seen, or over any quarter of it: where these differ,
# the machine or the work has changed, and may change back.
_QUARTERS = 4
# How far the rest may wander from what was seen. A busy machine is slow for many seconds on end, so
# it is the seconds seen that count, not how often was looked; and epochs differ among themselves.
# Of simulated runs on machines that wander by a fifth, nine in ten ends lie within.
_LEAST_SLACK, _MOST_SLACK = 0.05, 0.45
_SLACK_BY_SECONDS, _SLACK_BY_SEGMENTS = 0.9, 0.25


@dataclass(frozen=True, slots=True)
class UnitCost:
    """Seconds per unit, as a range.

    Attributes:
        low: A unit is unlikely to be cheaper on average, in seconds.
        mid: The usual cost, in seconds.
        high: A unit is unlikely to be dearer on average, in seconds.
        gap_s: The usual time between two sightings; silence up to this is no news.
    """

    low: float
    mid: float
    high: float
    gap_s: float


class Pace:
    """The recent cost of a unit, from growing counts and the times they were seen at."""

    __slots__ = ("_last", "_segments")

    def __init__(self) -> None:
        self._segments: list[tuple[float, float]] = []
        self._last: tuple[float, float] | None = None

    @property
    def last(self) -> tuple[float, float] | None:
        """When the newest count was seen, and the count."""
        return self._last

    @property
    def units(self) -> float:
        """Units whose time is known."""
        return sum(units for _, units in self._segments)

    @property
    def seconds(self) -> float:
        """Time those units took."""
        return sum(seconds for seconds, _ in self._segments)

    def add(self, now_s: float, done: float) -> None:
        """Note that ``done`` units are done; a count that did not grow is no news."""
        if self._last is None:
            self._last = (now_s, done)
            return
        then_s, before = self._last
        if done <= before:
            return
        if now_s <= then_s:
            self._last = (then_s, done)
            if self._segments:
                seconds, units = self._segments[-1]
                self._segments[-1] = (seconds, units + done - before)
            return
        self._last = (now_s, done)
        self._segments.append((now_s - then_s, done - before))
        if len(self._segments) > _MAX_SEGMENTS:
            self._thin()

    def pause(self) -> None:
        """Forget where the count stood, keep what a unit costs: the count begins anew."""
        self._last = None

    def shift(self, units: float) -> None:
        """Move the count itself, where it turns out to have been read one off."""
        if self._last is not None:
            self._last = (self._last[0], self._last[1] + units)

    def _thin(self) -> None:
        """Join pairs in the older half; the first stays alone, as it is the slow one."""
        old = self._segments[1 : _MAX_SEGMENTS // 2 + 1]
        joined = [(a[0] + b[0], a[1] + b[1]) for a, b in zip(old[::2], old[1::2], strict=True)]
        self._segments = [self._segments[0], *joined, *self._segments[_MAX_SEGMENTS // 2 + 1 :]]

    def cost(self) -> UnitCost | None:
        """What a unit costs by now, or None before enough of them was timed."""
        segments = self._segments
        if self.seconds < _LEAST_SECONDS:
            return None
        gaps = sorted(seconds for seconds, _ in segments)
        dearest = 0.0
        rest = sum(units for _, units in segments[1:])
        if rest >= segments[0][1] * _ENOUGH_WITHOUT_FIRST:
            if len(segments) < _ENOUGH_SEGMENTS:
                dearest = self.seconds / self.units
            segments = segments[1:]  # the first holds the start: compilation, caches, downloads
        seen_s = sum(seconds for seconds, _ in segments)
        means = [
            seen_s / sum(units for _, units in segments),
            *_means(segments, seen_s / _QUARTERS),
        ]
        low, high = min(means), max(means)
        wander = max(_SLACK_BY_SECONDS / sqrt(seen_s), _SLACK_BY_SEGMENTS / sqrt(len(segments)))
        slack = min(_MOST_SLACK, _LEAST_SLACK + wander)
        return UnitCost(
            low=low * (1 - slack),
            mid=(low + high) / 2,
            high=max(high, dearest) * (1 + slack),
            gap_s=gaps[3 * (len(gaps) - 1) // 4],
        )

    def remaining(self, left: tuple[float, float], now_s: float) -> tuple[float, float] | None:
        """Seconds that ``left`` units (fewest, most; counted from the last sighting) still take."""
        cost = self.cost()
        if cost is None:
            return None
        since_s = 0.0 if self._last is None else max(0.0, now_s - self._last[0])
        usual_s = min(since_s, max(cost.gap_s, cost.high))
        # Silence beyond the usual (a long evaluation, a stall) is expected to last as long again.
        overdue_s = since_s - usual_s
        low = max(0.0, left[0] * cost.low - usual_s)
        high = max(0.0, left[1] * cost.high - usual_s) + overdue_s
        return low, max(low, high)

    def dump(self) -> dict[str, object]:
        """The state, ready for JSON."""
        return {"segments": [list(each) for each in self._segments], "last": self._last}

    @classmethod
    def load(cls, data: object) -> Pace:
        """The pace ``dump`` described; what cannot be read is left out."""
        pace = cls()
        if not isinstance(data, Mapping):
            return pace
        pace._last = number_pair(data.get("last"))
        segments = data.get("segments")
        if isinstance(segments, Iterable) and not isinstance(segments, str | bytes):
            pairs = [number_pair(each) for each in segments]
            pace._segments = [each for each in pairs if each and min(each) > 0][-_MAX_SEGMENTS:]
        return pace


def number_pair(value: object) -> tuple[float, float] | None:
    """Two finite numbers out of JSON, or None."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    first, second = value
    if not isinstance(first, int | float) or not isinstance(second, int | float):
        return None
    pair = float(first), float(second)
    return pair if all(map(isfinite, pair)) else None


def _means(segments: list[tuple[float, float]], least_s: float) -> Iterator[float]:
    """Seconds per unit of stretches that cover so many seconds each, the newest first."""
    seconds = units = 0.0
    for each_s, num in reversed(segments):
        seconds += each_s
        units += num
        if seconds >= least_s:
            yield seconds / units
            seconds = units = 0.0
