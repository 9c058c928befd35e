"""A text made to fit a service: cut at a character a person would see as one, harmless to show."""

from __future__ import annotations

import re

from overnight.alerts.trim import ELLIPSIS, characters

#: All that moves a cursor, ends a line in an odd way or turns the reading direction around; tabs
#: and line ends stay.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """``text`` without control characters and lone surrogates, each line ended in one way."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub("", text).encode("utf-8", "replace").decode("utf-8")


def line(text: str) -> str:
    """``text`` on one line."""
    return " ".join(plain(text).split())


def length(text: str) -> int:
    """Characters as the services count them: in UTF-16, where an emoji is two."""
    return len(text.encode("utf-16-le")) // 2


def cut(text: str, num_chars: int | None) -> str:
    """``text`` in at most ``num_chars``, with an ellipsis where something is left out."""
    if num_chars is None or length(text) <= num_chars:
        return text
    if num_chars < 1:
        return ""
    end, room = 0, num_chars - len(ELLIPSIS)
    for piece in characters(text[: num_chars + 1]):
        room -= length(piece)
        if room < 0:
            break
        end += len(piece)
    return text[:end].rstrip() + ELLIPSIS


def folded(title: str, text: str, num_chars: int | None) -> str:
    """Title and text as one, for a service that has no titles."""
    title = line(title)
    whole = f"{title}\n{plain(text)}" if title else plain(text)
    return cut(whole, num_chars)
