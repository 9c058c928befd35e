"""Durations and moments as people say them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overnight.alerts import spoken
from overnight.messages import speaking

SEOUL = ZoneInfo("Asia/Seoul")


def us(*parts: int, zone: ZoneInfo = SEOUL) -> int:
    return int(datetime(*parts, tzinfo=zone).timestamp() * 1e6)  # type: ignore[arg-type,misc]


@pytest.fixture
def in_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.setenv("TZ", "Asia/Seoul")
    time.tzset()
    yield monkeypatch
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("seconds", "english", "korean"),
    [
        (0, "0 s", "0초"),
        (59.4, "59 s", "59초"),
        (60, "1 min", "1분"),
        (125, "2 min 5 s", "2분 5초"),
        (6 * 3600 + 12 * 60, "6 h 12 min", "6시간 12분"),
        (86399, "1 d", "1일"),
        (3 * 86400 + 4 * 3600, "3 d 4 h", "3일 4시간"),
        (-5, "0 s", "0초"),
        (float("nan"), "0 s", "0초"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: float, english: str, korean: str) -> None:
    with speaking("en"):
        assert spoken.span(seconds) == english
    with speaking("ko"):
        assert spoken.span(seconds) == korean


@pytest.mark.parametrize(
    ("low", "high", "at_most", "english", "korean"),
    [
        (1, 3, False, "moments", "곧 끝남"),
        (31, 33, False, "about 30–35 s", "약 30–35초"),
        (180, 230, False, "about 3–4 min", "약 3–4분"),
        (11400, 13200, False, "about 3 h 10 min – 3 h 40 min", "약 3시간 10분 – 3시간 40분"),
        (0, 7200, True, "at most 2 h", "최대 2시간"),
        (230, 180, False, "about 3–4 min", "약 3–4분"),
    ],
)
def test_time_left_is_no_finer_than_it_can_be_known(
    low: float, high: float, at_most: bool, english: str, korean: str
) -> None:
    with speaking("en"):
        assert spoken.time_left(low, high, at_most=at_most) == english
    with speaking("ko"):
        assert spoken.time_left(low, high, at_most=at_most) == korean


@given(st.floats(), st.floats(), st.booleans())
def test_any_figure_has_a_spelling(low: float, high: float, at_most: bool) -> None:
    assert spoken.time_left(low, high, at_most=at_most)
    assert spoken.span(low)
    assert spoken.number(high)


@pytest.mark.parametrize(
    ("then", "english", "korean"),
    [
        ((2026, 3, 4, 23, 30), "around 23:30", "23:30쯤"),
        ((2026, 3, 5, 7, 12), "tomorrow around 07:12", "내일 07:12쯤"),
        ((2026, 3, 3, 7, 12), "yesterday around 07:12", "어제 07:12쯤"),
        ((2026, 3, 8, 7, 12), "Sun around 07:12", "일요일 07:12쯤"),
        ((2026, 3, 10, 7, 12), "Tue around 07:12", "화요일 07:12쯤"),
        ((2026, 3, 11, 7, 12), "2026-03-11 around 07:12", "2026년 3월 11일 07:12쯤"),
        ((2026, 3, 1, 7, 12), "2026-03-01 around 07:12", "2026년 3월 1일 07:12쯤"),
    ],
)
def test_a_moment_is_named_by_its_day(
    in_zone: pytest.MonkeyPatch, then: tuple[int, ...], english: str, korean: str
) -> None:
    now = us(2026, 3, 4, 22, 0)
    with speaking("en"):
        assert spoken.around(us(*then), now=now) == english
    with speaking("ko"):
        assert spoken.around(us(*then), now=now) == korean


def test_a_machine_on_utc_says_so(in_zone: pytest.MonkeyPatch) -> None:
    in_zone.setenv("TZ", "UTC")
    time.tzset()
    now = int(datetime(2026, 3, 4, 22, 0, tzinfo=UTC).timestamp() * 1e6)
    with speaking("ko"):
        assert spoken.around(now + 3 * 3600 * 10**6, now=now) == "내일 01:00쯤 (UTC)"


def test_the_night_the_clocks_change_is_one_night(in_zone: pytest.MonkeyPatch) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    in_zone.setenv("TZ", "Europe/Berlin")
    time.tzset()
    with speaking("en"):
        # Forward: 23 hours lie between noon and noon; backward: 25.
        now = us(2026, 3, 28, 12, 0, zone=berlin)
        assert spoken.moment(now + 23 * 3600 * 10**6, now=now) == "tomorrow 12:00"
        now = us(2026, 10, 24, 12, 0, zone=berlin)
        assert spoken.moment(now + 25 * 3600 * 10**6, now=now) == "tomorrow 12:00"
        assert spoken.moment(now + 24 * 3600 * 10**6, now=now) == "tomorrow 11:00"


@given(st.one_of(st.none(), st.integers()))
def test_what_no_calendar_shows_is_a_dash(then: int | None) -> None:
    now = us(2026, 3, 4, 22, 0)
    said = spoken.moment(then, now=now)
    assert said
    if then is None or then < 0 or then > 260_000_000_000_000_000:
        assert said == spoken.NOTHING
