"""JSON, widths, spans and moments."""

from __future__ import annotations

import io
import json
import math
import shlex
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overnight.cli import output
from overnight.errors import UserError


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERNIGHT_LANG", "en")


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("", 0),
        ("abc", 3),
        ("학습", 4),
        ("\u1112\u1161\u11a8", 2),
        ("e\u0301", 1),
        ("🚀", 2),
        ("a\u200bb", 2),
    ],
)
def test_cells_count_the_columns_of_a_terminal(text: str, columns: int) -> None:
    assert output.cells(text) == columns


@given(st.text(), st.integers(0, 40))
def test_a_cut_text_fits_and_a_short_one_stays(text: str, width: int) -> None:
    cut = output.cut(text, width)
    assert output.cells(cut) <= width
    if output.cells(text) <= width:
        assert cut == text


@given(st.text())
def test_plain_text_can_be_printed_on_one_line(text: str) -> None:
    shown = output.plain(text)
    assert "\n" not in shown
    assert "\x1b" not in shown
    assert len(shown) <= 1000
    shown.encode("utf-8")


@given(st.text(min_size=1).filter(lambda text: "\0" not in text))
def test_a_quoted_word_is_one_word_of_a_shell(word: str) -> None:
    assert shlex.split(output.quoted(word)) == [word]


def test_a_hangul_id_needs_no_quotes() -> None:
    assert output.quoted("학습_20260101_0900") == "학습_20260101_0900"
    assert output.quoted("a b") == "'a b'"


@given(st.lists(st.lists(st.text(max_size=40), min_size=3, max_size=3), max_size=5))
def test_a_table_never_is_wider_than_the_terminal(rows: list[list[str]]) -> None:
    clean = [[output.plain(text) for text in row] for row in rows]
    for line in output.table(["RUN", "STATE", "LAST"], clean, width=60):
        assert output.cells(line) <= 60


def test_columns_of_a_table_stand_below_each_other_whatever_the_script() -> None:
    lines = output.table(["실행", "LAST"], [["학습_1", "x"], ["train", "y"]], width=None)
    before = [line[: line.index(mark)] for line, mark in zip(lines, "Lxy", strict=True)]
    assert [output.cells(text) for text in before] == [8, 8, 8]


@pytest.mark.parametrize(
    ("seconds", "english_", "korean"),
    [
        (0, "0 s", "0초"),
        (45.4, "45 s", "45초"),
        (60, "1 min", "1분"),
        (372, "6 min 12 s", "6분 12초"),
        (6 * 3600 + 12 * 60, "6 h 12 min", "6시간 12분"),
        (7200, "2 h", "2시간"),
        (3599.9, "1 h", "1시간"),
        (86399, "1 d", "1일"),
        (3 * 86400 + 4 * 3600, "3 d 4 h", "3일 4시간"),
    ],
)
def test_spans_in_both_languages(
    seconds: float, english_: str, korean: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert output.span(seconds) == english_
    monkeypatch.setenv("OVERNIGHT_LANG", "ko")
    assert output.span(seconds) == korean


@pytest.mark.parametrize(
    ("low_s", "high_s", "at_most", "english_", "korean"),
    [
        (1, 2, False, "moments", "곧 끝남"),
        (31, 33, False, "about 30–35 s", "약 30–35초"),
        (180, 230, False, "about 3–4 min", "약 3–4분"),
        (239, 242, False, "about 4 min", "약 4분"),
        (100, 7200, True, "at most 2 h", "최대 2시간"),
        (7800, 12000, False, "about 2 h 10 min – 3 h 20 min", "약 2시간 10분 – 3시간 20분"),
        (3 * 86400, 4 * 86400, False, "about 3 d – 4 d", "약 3일 – 4일"),
    ],
)
def test_time_left_is_a_range_no_finer_than_it_can_be_known(
    low_s: float, high_s: float, at_most: bool, english_: str, korean: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert output.time_left(low_s, high_s, at_most=at_most) == english_
    monkeypatch.setenv("OVERNIGHT_LANG", "ko")
    assert output.time_left(low_s, high_s, at_most=at_most) == korean


@given(st.floats(0, 1e10), st.floats(0, 1e10), st.booleans())
def test_any_time_left_can_be_said(low_s: float, high_s: float, at_most: bool) -> None:
    assert output.time_left(low_s, high_s, at_most=at_most)


@given(st.one_of(st.none(), st.integers(-(10**20), 10**20)))
def test_any_moment_can_be_shown(us: int | None) -> None:
    assert output.moment(us)


def test_moments_are_in_the_zone_of_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    noon_us = 1_767_268_800_000_000  # 2026-01-01 12:00 UTC
    shown = {}
    for zone in ("UTC", "Asia/Seoul"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        shown[zone] = output.moment(noon_us, now=noon_us)
    monkeypatch.delenv("TZ")
    time.tzset()
    assert shown == {"UTC": "12:00", "Asia/Seoul": "21:00"}


def test_moments_of_other_days(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    now, day = 1_767_268_800_000_000, 86_400_000_000  # a Thursday
    assert output.moment(now + day, now=now) == "tomorrow 12:00"
    assert output.moment(now - day, now=now) == "yesterday 12:00"
    assert output.moment(now + 3 * day, now=now) == "Sun 12:00"
    assert output.moment(now - 3 * day, now=now) == "2025-12-29 12:00"
    monkeypatch.setenv("OVERNIGHT_LANG", "ko")
    assert output.moment(now + day, now=now) == "내일 12:00"
    assert output.moment(now + 3 * day, now=now) == "일요일 12:00"
    monkeypatch.delenv("TZ")
    time.tzset()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("10m", 600), ("1.5h", 5400), ("30d", 2_592_000), (" 2 w ", 1209600)],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert output.parse_span(text, "--timeout") == seconds


@given(st.text())
def test_any_duration_is_read_or_refused(text: str) -> None:
    try:
        seconds = output.parse_span(text, "--timeout")
    except UserError:
        return
    assert 0 < seconds < math.inf


@pytest.mark.parametrize("text", ["", "0", "-5m", "five", "1y", "1e9", "١m", "nan", "inf"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        output.parse_span(text, "--timeout")


def test_json_names_its_schema_first_and_holds_nothing_json_has_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr("sys.stdout", stream)
    output.print_json("try", loss=math.nan, best=math.inf, name="\udcff학습", steps=[1, 2.5, None])
    stream.seek(0)
    text = stream.read()
    monkeypatch.undo()

    def refuse(word: str) -> float:
        raise AssertionError(word)

    found = json.loads(text, parse_constant=refuse)
    assert next(iter(found)) == "schema"
    assert found == {
        "schema": "overnight.try/1", "loss": "NaN", "best": "Infinity", "name": "?학습",
        "steps": [1, 2.5, None],
    }  # fmt: skip


def test_a_poor_terminal_gets_the_nearest_signs_and_no_traceback() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    output.echo("✓ 학습", stream=stream)
    stream.seek(0)
    assert stream.read() == "+ ??\n"


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("variables", "painted"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colours_only_where_they_are_wanted(
    variables: dict[str, str], painted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert output.paint("x", "red") == "x"  # pytest's stdout is no terminal
    monkeypatch.setattr("sys.stdout", Tty())
    shown = output.paint("x", "red")
    monkeypatch.undo()
    assert shown == ("\x1b[31mx\x1b[0m" if painted else "x")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.41234, "0.4123"), (3, "3"), (1e-7, "1e-07"), (math.nan, "NaN"), (-math.inf, "-∞")],
)
def test_numbers_have_four_digits(value: float, text: str) -> None:
    assert output.number(value) == text


@pytest.mark.parametrize(
    ("num_bytes", "text"), [(0, "0 B"), (999, "999 B"), (2048, "2.0 KiB"), (3 * 2**30, "3.0 GiB")]
)
def test_sizes(num_bytes: int, text: str) -> None:
    assert output.size(num_bytes) == text


@given(st.text(max_size=300), st.integers(1, 80))
def test_wrapped_prose_loses_no_word(text: str, width: int) -> None:
    assert " ".join(output.wrap(text, width)) == text
