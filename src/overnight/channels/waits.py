"""How long to wait: what a server's ``Retry-After`` says, and when a spent quota is filled again.

Quotas are counted by the calendar of UTC+9: KakaoTalk's by Korea's days and months, LINE's by
Japan's months; neither country moves its clocks.
"""

from __future__ import annotations

import calendar
import time
from email.utils import parsedate_to_datetime

_UTC_PLUS_9_S = 9 * 3600
_DAY_S = 86_400
_MAX_DIGITS = 9


def retry_after_s(value: str) -> float | None:
    """Seconds of a ``Retry-After``, a number or a date; None where it is neither."""
    value = value.strip()
    if value.isascii() and value.replace(".", "", 1).isdecimal():
        return float(value) if len(value) <= _MAX_DIGITS else None
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def until_next_day_s(now_s: float) -> float:
    """Seconds until a new day begins in Korea (and Japan)."""
    return ((now_s + _UTC_PLUS_9_S) // _DAY_S + 1) * _DAY_S - _UTC_PLUS_9_S - now_s


def until_next_month_s(now_s: float) -> float:
    """Seconds until a new month begins in Korea (and Japan)."""
    there = time.gmtime(now_s + _UTC_PLUS_9_S)
    # Of the months since the year 0 the next; timegm wants them from 1 on.
    year, month = divmod(there.tm_year * 12 + there.tm_mon, 12)
    return calendar.timegm((year, month + 1, 1, 0, 0, 0)) - _UTC_PLUS_9_S - now_s
