"""Cutting and cleaning: never inside a character, nothing that moves a cursor."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overnight.alerts.trim import characters, clean, cut, last_lines, line

FAMILY = "👩\u200d👩\u200d👧\u200d👦"
HAN = unicodedata.normalize("NFD", "한")
FLAG = "🇰🇷"


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("한글 ab", ["한", "글", " ", "a", "b"]),
        (HAN + HAN, [HAN, HAN]),
        ("하" + "\u11ab" + "글", ["하\u11ab", "글"]),
        ("e\u0301x", ["e\u0301", "x"]),
        (FAMILY + "!", [FAMILY, "!"]),
        ("👍🏽👍", ["👍🏽", "👍"]),
        (FLAG * 2 + "🇯", [FLAG, FLAG, "🇯"]),
        ("1\ufe0f\u20e3", ["1\ufe0f\u20e3"]),
    ],
)
def test_characters_are_what_a_person_takes_for_one(text: str, pieces: list[str]) -> None:
    assert list(characters(text)) == pieces


@given(st.text(alphabet="ab한하\u1112\u1161\u11ab\u0301\u200d👩👧🏽🇰🇷\ufe0f"), st.integers(-1, 30))
def test_a_cut_falls_between_characters(text: str, limit: int) -> None:
    assert "".join(characters(text)) == text
    short = cut(text, limit)
    assert len(short) <= max(limit, 0)
    if len(text) <= limit:
        assert short == text
    elif limit > 0:
        assert short.endswith("…")
        kept, ends, end = short[:-1], {0}, 0
        for piece in characters(text):
            end += len(piece)
            ends.add(end)
        # What is left is a whole number of characters, blanks at its end apart.
        assert any(text[:at].rstrip() == kept for at in ends)


def test_a_syllable_is_not_cut_in_half() -> None:
    assert cut("가나다라", 3) == "가나…"
    assert cut(HAN * 3, 8) == HAN * 2 + "…"
    assert cut("ab" + FAMILY + "cd", 8) == "ab…"
    assert cut("a" + FLAG * 3, 6) == "a" + FLAG * 2 + "…"
    assert cut("x" + "\u0301" * 100_000, 50) == "…"


@pytest.mark.parametrize(
    ("dirty", "tidy"),
    [
        ("\x1b[1;31mError\x1b[0m: x", "Error: x"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("a\r\nb\rc\u2028d\x85e", "a\nb\nc\nd\ne"),
        ("tab\there", "tab    here"),
        ("\u202egpj.exe\u2066\u2069", "gpj.exe"),
        ("nul\x00 bell\x07 del\x7f", "nul bell del"),
        ("half\ud83d", "half"),
        ("\ufeff보기\u200b", "보기"),
    ],
)
def test_what_moves_a_cursor_or_hides_is_taken_out(dirty: str, tidy: str) -> None:
    assert clean(dirty) == tidy


@given(st.text(alphabet=st.characters(), max_size=200), st.integers(0, 80))
def test_any_text_becomes_one_harmless_line(text: str, limit: int) -> None:
    shown = line(text, limit)
    assert len(shown) <= limit
    assert all(unicodedata.category(char) not in ("Cc", "Cs") for char in shown)


@given(st.text(alphabet="ab 한\n", max_size=200), st.integers(0, 5), st.integers(0, 60))
def test_the_last_lines_keep_to_their_room(text: str, num_lines: int, limit: int) -> None:
    shown = last_lines(text, num_lines, limit)
    assert len(shown) <= limit
    assert shown.count("\n") < max(num_lines, 1)


def test_the_last_lines_are_those_that_say_something() -> None:
    assert last_lines("one\n\n  two\nthree\n\n", 2, 100) == "  two\nthree"
    assert last_lines("a" * 50 + "\nlast", 5, 20) == "last"
    assert last_lines("a" * 50, 5, 20) == "a" * 19 + "…"
