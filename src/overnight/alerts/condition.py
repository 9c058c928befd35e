"""One rule over one series of values: when has it just become true?

A rule is told when it turns from false to true, and again only after it was false for a while: a
metric for an epoch, a value of the machine at once, but then at most once in half an hour, the
second time an hour, and so on. What was told of ground that a resumed run goes over again is not
told twice.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from overnight.alerts import names
from overnight.alerts.rule import Rule
from overnight.ledger.format import EPOCH

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
    "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
#: A value that sways about its limit is told this often at most, each time after twice as long …
_QUIET_S = 1800.0
#: … up to a night.
_LONGEST_QUIET_S = 8 * 3600.0
#: Where no epochs are known, false for so long is false again.
_CLEAR_S = 1800.0
#: What is usual: the newest values, and at least so many of them.
_NUM_USUAL = 101
_LEAST_USUAL = 3
#: Improvements remembered for a resume that goes back behind some.
_NUM_BESTS = 1000


@dataclass(frozen=True)
class Point:
    """One value, and where it was found.

    Attributes:
        value: None where the row does not hold it: time passed all the same.
        epoch: As logged, or the newest known one.
        step: As logged.
        clock_s: Seconds; any clock that never goes back.
        kind: Which axis the row counts by: ``epoch`` or ``step``.
    """

    value: float | None
    epoch: int | None = None
    step: int | None = None
    clock_s: float = 0.0
    attempt: int = 0
    kind: str = EPOCH

    @property
    def axis(self) -> int | None:
        """Where it stands among the rows of its kind."""
        return self.epoch if self.kind == EPOCH else self.step

    def dump(self) -> list[Any]:
        """The point, ready for JSON."""
        value = self.value if self.value is not None and math.isfinite(self.value) else None
        return [value, self.epoch, self.step, self.clock_s, self.attempt, self.kind]


@dataclass
class Condition:
    """A rule, and what is known of its series.

    Args:
        rule: The rule.
    """

    rule: Rule
    #: Times it was told.
    num_fired: int = 0
    _armed: bool = True
    _since: Point | None = None
    _clear_since: Point | None = None
    _quiet_until_s: float = -math.inf
    _usual: list[Point] = field(default_factory=list)
    _bests: list[Point] = field(default_factory=list)
    _fired: list[Point] = field(default_factory=list)
    _attempt: int = 0
    #: Of each kind of row, how far this attempt has come; and how far any before it came.
    _reach: dict[str, int] = field(default_factory=dict)
    _before: dict[str, int] = field(default_factory=dict)
    #: Up to where a resumed run goes over ground on which this was told already.
    _told_up_to: dict[str, int] = field(default_factory=dict)
    #: The largest value so far, where the rule asks for a share: beyond 1 the job logs 0–100.
    _most: float | None = None

    def __post_init__(self) -> None:
        self._of_system = self.rule.is_of_system
        self._limit = self.rule.limit

    def see(self, point: Point, whole: float | None = None) -> bool:
        """Takes in the next value; whether it is to be told now.

        Args:
            point: The value.
            whole: What 100 % is, of a value of the machine.
        """
        if point.attempt < self._attempt:
            return False  # of an attempt that a newer one has taken the place of
        if point.attempt > self._attempt:
            self._begin(point)
        axis = point.axis
        if axis is not None:
            if point.kind not in self._reach:
                self._rewind(point.kind, axis)
            self._reach[point.kind] = max(axis, self._reach.get(point.kind, axis))
        fires = (
            self._no_new(point) if self.rule.kind == "no_new" else self._turns_true(point, whole)
        )
        if not fires:
            return False
        self._fired = [*self._fired[-_NUM_BESTS:], point]
        if axis is not None and axis <= self._told_up_to.get(point.kind, axis - 1):
            return False
        self.num_fired += 1
        return True

    def has_reached(self, point: Point) -> bool:
        """Whether one of its epoch was seen in this attempt; without epochs: the very same."""
        if point.attempt != self._attempt:
            return False
        if point.axis is None:
            return bool(self._usual) and self._usual[-1].value == point.value
        reach = self._reach.get(point.kind)
        return reach is not None and reach >= point.axis

    def would_fire(self, point: Point) -> bool:
        """Whether a value that is still growing is beyond the limit already; takes nothing in."""
        return (
            self._armed
            and not self.rule.hold_unit
            and self.rule.op in (">", ">=")
            and self._holds(point, None) is True
        )

    def fire(self, point: Point) -> None:
        """Notes that ``would_fire`` was told."""
        self._armed, self._clear_since = False, None
        self._fired.append(point)
        self.num_fired += 1

    # ── becoming true ────────────────────────────────────────────────────────────────────

    def _turns_true(self, point: Point, whole: float | None) -> bool:
        if point.value is None:
            return False
        holds = self._holds(point, whole)
        if math.isfinite(point.value):
            if self.rule.kind == "median":
                self._usual = [*self._usual[1 - _NUM_USUAL :], point]
            self._most = max(abs(point.value), self._most or 0.0)
        if not holds:
            self._since = None
            if not self._armed:
                self._clear(point)
            return False
        self._clear_since = None
        self._since = self._since or point
        if not self._armed or not self._held(point) or point.clock_s < self._quiet_until_s:
            return False
        self._armed = False
        if self._of_system:
            quiet_s = min(_QUIET_S * 2.0 ** min(self.num_fired, 10), _LONGEST_QUIET_S)
            self._quiet_until_s = point.clock_s + quiet_s
        return True

    def _holds(self, point: Point, whole: float | None) -> bool | None:
        """Whether the condition is true of this value; None where that cannot be said."""
        rule, value = self.rule, point.value
        assert value is not None
        if rule.kind == "is":
            word = rule.op.rpartition(" ")[2]
            if word == "finite":
                holds = math.isfinite(value)
            else:
                holds = math.isnan(value) if word == "nan" else math.isinf(value)
            return holds is not rule.op.startswith("not ")
        limit = self._limit
        if rule.kind == "median":
            if len(self._usual) < _LEAST_USUAL:
                return None
            limit *= median(each.value or 0.0 for each in self._usual)
        elif rule.unit == "%":
            system = names.system_value(rule.name)
            if system is None:
                # Some log 0.913, some 91.3; and 0.97 may be the first of either.
                if self._most is None and rule.op in (">", ">=") and abs(value) <= 1:
                    return None
                limit = rule.number if max(abs(value), self._most or 0.0) > 1 else limit
            elif system.measure == "%":
                limit = rule.number
            elif not whole:
                return None
            else:
                value /= whole
        return _compare(value, rule.op, limit)

    def _held(self, point: Point) -> bool:
        rule, since = self.rule, self._since
        if since is None or not rule.hold_unit:
            return True
        if rule.hold_s is not None:
            return point.clock_s - since.clock_s >= rule.hold_s
        if rule.hold_unit == "steps":
            return (
                None not in (point.step, since.step) and _diff(point.step, since.step) >= rule.hold
            )
        # Epochs 5, 6 and 7 are three.
        return None not in (point.epoch, since.epoch) and (
            _diff(point.epoch, since.epoch) + 1 >= rule.hold
        )

    def _clear(self, point: Point) -> None:
        """Arms it again once it has been false for long enough."""
        if self._of_system:
            self._armed = True
            return
        since = self._clear_since = self._clear_since or point
        if point.epoch is not None and since.epoch is not None:
            self._armed = point.epoch > since.epoch
        else:
            self._armed = point.clock_s - since.clock_s >= _CLEAR_S

    # ── no new best ──────────────────────────────────────────────────────────────────────

    def _no_new(self, point: Point) -> bool:
        value = point.value
        if value is not None and self._is_better(value):
            self._bests = [*self._bests[-_NUM_BESTS:], point]
            self._armed = True
            return False
        if not self._bests or not self._armed:
            return False
        best, rule = self._bests[-1], self.rule
        # A row without the value may stand before the one of its epoch that has it.
        early = value is None
        if rule.hold_s is not None:
            waited = not early and point.clock_s - best.clock_s >= rule.hold_s
        else:
            now, then = (
                (point.epoch, best.epoch) if rule.hold_unit == "epochs" else (point.step, best.step)
            )
            waited = None not in (now, then) and _diff(now, then) - early >= rule.hold
        if waited:
            self._armed = False
        return waited

    def _is_better(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        if not self._bests:
            return True
        best = self._bests[-1].value
        assert best is not None
        turn = self.rule.op
        if turn == "best":
            return value < best if names.better(self.rule.name) == "lower" else value > best
        return value < best if turn == "lowest" else value > best

    # ── a resumed run ────────────────────────────────────────────────────────────────────

    def _begin(self, point: Point) -> None:
        """A newer attempt begins."""
        self._attempt, self.num_fired = point.attempt, 0
        self._since = None
        for kind, reach in self._reach.items():
            self._before[kind] = max(reach, self._before.get(kind, reach))
        self._reach = {}
        if point.kind == EPOCH and point.epoch is None:
            # Printed, and nobody counts the epochs: how far it went back is not known.
            self._bests, self._usual, self._clear_since = [], [], None

    def _rewind(self, kind: str, first: int) -> None:
        """An attempt's rows of a kind begin: what an earlier one had from there on is repeated."""

        def stays(each: Point) -> bool:
            axis = each.axis
            return each.kind != kind or axis is None or axis < first

        self._bests = [each for each in self._bests if stays(each)]
        self._usual = [each for each in self._usual if stays(each)]
        kept = [each for each in self._fired if stays(each)]
        if len(kept) < len(self._fired):
            self._told_up_to[kind] = self._before.get(kind, first)
            self._fired, self._armed, self._clear_since = kept, True, None

    # ── kept between two lives of the agent ──────────────────────────────────────────────

    def dump(self) -> dict[str, Any]:
        """What is known, ready for JSON."""
        return {
            "fired": self.num_fired,
            "armed": self._armed,
            "since": None if self._since is None else self._since.dump(),
            "clear_since": None if self._clear_since is None else self._clear_since.dump(),
            "usual": [each.dump() for each in self._usual],
            "bests": [each.dump() for each in self._bests[-1:]],
            "fired_at": [each.dump() for each in self._fired[-10:]],
            "attempt": self._attempt,
            "reach": dict(self._reach),
            "before": dict(self._before),
            "most": self._most,
            "told": dict(self._told_up_to),
        }

    @classmethod
    def load(cls, rule: Rule, data: Mapping[str, Any]) -> Condition:
        """What ``dump`` told.

        Raises:
            TypeError, ValueError, KeyError: It is not what ``dump`` makes.
        """
        return cls(
            rule,
            num_fired=int(data["fired"]),
            _armed=data["armed"] is True,
            _since=_point(data["since"]),
            _clear_since=_point(data["clear_since"]),
            _usual=_points(data["usual"]),
            _bests=_points(data["bests"]),
            _fired=_points(data["fired_at"]),
            _attempt=int(data["attempt"]),
            _reach=_by_kind(data["reach"]),
            _before=_by_kind(data["before"]),
            _told_up_to=_by_kind(data["told"]),
            _most=None if data["most"] is None else float(data["most"]),
        )


def _compare(value: float, op: str, limit: float) -> bool:
    # NaN is neither above nor below, nor is it told as unequal: `is nan` asks for it.
    return not math.isnan(value) and _OPERATORS[op](value, limit)


def _diff(now: int | None, then: int | None) -> int:
    assert now is not None
    assert then is not None
    return now - then


def _point(data: Any) -> Point | None:
    if data is None:
        return None
    value, epoch, step, clock_s, attempt, kind = data
    return Point(
        None if value is None else float(value),
        None if epoch is None else int(epoch),
        None if step is None else int(step),
        float(clock_s),
        int(attempt),
        str(kind),
    )


def _by_kind(data: Any) -> dict[str, int]:
    return {str(key): int(value) for key, value in dict(data).items()}


def _points(data: Any) -> list[Point]:
    return [point for point in map(_point, data) if point is not None and point.value is not None]
