"""How much of a service's quota is used, and when the next message may go.

Both known quotas are counted by the calendar of UTC+9: KakaoTalk's 20 messages a day by Korea's
day, LINE's 200 a month by Japan's month; neither country moves its clocks. Other services' quotas
(a plug-in's) are counted the same way: a day is a day.

Messages that are not urgent are spread. A quarter of theirs may go at once; each further one is set
free at its own moment of the day (or month), so that an eager rule in the morning leaves something
for the evening. The slots kept for urgent messages are used by nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

_SECOND_US = 1_000_000
_DAY_US = 86_400 * _SECOND_US
_UTC_PLUS_9_S = 9 * 3600
#: This part of what is not reserved is there from the first moment of a day or month.
_AT_ONCE = 4
#: Beyond any real quota, but still a number that a file can hold.
_MOST = 10**9


class Quota(Protocol):
    """The limits a budget looks at: those of ``channels.base.Limits``, which brings more along."""

    @property
    def per_day(self) -> int | None:
        """Messages in a day."""

    @property
    def per_month(self) -> int | None:
        """Messages in a month."""

    @property
    def num_reserved(self) -> int:
        """Of these, how many are for urgent ones."""


@dataclass(frozen=True, slots=True)
class Period:
    """A day or a month."""

    name: str
    begin_us: int
    end_us: int


def day_of(now_us: int) -> Period:
    """The day in UTC+9 that ``now_us`` lies in."""
    local_us = now_us + _UTC_PLUS_9_S * _SECOND_US
    begin_us = now_us - local_us % _DAY_US
    name = time.strftime("%Y-%m-%d", time.gmtime(local_us // _SECOND_US))
    return Period(name, begin_us, begin_us + _DAY_US)


def month_of(now_us: int) -> Period:
    """The month in UTC+9 that ``now_us`` lies in."""
    begin_us = _first_day_us(day_of(now_us))
    # The 32nd day after a first is in the next month, whichever it is.
    end_us = _first_day_us(day_of(begin_us + 32 * _DAY_US))
    return Period(day_of(now_us).name[:7], begin_us, end_us)


def _first_day_us(day: Period) -> int:
    return day.begin_us - (int(day.name[-2:]) - 1) * _DAY_US


@dataclass(frozen=True, slots=True)
class Used:
    """What was sent in a period."""

    period: str = ""
    normal: int = 0
    urgent: int = 0

    def within(self, period: Period) -> Used:
        """The same for the period that is now; nothing yet if that is a new one.

        Where the clock was set back, the service has seen more than the calendar says: what is
        counted stays counted, for the earlier period.
        """
        if self.period > period.name:
            return replace(self, period=period.name)
        return self if self.period == period.name else Used(period.name)

    def more(self, number: int, *, urgent: bool) -> Used:
        """With ``number`` more, or fewer; never below nothing."""
        if urgent:
            return replace(self, urgent=max(0, self.urgent + number))
        return replace(self, normal=max(0, self.normal + number))

    @classmethod
    def from_json(cls, value: object) -> Used | None:
        """What ``asdict`` made; None for anything else."""
        if not isinstance(value, Mapping):
            return None
        period, normal, urgent = (value.get(key) for key in ("period", "normal", "urgent"))
        if not isinstance(period, str) or type(normal) is not int or type(urgent) is not int:
            return None
        return cls(period, min(max(0, normal), _MOST), min(max(0, urgent), _MOST))


@dataclass(frozen=True, slots=True)
class Budget:
    """What of a channel's quotas is used. A channel without any is counted too: it may get one."""

    day: Used = field(default_factory=Used)
    month: Used = field(default_factory=Used)

    def counted(self, now_us: int, number: int = 1, *, urgent: bool) -> Budget:
        """With one message more; with ``number=-1`` one that surely never arrived is given back."""
        return Budget(
            self.day.within(day_of(now_us)).more(number, urgent=urgent),
            self.month.within(month_of(now_us)).more(number, urgent=urgent),
        )

    def wait_us(self, quota: Quota, now_us: int, *, urgent: bool) -> int:
        """Microseconds until the next message may go; 0 if it may go now."""
        waits = [0]
        if quota.per_day is not None:
            waits.append(_wait_us(quota.per_day, quota, self.day, day_of(now_us), now_us, urgent))
        if quota.per_month is not None:
            month = month_of(now_us)
            waits.append(_wait_us(quota.per_month, quota, self.month, month, now_us, urgent))
        return max(waits)

    def left(self, quota: Quota, now_us: int) -> int | None:
        """How many may still go in the tighter of its periods; None where nothing is limited."""
        found = []
        if quota.per_day is not None:
            day = self.day.within(day_of(now_us))
            found.append(quota.per_day - day.normal - day.urgent)
        if quota.per_month is not None:
            month = self.month.within(month_of(now_us))
            found.append(quota.per_month - month.normal - month.urgent)
        return max(0, min(found)) if found else None

    @classmethod
    def from_json(cls, value: object) -> Budget | None:
        """What ``asdict`` made; None for anything else."""
        if not isinstance(value, Mapping):
            return None
        day, month = Used.from_json(value.get("day")), Used.from_json(value.get("month"))
        return None if day is None or month is None else cls(day, month)


def is_limited(quota: Quota) -> bool:
    """Whether the service counts messages at all."""
    return quota.per_day is not None or quota.per_month is not None


def _wait_us(
    total: int, quota: Quota, used: Used, period: Period, now_us: int, urgent: bool
) -> int:
    """Until one period lets the next message through."""
    used = used.within(period)
    until_next_us = period.end_us - now_us
    if used.normal + used.urgent >= total:
        return until_next_us
    if urgent:
        return 0
    # Urgent ones beyond those reserved have taken from what the others may have.
    if used.normal >= total - max(quota.num_reserved, used.urgent):
        return until_next_us
    spread = max(1, total - quota.num_reserved)
    at_once = min(spread, max(1, -(-spread // _AT_ONCE)))
    late = used.normal + 1 - at_once
    if late <= 0:
        return 0
    length_us = period.end_us - period.begin_us
    free_at_us = period.begin_us + length_us * late // max(1, spread - at_once)
    # The last of them is set free at the very end: half a step earlier it still helps somebody.
    free_at_us -= length_us // max(1, 2 * (spread - at_once))
    return max(0, free_at_us - now_us)
