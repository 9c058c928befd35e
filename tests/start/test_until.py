"""``--until``: what people write, and which moment is meant."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overnight.errors import UserError
from overnight.start.until import parse

#: Nine in the evening in Berlin.
EVENING = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def chosen(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    chosen("Europe/Berlin")
    yield chosen
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("07:00", 10),
        ("7am", 10),
        ("  7:30 PM ", 22.5),
        ("21:00", 24),
        ("21:00:01", 1 / 3600),
        ("noon", 15),
        ("midnight", 3),
        ("today 22:00", 1),
        ("tomorrow 07:00", 10),
        ("tomorrow 22:00", 25),
        ("2026-11-22T07:00", 10),
        ("2026-11-22 07:00:30", 10 + 30 / 3600),
        ("2026-11-22T07:00+09:00", 2),
        ("2026-11-21T22:00Z", 2),
        ("8h", 8),
        ("+90m", 1.5),
        ("1h30m", 1.5),
        ("1 h 30 min", 1.5),
        ("in 2 days", 48),
        ("0.5h", 0.5),
    ],
)
def test_it_is_read_as_people_write_it(text: str, hours: float) -> None:
    assert parse(text, EVENING) == EVENING + timedelta(hours=hours)


@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "until.form"),
        ("7", "until.form"),
        ("420", "until.form"),
        ("25:00", "until.form"),
        ("13pm", "until.form"),
        ("07:60", "until.form"),
        ("in the morning", "until.form"),
        ("-3h", "until.form"),
        ("8 months", "until.form"),
        ("tomorrow", "until.form"),
        ("2026-11-22", "until.form"),
        ("2026-02-30T07:00", "until.form"),
        ("today 07:00", "until.past"),
        ("2025-11-22T07:00", "until.past"),
        ("0001-01-01T00:00+09:00", "until.form"),
        ("0s", "until.past"),
        ("61d", "until.far"),
        ("999999d", "until.far"),
        ("2027-11-22T07:00", "until.far"),
    ],
)
def test_what_it_cannot_be_is_said(text: str, key: str) -> None:
    with pytest.raises(UserError) as raised:
        parse(text, EVENING)
    assert raised.value.key == key
    assert raised.value.where == f"--until {text}"
    assert raised.value.fix


@pytest.mark.usefixtures("zone")
def test_days_on_which_clocks_are_set() -> None:
    before_spring = datetime(2026, 3, 28, 22, 0, tzinfo=UTC)
    assert parse("07:00", before_spring) - before_spring == timedelta(hours=7)
    # 02:30 does not occur: as long after 02:00 as it says.
    assert parse("02:30", before_spring) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    # In autumn it occurs twice: the next one.
    first, second = (
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
        datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
    )
    assert parse("02:30", first - timedelta(hours=2)) == first
    assert parse("02:30", first + timedelta(minutes=10)) == second
    assert parse("2026-10-25T02:30", first + timedelta(minutes=10)) == second
    assert parse("02:30", second) == second + timedelta(hours=24)


def test_the_zone_is_the_machines(zone: Callable[[str], None]) -> None:
    zone("Asia/Seoul")  # five in the morning there
    assert parse("07:00", EVENING) == EVENING + timedelta(hours=2)
    assert parse("04:00", EVENING) == EVENING + timedelta(hours=23)


@given(st.text(max_size=30))
def test_no_text_breaks_it(text: str) -> None:
    try:
        found = parse(text, EVENING)
    except UserError:
        return
    assert EVENING < found <= EVENING + timedelta(days=60)
    assert found.tzinfo is UTC
