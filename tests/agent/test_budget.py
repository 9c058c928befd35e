"""Quotas: spread over the day, kept for what is urgent, never exceeded."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from overnight.agent.budget import Budget, Used, day_of, is_limited, month_of
from overnight.channels.base import Limits

KAKAO = Limits(per_day=20, num_reserved=5)
LINE = Limits(per_month=200, num_reserved=5)
SECOND, HOUR, DAY = 1_000_000, 3_600_000_000, 86_400_000_000
#: Midnight of 20 November 2026 in Seoul.
MIDNIGHT = 1_795_100_400 * SECOND


def spend(budget: Budget, quota: Limits, now_us: int, number: int, *, urgent: bool) -> Budget:
    """Sends until ``number`` are sent or the budget says wait."""
    for _ in range(number):
        if budget.wait_us(quota, now_us, urgent=urgent):
            break
        budget = budget.counted(now_us, urgent=urgent)
    return budget


def test_a_day_begins_at_midnight_in_seoul() -> None:
    assert time.strftime("%F %T", time.gmtime(MIDNIGHT // SECOND)) == "2026-11-19 15:00:00"
    assert day_of(MIDNIGHT).name == "2026-11-20"
    assert day_of(MIDNIGHT - 1).name == "2026-11-19"
    assert day_of(MIDNIGHT).begin_us == MIDNIGHT
    assert day_of(MIDNIGHT).end_us == MIDNIGHT + DAY


def test_a_month_is_as_long_as_it_is() -> None:
    november = month_of(MIDNIGHT)
    assert november.name == "2026-11"
    assert (november.end_us - november.begin_us) // DAY == 30
    assert month_of(november.end_us).name == "2026-12"
    february = month_of(MIDNIGHT + 85 * DAY)
    assert (february.name, (february.end_us - february.begin_us) // DAY) == ("2027-02", 28)


def test_a_channel_without_a_quota_never_waits() -> None:
    budget = Budget(Used("2026-11-20", 10**6, 10**6), Used("2026-11", 10**6, 10**6))
    assert not is_limited(Limits())
    assert budget.wait_us(Limits(), MIDNIGHT, urgent=False) == 0
    assert budget.left(Limits(), MIDNIGHT) is None


def test_by_noon_the_day_is_not_used_up() -> None:
    budget = Budget()
    for minute in range(12 * 60):
        budget = spend(budget, KAKAO, MIDNIGHT + minute * 60 * SECOND, 20, urgent=False)
    assert 6 <= budget.day.normal <= 10
    for minute in range(12 * 60, 24 * 60):
        budget = spend(budget, KAKAO, MIDNIGHT + minute * 60 * SECOND, 20, urgent=False)
    assert budget.day == Used("2026-11-20", 15, 0)


def test_an_urgent_one_goes_when_everything_else_has_to_wait() -> None:
    late = MIDNIGHT + 23 * HOUR + 59 * 60 * SECOND
    budget = spend(Budget(), KAKAO, late, 100, urgent=False)
    assert budget.day.normal == 15
    assert budget.wait_us(KAKAO, late, urgent=False) == 60 * SECOND
    budget = spend(budget, KAKAO, late, 100, urgent=True)
    assert budget.day == Used("2026-11-20", 15, 5)
    assert budget.wait_us(KAKAO, late, urgent=True) == 60 * SECOND
    assert budget.left(KAKAO, late) == 0


def test_urgent_ones_beyond_the_reserved_take_from_the_others() -> None:
    late = MIDNIGHT + 23 * HOUR + 59 * 60 * SECOND
    budget = spend(Budget(), KAKAO, late, 8, urgent=True)
    budget = spend(budget, KAKAO, late, 100, urgent=False)
    assert budget.day == Used("2026-11-20", 12, 8)


def test_a_new_day_is_a_new_budget() -> None:
    budget = spend(Budget(), KAKAO, MIDNIGHT, 20, urgent=True)
    wait_us = budget.wait_us(KAKAO, MIDNIGHT + HOUR, urgent=True)
    assert wait_us == 23 * HOUR
    assert budget.wait_us(KAKAO, MIDNIGHT + HOUR + wait_us, urgent=True) == 0


def test_a_clock_that_is_set_back_gives_nothing_away() -> None:
    budget = spend(Budget(), KAKAO, MIDNIGHT, 20, urgent=True)
    day_before = MIDNIGHT - 3 * HOUR
    assert budget.left(KAKAO, day_before) == 0
    # And costs no more than the rest of the day that the clock now shows.
    assert budget.counted(day_before, urgent=True).wait_us(KAKAO, day_before, urgent=True) == (
        3 * HOUR
    )


def test_both_periods_count() -> None:
    both = Limits(per_day=20, per_month=10)
    budget = spend(Budget(), both, MIDNIGHT, 100, urgent=True)
    assert budget.month.urgent == 10
    assert budget.wait_us(both, MIDNIGHT, urgent=True) == month_of(MIDNIGHT).end_us - MIDNIGHT


def test_what_surely_did_not_arrive_is_given_back() -> None:
    budget = Budget().counted(MIDNIGHT, urgent=False).counted(MIDNIGHT, -1, urgent=False)
    assert budget.day.normal == budget.month.normal == 0
    assert budget.counted(MIDNIGHT, -1, urgent=False).day.normal == 0


@given(
    st.lists(st.tuples(st.integers(0, 7 * HOUR), st.booleans()), max_size=300),
    st.sampled_from([KAKAO, LINE, Limits(per_day=1), Limits(per_day=3, num_reserved=5)]),
)
def test_no_period_ever_takes_more_than_it_has(
    sends: list[tuple[int, bool]], quota: Limits
) -> None:
    budget, now_us = Budget(), MIDNIGHT
    for gap_us, urgent in sends:
        now_us += gap_us
        wait_us = budget.wait_us(quota, now_us, urgent=urgent)
        assert wait_us >= 0
        if not wait_us:
            budget = budget.counted(now_us, urgent=urgent)
        day, month = budget.day, budget.month
        assert quota.per_day is None or day.normal + day.urgent <= quota.per_day
        assert quota.per_month is None or month.normal + month.urgent <= quota.per_month
        if quota.per_day is not None:
            assert day.normal <= max(0, quota.per_day - quota.num_reserved)


@given(st.lists(st.booleans(), max_size=60), st.integers(0, 40 * 24), st.booleans())
def test_after_the_wait_it_may_go(sent: list[bool], hours: int, urgent: bool) -> None:
    now_us = MIDNIGHT + hours * HOUR
    budget = Budget()
    for each in sent:
        budget = budget.counted(now_us, urgent=each)
    wait_us = budget.wait_us(KAKAO, now_us, urgent=urgent)
    assert wait_us <= DAY
    assert budget.wait_us(KAKAO, now_us + wait_us, urgent=urgent) == 0


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_any_json_is_a_budget_or_none(value: object) -> None:
    assert Budget.from_json(value) is None
    assert Budget.from_json({"day": value, "month": value}) is None
    used = Used.from_json({"period": value, "normal": value, "urgent": 3})
    assert used is None or used.normal >= 0
