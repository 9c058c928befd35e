"""Durations, moments and numbers as people say them, in the language that is being spoken.

Every figure may come from a damaged file: whatever it is, it has a spelling.
"""

from __future__ import annotations

import math
import time
from datetime import datetime, timedelta

from overnight.ledger.format import time_us
from overnight.messages import say

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
#: Three centuries; what lies beyond is garbage.
_MAX_S = 1e10
#: What is left, when it is not worth a number.
_MOMENTS_S = 4
#: What stands where there is nothing to say.
NOTHING = "–"


def span(seconds: float) -> str:
    """A duration in its two largest units: ``45 s``, ``6 h 12 min``, ``3 d 4 h``."""
    whole = round(_bounded(seconds))
    if whole < _MINUTE:
        return say("time.seconds", s=whole)
    if whole < _HOUR:
        minutes, rest = divmod(whole, _MINUTE)
        return say("time.minutes_seconds" if rest else "time.minutes", m=minutes, s=rest)
    if whole < _DAY - _MINUTE / 2:
        hours, rest = divmod(round(whole / _MINUTE), 60)
        return say("time.hours_minutes" if rest else "time.hours", h=hours, m=rest)
    days, rest = divmod(round(whole / _HOUR), 24)
    return say("time.days_hours" if rest else "time.days", d=days, h=rest)


def time_left(low_s: float, high_s: float, *, at_most: bool) -> str:
    """How long is left, no finer than it can be known: ``about 3–4 min``, ``at most 2 h``."""
    low_s, high_s = sorted((_bounded(low_s), _bounded(high_s)))
    if high_s < _MOMENTS_S:
        return say("time.moments")
    # Seconds by fives, minutes by ones, hours by ten minutes.
    step = 5 if high_s < 90 else _MINUTE if high_s < 90 * _MINUTE else 600
    if high_s >= 2 * _DAY:
        step = _HOUR
    high = max(step, math.ceil(high_s / step - 0.2) * step)
    low = max(step, round(low_s / step) * step)
    if at_most:
        return say("time.at_most", span=_rough(high, step))
    if low >= high:
        return say("time.about", span=_rough(high, step))
    if step == 5:
        both = say("time.seconds_range", low=low, high=high)
    elif step == _MINUTE:
        both = say("time.minutes_range", low=low // _MINUTE, high=high // _MINUTE)
    else:
        both = say("time.range", low=span(low), high=span(high))
    return say("time.about", span=both)


def still_left(low_s: float, high_s: float, *, at_most: bool) -> str:
    """The same as a whole phrase: ``about 3–4 min left``."""
    if high_s < _MOMENTS_S:
        return say("alert.left_moments")
    return say("alert.left", span=time_left(low_s, high_s, at_most=at_most))


def _rough(seconds: int, step: int) -> str:
    """A rounded span in the unit it was rounded to."""
    if step == 5:
        return say("time.seconds", s=seconds)
    return say("time.minutes", m=seconds // _MINUTE) if step == _MINUTE else span(seconds)


def _bounded(seconds: float) -> float:
    return 0.0 if math.isnan(seconds) else min(_MAX_S, max(0.0, seconds))


def now_us() -> int:
    """Wall clock, as the ledger has it."""
    return time.time_ns() // 1000


def moment(us: int | None, *, now: int | None = None) -> str:
    """A time on this machine's clock: ``14:20``, ``tomorrow 07:12``, ``Sun 07:12``, or a date.

    Args:
        us: Microseconds since 1970-01-01 UTC; what no calendar shows is ``NOTHING``.
        now: The reader's today, likewise.
    """
    day, fields = _day(us, now_us() if now is None else now)
    return say("time." + day, **fields) if day else NOTHING


def around(us: int | None, *, now: int) -> str:
    """A time that is not known to the minute: ``tomorrow around 07:12``."""
    day, fields = _day(us, now)
    return with_zone(say("alert.around_" + day, **fields)) if day else NOTHING


def with_zone(said: str) -> str:
    """A time that is read elsewhere: ``07:12 (UTC)``.

    A machine that keeps UTC says so: its reader's clock most likely shows another time.
    """
    is_utc = said != NOTHING and time.strftime("%Z") == "UTC"
    return say("alert.in_utc", moment=said) if is_utc else said


def _day(us: int | None, now: int) -> tuple[str, dict[str, object]]:
    """How a time's day is named, and what the name needs; "" for what no calendar shows."""
    if time_us(us) is None or us is None:
        return "", {}
    try:
        # Both as the calendar on the wall has them: an hour more or less at the change of summer
        # time makes no other day.
        then, today = datetime.fromtimestamp(us / 1e6), datetime.fromtimestamp(now / 1e6)
    except (OverflowError, OSError, ValueError):  # the year 10000 in some zone
        return "", {}
    fields: dict[str, object] = {"time": f"{then:%H:%M}"}
    days = (then.date() - today.date()) // timedelta(days=1)
    if days in (-1, 0, 1):
        return ("yesterday", "today", "tomorrow")[days + 1], fields
    if 1 < days < 7:
        return "weekday", {**fields, "weekday": say("time.weekdays").split()[then.weekday()]}
    return "date", {**fields, "year": then.year, "month": then.month, "day": then.day}


def number(value: float) -> str:
    """A metric as one reads it: four significant digits."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("∞" if value > 0 else "-∞")
    if float(value).is_integer() and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.4g}"


def mib(value: float) -> str:
    """Mebibytes in the unit that fits."""
    return f"{value:.0f} MiB" if value < 1000 else f"{value / 1024:.1f} GiB"
