"""Curves and figures: what is drawn of odd numbers, and what is kept of many."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overnight.messages import speaking
from overnight.reporting import charts, figures
from overnight.reporting.charts import Line, thinned
from overnight.reporting.figures import Bin, Thread

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(NUMBERS, max_size=700))
@settings(max_examples=60, deadline=None)
def test_thinned_keeps_the_lowest_the_highest_and_the_gaps(values: list[float]) -> None:
    points = [(float(at), value) for at, value in enumerate(values)]
    kept = thinned(points, 100)
    assert len(kept) <= 150  # two of each group, and a gap
    assert [x for x, _ in kept] == sorted(x for x, _ in kept)
    assert set(map(repr, kept)) <= set(map(repr, points))
    finite = [y for _, y in points if abs(y) < 1e15]
    left = [y for _, y in kept if abs(y) < 1e15]
    if finite:
        assert (min(left), max(left)) == (min(finite), max(finite))
    assert any(not abs(y) < 1e15 for y in values) == any(not abs(y) < 1e15 for _, y in kept)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=40), st.booleans(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_whatever_was_logged_is_a_picture_or_none(
    found: list[tuple[float, float]], share: bool, from_zero: bool
) -> None:
    drawn = charts.lines(
        [Line("a", sorted(found), 0), Line("b", found[:1], 1, "dots")],
        label="x", share=share, from_zero=from_zero,
    )  # fmt: skip
    # No place on it is NaN or beyond the paper by more than rounding.
    assert not re.search(r"nan|inf\b", str(re.findall(r'(?: d| cx| cy| x| y)="[^"]*"', drawn)))


def test_a_chart_of_nothing_is_nothing() -> None:
    assert charts.lines([], label="x") == ""
    assert charts.lines([Line("a", [(1.0, math.nan)])], label="x") == ""
    assert figures.matrix([], {}, "x") == ""
    assert figures.bars([], "x") == ""
    assert figures.reliability([Bin(0, 1, 0.5, 0.5, 0)], "x") == ""
    assert figures.parallel(["lr"], [], "x") == ""


def test_a_constant_is_a_level_line() -> None:
    drawn = charts.lines([Line("", [(0.0, 5.0), (1.0, 5.0)])], label="x")
    (line,) = re.findall(r'd="(M[^"]*)" class="line', drawn)
    heights = {point.split()[1] for point in line[1:].split("L")}
    assert len(heights) == 1


def test_values_over_decades_have_a_logarithmic_axis_but_a_share_never() -> None:
    points = [(1.0, 0.01), (2.0, 0.99)]
    assert ">0.1<" in charts.lines([Line("", points)], label="x")
    assert ">0.1<" not in charts.lines([Line("", points)], label="x", share=True)


@pytest.mark.parametrize("num", [1, 3, 17, 120])
def test_a_matrix_of_any_size_names_what_it_can(num: int) -> None:
    names = [f"이름 {at}" for at in range(num)]
    with speaking("ko"):
        drawn = figures.matrix(names, {(name, names[0]): 3.0 for name in names}, "혼동")
    assert ("이름 0</text>" in drawn) == (num <= 60)
    assert drawn.count("<rect") - 1 == (num * num if num <= 16 else num)
    assert len(drawn) < 200_000


def test_trials_of_words_and_numbers_cross_their_axes() -> None:
    threads = [
        Thread("0", {"lr": 1e-4, "opt": "adamw", "flag": True, "r": 0.5}, 0.0),
        Thread("1", {"lr": 1e-1, "opt": "sgd", "flag": False, "r": 0.9}, 1.0, best=True),
        Thread("2", {"lr": None, "opt": "sgd"}, 0.5),
    ]
    drawn = figures.parallel(["lr", "opt", "flag", "r"], threads, "x")
    assert drawn.count('class="thread"') == 1  # of the third there is one place only
    assert drawn.count('class="thread winner"') == 1
    assert ">adamw<" in drawn
