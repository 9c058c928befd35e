"""Texts made to fit: never through the middle of what a person sees as one character."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overnight.channels.fit import cut, folded, length, line, plain


@pytest.mark.parametrize(
    ("text", "num_chars", "expected"),
    [
        ("short", 10, "short"),
        ("exactly", 7, "exactly"),
        ("too long", 4, "too…"),
        ("가나다라마", 4, "가나다…"),
        # An emoji is two, of which half is none.
        ("ab😀cd", 4, "ab…"),
        ("ab😀cd", 5, "ab😀…"),
        # A family is one, however many make it.
        ("a👨\u200d👩\u200d👧bcdef", 5, "a…"),
        ("e\u0301e\u0301e\u0301", 4, "e\u0301…"),
        (unicodedata.normalize("NFD", "각각각"), 5, unicodedata.normalize("NFD", "각") + "…"),
        # So is a flag.
        ("ab🇰🇷cd", 6, "ab…"),
        ("ab🇰🇷cd", 7, "ab🇰🇷…"),
        ("blank here", 7, "blank…"),
        ("x", 0, ""),
        ("anything", None, "anything"),
    ],
)
def test_a_cut_is_between_characters(text: str, num_chars: int | None, expected: str) -> None:
    assert cut(text, num_chars) == expected


@given(st.text(max_size=300), st.integers(0, 50))
def test_a_cut_text_fits_and_is_a_beginning(text: str, num_chars: int) -> None:
    text = plain(text)
    shorter = cut(text, num_chars)
    assert length(shorter) <= num_chars
    assert text.startswith(shorter.removesuffix("…")) or not shorter


def test_100_kb_of_traceback_fit_into_200_characters() -> None:
    text = folded("[실패] run_1", "Traceback\n" + "  가나다 line\n" * 10_000, 200)
    assert length(text) <= 200
    assert text.startswith("[실패] run_1\nTraceback\n")


@given(st.text(max_size=300))
def test_a_plain_text_moves_no_cursor(text: str) -> None:
    shown = plain(text + "\x1b[2J\x07\u202e\r\n\ud800")
    assert not any(unicodedata.category(char) in ("Cs",) for char in shown)
    assert not set(shown) & {"\x1b", "\x07", "\u202e", "\r", "\x9b", "\u2028"}
    assert "\n" not in line(text)
