"""Foreign text made fit for a message: no control characters, no secrets, cut between characters.

A character here is what a person takes for one: a Hangul syllable though it be three code points,
a letter with its accents, a family of emoji, a flag. Lengths are counted in code points; what a
service counts in its own way is cut for it once more, between the same characters (channels/fit).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from overnight.redact import redact

#: Sequences that colour a terminal, set its title or move its cursor.
ESCAPE = re.compile(
    "\x1b\\[[0-?]*[ -/]*[@-~]"  # CSI
    "|\x1b[\\]PX^_][^\x07\x1b\n]{0,4096}(?:\x07|\x1b\\\\)"  # OSC, DCS and their like
    "|\x1b[ -/]*[0-~]"
)
#: What moves a cursor, rings, hides, or turns the reading direction around; half of a pair.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff"
    "\ufff9-\ufffb\ud800-\udfff]"
)
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
#: What is longer is cut before it is searched: nothing behind it could be shown.
_READ_CHARS = 16_000
ELLIPSIS = "…"
_ZWJ = "\u200d"


def clean(text: str) -> str:
    """``text`` of any lines, harmless to show, without secrets; of a very long one the end."""
    text = _LINE_ENDS.sub("\n", ESCAPE.sub("", text[-_READ_CHARS:]))
    return redact(_CONTROL.sub("", text.replace("\t", "    ")))


def line(text: str, limit: int = 300) -> str:
    """``text`` on one line of at most ``limit`` code points; of a very long one the beginning."""
    return cut(" ".join(clean(text[:_READ_CHARS]).split()), limit)


def last_lines(text: str, num_lines: int, limit: int) -> str:
    """The last ``num_lines`` lines that say something, in at most ``limit`` code points.

    Lines fall away from the top: a traceback's last line is the one that tells.
    """
    kept: list[str] = []
    room = limit
    for each in reversed(clean(text).split("\n")):
        shown = each.rstrip()
        if not shown.strip():
            continue
        if len(kept) == num_lines or len(shown) > room:
            if not kept:
                kept = [cut(shown.strip(), limit)]
            break
        kept.append(shown)
        room -= len(shown) + 1
    return "\n".join(reversed(kept))


def cut(text: str, limit: int) -> str:
    """``text`` in at most ``limit`` code points, the ellipsis of a cut one included."""
    if len(text) <= limit:
        return text
    if limit < 1:
        return ""
    end = 0
    for piece in characters(text[: limit + 1]):
        # The last piece seen may go on behind the window: it fits only if something follows it.
        if end + len(piece) > limit - 1:
            break
        end += len(piece)
    return text[:end].rstrip() + ELLIPSIS


def characters(text: str) -> Iterator[str]:
    """``text`` in pieces that a person takes for one character each (UAX 29, without Indic)."""
    begin, flags = 0, 0
    for at in range(1, len(text) + 1):
        before = text[at - 1]
        flags = flags + 1 if _is_flag_half(before) else 0
        if at < len(text) and _goes_on(before, text[at], flags):
            continue
        yield text[begin:at]
        begin = at


def _goes_on(before: str, char: str, flags: int) -> bool:
    """Whether ``char`` belongs to what ``before`` ends; ``flags``: halves of flags up to there."""
    if before.isascii() and char.isascii():
        return False
    if _extends(char) or before == _ZWJ:
        return True
    if _is_flag_half(char):
        return flags % 2 == 1
    first, second = _hangul(before), _hangul(char)
    # Consonant, vowel, final consonant; a syllable is the first two or all three.
    return (first == "L" and second in ("L", "V", "S", "F")) or (
        (first in ("V", "S") and second in ("V", "T")) or (first in ("T", "F") and second == "T")
    )


def _extends(char: str) -> bool:
    return (
        unicodedata.category(char) in ("Mn", "Me", "Mc")  # variation selectors are among them
        or char in "\u200c\u200d"
        or "\U0001f3fb" <= char <= "\U0001f3ff"  # skin
        or "\U000e0020" <= char <= "\U000e007f"  # the letters of England's flag
    )


def _is_flag_half(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _hangul(char: str) -> str:
    """L, V, T: a letter's place in a syllable; S: a syllable of two letters; F: a full one."""
    if "\uac00" <= char <= "\ud7a3":
        return "S" if (ord(char) - 0xAC00) % 28 == 0 else "F"
    if "\u1100" <= char <= "\u115f" or "\ua960" <= char <= "\ua97c":
        return "L"
    if "\u1160" <= char <= "\u11a7" or "\ud7b0" <= char <= "\ud7c6":
        return "V"
    return "T" if "\u11a8" <= char <= "\u11ff" or "\ud7cb" <= char <= "\ud7fb" else ""
