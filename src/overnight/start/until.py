"""``--until``: when a run has to be over, as people say it, as one moment.

A time of day is the local zone's, that of the machine the run is started on (``TZ``); its next
occurrence is meant. Days on which clocks are set have times that do not occur, which become the
moment as much later as the clock was set, and times that occur twice, of which the next is meant.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

from overnight.errors import UserError

#: What a search, folds and a prediction may take; a year that was mistyped does not.
_LONGEST = timedelta(days=60)
_UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
_UNIT = r"(?:d(?:ays?)?|h(?:ours?|rs?)?|m(?:in(?:ute)?s?)?|s(?:ec(?:ond)?s?)?)"
_PART = re.compile(rf"(\d{{1,6}}(?:\.\d{{1,6}})?) ?({_UNIT})(?![a-z])")
_SPAN = re.compile(rf"(?:in |\+ ?)?((?:\d{{1,6}}(?:\.\d{{1,6}})? ?{_UNIT}(?![a-z]) ?)+)")
_CLOCK = re.compile(r"(\d{1,2})(?::(\d{2})(?::(\d{2}))?)? ?(am|pm)?")
_DAYS = {"today": 0, "tomorrow": 1}


def parse(text: str, now: datetime | None = None) -> datetime:
    """The moment, in UTC.

    Understood: ``07:00``, ``7am``, ``7:30pm``, ``noon``, ``midnight``, each with ``today`` or
    ``tomorrow`` before it; ``2026-11-22 07:00``, with ``T`` and with a zone (``+09:00``, ``Z``)
    too; ``8h``, ``+90m``, ``1h30m`` from now.

    Args:
        text: As a person wrote it.
        now: The present, aware; by default this machine's clock.

    Raises:
        UserError: It is none of these, it is past, or more than 60 days ahead.
    """
    now = (now or datetime.now(UTC)).astimezone(UTC)
    said = " ".join(text.strip().lower().split())
    found = _from_now(said, now) or _by_clock(said, now) or _by_date(text.strip(), now)
    where = f"--until {text}"
    if found is None:
        raise UserError("until.form", where=where, text=text)
    if found <= now:
        local = found.astimezone()
        raise UserError("until.past", where=where, moment=f"{local:%Y-%m-%d %H:%M:%S %Z}")
    if found - now > _LONGEST:
        raise UserError("until.far", where=where, days=(found - now).days, most=_LONGEST.days)
    return found


def _from_now(said: str, now: datetime) -> datetime | None:
    """``8h``, ``+1h 30m``."""
    match = _SPAN.fullmatch(said)
    if match is None:
        return None
    seconds = sum(float(num) * _UNITS[unit[0]] for num, unit in _PART.findall(match[1]))
    try:
        return now + timedelta(seconds=seconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def _by_clock(said: str, now: datetime) -> datetime | None:
    """A time of day, of a day that is named or of the next on which it is still ahead."""
    first, _, rest = said.partition(" ")
    ahead = _DAYS.get(first)
    at = _time(said if ahead is None else rest)
    if at is None:
        return None
    today = now.astimezone().date()
    days = (0, 1, 2) if ahead is None else (ahead,)
    moments = [moment for add in days for moment in _moments(today + timedelta(days=add), at)]
    return next((moment for moment in moments if moment > now), moments[-1])


def _time(said: str) -> time | None:
    if said in ("noon", "midnight"):
        return time(12 if said == "noon" else 0)
    match = _CLOCK.fullmatch(said)
    if match is None or (match[2] is None and match[4] is None):  # a bare 7 is no time
        return None
    hour, half = int(match[1]), match[4]
    if half is not None:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "pm" else 0)
    try:
        return time(hour, int(match[2] or 0), int(match[3] or 0))
    except ValueError:
        return None


def _moments(day: date, at: time) -> list[datetime]:
    """The moments at which a local clock shows ``at`` on ``day``: one, or two in autumn."""
    found = {
        datetime.combine(day, at.replace(fold=fold)).astimezone().astimezone(UTC) for fold in (0, 1)
    }
    if len(found) == 2 and len({each.astimezone().time() for each in found}) == 2:
        # Clocks were set forward over it: fold 0 is the moment as much later.
        return [max(found)]
    return sorted(found)


def _by_date(text: str, now: datetime) -> datetime | None:
    """ISO 8601; without a zone the local one. A date alone is no moment."""
    if len(text) <= len("2026-11-22"):
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
        both = _moments(moment.date(), moment.time().replace(fold=0))
    except (ValueError, OverflowError):
        return None
    return next((each for each in both if each > now), both[-1])
