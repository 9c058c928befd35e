"""What follows from how far a run is: milestones, a heartbeat, and an end that has moved.

Times are seconds of the attempt, never the wall clock. None of it stands in the ledger, so it is
kept between two lives of the agent; keys are numbered by what they are about, so that even without
what was kept nothing is told twice in one slot.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from overnight.alerts.known import finite, whole
from overnight.alerts.settings import Settings

#: Before this share, and before two epochs, an estimate is no promise.
_LEAST_SHARE = 0.03
_LEAST_EPOCHS = 2
#: A long validation or a slow disk moves the end for a while: only what stays moved is told …
_STAYS_S = 300.0
#: … if somebody would plan by it …
_LEAST_MOVE_S = 600.0
_AS_GOOD_AS_OVER_S = 60.0
#: … and not again and again.
_ETA_EVERY_S = 1800.0


@dataclass(frozen=True)
class Standing:
    """How far a run is, as ``status.json`` has it.

    Attributes:
        left_s: Fewest and most seconds left, where that can be known.
        scale: What it counts by; when that changes, older estimates were about something else.
    """

    attempt: int
    elapsed_s: float
    done: float | None = None
    total: float | None = None
    unit: str = ""
    share: float | None = None
    left_s: tuple[float, float] | None = None
    at_most: bool = False
    source: str = ""

    @property
    def scale(self) -> list[Any]:
        """What the estimate is made from."""
        return [self.attempt, self.source, self.unit, self.total, self.at_most]

    @property
    def end_s(self) -> tuple[float, float] | None:
        """When it will end, in seconds of the attempt; early stopping leaves only the latest."""
        if self.left_s is None:
            return None
        low, high = self.left_s
        return self.elapsed_s + (high if self.at_most else low), self.elapsed_s + high


def standing(status: Mapping[str, Any]) -> Standing | None:
    """The standing in a ``status.json``; None if it holds none. What is damaged is left out."""
    attempt, elapsed_s = whole(status.get("attempt")), _number(status.get("elapsed_s"))
    if attempt is None or elapsed_s is None:
        return None
    said = status.get("estimate")
    if not isinstance(said, Mapping):
        return Standing(attempt, elapsed_s)
    left, left_s = said.get("remaining_s"), None
    if isinstance(left, (list, tuple)) and len(left) == 2:
        low, high = _number(left[0]), _number(left[1])
        if low is not None and high is not None and low <= high:
            left_s = low, high
    unit, source = said.get("unit"), said.get("source")
    return Standing(
        attempt,
        elapsed_s,
        _number(said.get("done")),
        _number(said.get("total")),
        unit if isinstance(unit, str) else "",
        _number(said.get("fraction")),
        left_s,
        said.get("at_most") is True,
        source if isinstance(source, str) else "",
    )


@dataclass(frozen=True)
class News:
    """Something to be told; ``key`` is unique within the run."""

    event: Literal["heartbeat", "milestone", "eta_moved", "threshold"]
    key: str
    facts: Mapping[str, Any] = field(default_factory=dict)


class Outlook:
    """Follows one run's standing.

    Args:
        settings: What is to be told.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._attempt = 0
        self._slot = 0
        #: Milestones that were seen from below and are passed, or were told: shares.
        self._below: set[float] = set()
        self._passing: set[float] = set()
        self._told: set[float] = set()
        #: The end that was expected first, or told last.
        self._promised: tuple[float, float] | None = None
        self._scale: list[Any] = []
        self._moved_since_s: float | None = None
        self._eta_told_s = -math.inf

    def beat(self, attempt: int, elapsed_s: float) -> list[News]:
        """The heartbeat that is due, if one is; of several that were missed the newest."""
        every_s = self._settings.heartbeat_s
        if every_s is None or elapsed_s < every_s or attempt < self._attempt:
            return []
        self._begin(attempt)
        slot = int(elapsed_s // every_s)
        if slot <= self._slot:
            return []
        self._slot = slot
        return [News("heartbeat", f"heartbeat-{attempt}-{slot}")]

    def see(self, now: Standing) -> list[News]:
        """Takes in a standing; what is to be told of it."""
        if now.attempt < self._attempt:
            return []
        self._begin(now.attempt)
        return [*self._milestone(now), *self._eta(now), *self.beat(now.attempt, now.elapsed_s)]

    def _begin(self, attempt: int) -> None:
        if attempt > self._attempt:
            self._attempt, self._slot = attempt, 0
            self._below, self._passing = set(), set()
            self._promised, self._moved_since_s, self._eta_told_s = None, None, -math.inf

    def _milestone(self, now: Standing) -> list[News]:
        if now.share is None:
            return []
        passed = []
        for mark in self._settings.milestones:
            if now.share < mark:
                self._below.add(mark)
                self._passing.discard(mark)
            elif mark in self._below and mark not in self._told:
                # A bar that filled once may be one of many: told when it is seen again.
                if mark in self._passing:
                    passed.append(mark)
                self._passing.add(mark)
        if not passed:
            return []
        # Those that were passed between two looks are told as one.
        self._told.update(passed)
        percent = round(max(passed) * 100, 2)
        return [News("milestone", f"milestone-{percent:g}", {"percent": percent})]

    def _eta(self, now: Standing) -> list[News]:
        least, end_s = self._settings.eta_moved, now.end_s
        if least is None or now.left_s is None or end_s is None or not _is_sure(now):
            return []
        if now.left_s[1] < _AS_GOOD_AS_OVER_S:
            return []
        if self._promised is None or now.scale != self._scale:
            self._promised, self._scale, self._moved_since_s = end_s, now.scale, None
            return []
        if not _has_moved(self._promised, end_s, now.elapsed_s, least):
            self._moved_since_s = None
            return []
        if self._moved_since_s is None or now.elapsed_s < self._moved_since_s:
            self._moved_since_s = now.elapsed_s
        stays = now.elapsed_s - self._moved_since_s >= _STAYS_S
        if not stays or now.elapsed_s - self._eta_told_s < _ETA_EVERY_S:
            return []
        old = [max(0.0, round(each - now.elapsed_s, 1)) for each in self._promised]
        if now.at_most:
            old[0] = 0.0
        self._promised, self._moved_since_s, self._eta_told_s = end_s, None, now.elapsed_s
        facts = {
            "old_remaining_s": old,
            "remaining_s": list(now.left_s),
            "at_most": now.at_most,
        }
        slot = int(now.elapsed_s // _ETA_EVERY_S)
        return [News("eta_moved", f"eta-{now.attempt}-{slot}", facts)]

    # ── kept between two lives of the agent ──────────────────────────────────────────────

    def dump(self) -> dict[str, Any]:
        """What is known, ready for JSON."""
        return {
            "attempt": self._attempt,
            "slot": self._slot,
            "below": sorted(self._below),
            "passing": sorted(self._passing),
            "told": sorted(self._told),
            "promised": None if self._promised is None else list(self._promised),
            "scale": self._scale,
            "moved_since_s": self._moved_since_s,
            "eta_told_s": None if math.isinf(self._eta_told_s) else self._eta_told_s,
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Goes on from what ``dump`` told.

        Raises:
            TypeError, ValueError, KeyError …: It is not what ``dump`` makes; nothing was changed.
        """
        promised = data["promised"]
        loaded = {
            "_attempt": int(data["attempt"]),
            "_slot": int(data["slot"]),
            "_below": {float(each) for each in data["below"]},
            "_passing": {float(each) for each in data["passing"]},
            "_told": {float(each) for each in data["told"]},
            "_promised": None if promised is None else (float(promised[0]), float(promised[1])),
            "_scale": list(data["scale"]),
            "_moved_since_s": None
            if data["moved_since_s"] is None
            else float(data["moved_since_s"]),
            "_eta_told_s": -math.inf if data["eta_told_s"] is None else float(data["eta_told_s"]),
        }
        for name, value in loaded.items():
            setattr(self, name, value)


def _is_sure(now: Standing) -> bool:
    if now.share is None or now.share < _LEAST_SHARE:
        return False
    return now.unit != "epoch" or now.done is None or now.done >= _LEAST_EPOCHS


def _has_moved(
    promised: tuple[float, float], end_s: tuple[float, float], now_s: float, least: float
) -> bool:
    """Whether the end has moved by that share of what is left, beyond what either range allows."""
    old, new = sum(promised) / 2, sum(end_s) / 2
    move_s = abs(new - old)
    left_s = max(old - now_s, new - now_s)
    disjoint = promised[1] < end_s[0] or end_s[1] < promised[0]
    return disjoint and move_s >= _LEAST_MOVE_S and move_s > least * left_s


def _number(value: Any) -> float | None:
    """A number from 0 that a duration or a count can be, or None."""
    number = finite(value)
    return number if number is not None and 0 <= number < 1e10 else None
