"""What the verbs print: JSON for programs; widths, colours and tables for people.

How long, when and how many is said as messages say it (alerts.spoken).

Plain string formatting: rich takes longer to import than ``status`` may take in all.
"""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any, Literal, TextIO

from overnight.alerts.spoken import NOTHING as NOTHING
from overnight.alerts.spoken import mib as mib
from overnight.alerts.spoken import moment as moment
from overnight.alerts.spoken import now_us as now_us
from overnight.alerts.spoken import number as number
from overnight.alerts.spoken import span as span
from overnight.alerts.spoken import still_left as still_left
from overnight.alerts.spoken import time_left as time_left
from overnight.errors import UserError
from overnight.ledger.format import encode
from overnight.messages import say

Colour = Literal["red", "green", "yellow", "blue", "cyan", "dim", "bold"]
_SGR = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "cyan": 36, "dim": 2, "bold": 1}
#: Our own signs, for terminals that cannot write them; anything else becomes a question mark.
_ASCII = str.maketrans(
    {"✓": "+", "✗": "x", "▸": ">", "▪": "-", "→": "->", "━": "#", "─": "-", "–": "-", "·": "|",
     "…": "..."}
)  # fmt: skip
#: What moves the cursor, rings, or turns the reading direction around.
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]+"
)
_BARE_WORD = re.compile(r"[\w@%+:,./][\w@%+=:,./-]*")
_SPAN = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s?([smhdw]?)")
_UNIT_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


# ── JSON and lines ──────────────────────────────────────────────────────────────────────────


def print_json(verb: str, **fields: Any) -> None:
    """Prints the one JSON object that ``--json`` answers with, as docs/schemas/<verb>.json says.

    Its first key is ``schema``. A non-finite number is its name, as in the ledger.
    """
    plain_values = json.loads(encode({"schema": f"overnight.{verb}/1", **fields}))
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    ascii_only = encoding.lower().replace("-", "") != "utf8"
    sys.stdout.write(json.dumps(plain_values, ensure_ascii=ascii_only, indent=1) + "\n")


def echo(text: str = "", *, stream: TextIO | None = None) -> None:
    """Prints a line; for what the terminal's encoding lacks, the nearest it has."""
    stream = sys.stdout if stream is None else stream
    try:
        stream.write(text + "\n")
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        stream.write(text.translate(_ASCII).encode(encoding, "replace").decode(encoding) + "\n")


def warn(text: str) -> None:
    """Prints a line beside the answer, where it does not mix with what is piped on."""
    echo(text, stream=sys.stderr)


def plain(text: object, limit: int = 1000) -> str:
    """Foreign text (a name, a key, a word of the command line) on one line, harmless to print."""
    shown = _CONTROL.sub("?", str(text)).encode("utf-8", "replace").decode("utf-8")
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def is_terminal(stream: TextIO | None = None) -> bool:
    """Whether a person reads this on a terminal that can move its cursor."""
    stream = sys.stdout if stream is None else stream
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def has_colours(stream: TextIO | None = None) -> bool:
    """Whether to paint: on a terminal, and ``NO_COLOR`` is not set."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def paint(text: str, *colours: Colour | None) -> str:
    """``text`` in colours, where there are any."""
    codes = [str(_SGR[colour]) for colour in colours if colour is not None]
    return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if codes and has_colours() else text


def quoted(word: str) -> str:
    """``word`` as one would type it into a shell; Hangul needs no quotes there."""
    return word if _BARE_WORD.fullmatch(word) else shlex.quote(word)


# ── widths ──────────────────────────────────────────────────────────────────────────────────


def cells(text: str) -> int:
    """Columns of a terminal that ``text`` takes: Hangul and emoji two, combining marks none."""
    return len(text) if text.isascii() else sum(_cells_of(char) for char in text)


def _cells_of(char: str) -> int:
    if char.isascii():
        return 1
    if char == "\ufe0f":  # turns the narrow sign before it into an emoji
        return 1
    # Vowels and final consonants of decomposed Hangul stand inside the syllable's two columns.
    if "\u1160" <= char <= "\u11ff" or "\ud7b0" <= char <= "\ud7ff":
        return 0
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut(text: str, width: int) -> str:
    """``text`` in at most ``width`` columns, with an ellipsis where something is left out."""
    if cells(text) <= width:
        return text
    if width < 1:
        return ""
    kept, used = [], 1
    for char in text:
        used += _cells_of(char)
        if used > width:
            break
        kept.append(char)
    return "".join(kept).rstrip() + "…"


def pad(text: str, width: int) -> str:
    """``text`` filled up with blanks to ``width`` columns."""
    return text + " " * max(0, width - cells(text))


def wrap(text: str, width: int) -> list[str]:
    """Prose in lines of at most ``width`` columns; a longer word keeps a line to itself."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and cells(lines[-1]) + 1 + cells(word) <= width:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return lines or [""]


def columns() -> int | None:
    """The terminal's width; None where the output is no terminal and lines may be of any length."""
    if not sys.stdout.isatty():
        return None
    try:
        width = int(os.environ.get("COLUMNS", ""))
    except ValueError:
        width = 0
    if width <= 0:
        try:
            width = os.get_terminal_size(sys.stdout.fileno()).columns
        except OSError:
            width = 0
    return max(20, width or 80)


Cell = str | tuple[str, Colour | None]


def table(
    head: Sequence[str], rows: Sequence[Sequence[Cell]], *, width: int | None, shrink: int = 0
) -> list[str]:
    """Lines of a table with aligned columns; one that holds nothing is left out.

    Args:
        head: The columns' names.
        rows: Cells, each a text or a text and its colour.
        width: The terminal's; None: as wide as it must be.
        shrink: The column that is cut when the last one would have no room left.
    """
    filled_columns = [
        column for column in zip(head, *rows, strict=True) if set(column[1:]) - {NOTHING}
    ]
    if rows and filled_columns:
        head, *rows = zip(*filled_columns, strict=True)
    texts = [[cell if isinstance(cell, str) else cell[0] for cell in row] for row in rows]
    widths = [max(cells(text) for text in column) for column in zip(head, *texts, strict=True)]
    if width is not None:
        gaps = 2 * (len(widths) - 1)
        # The last column holds remarks: twelve columns of one still say something.
        least_last = min(widths[-1], 12)
        spare = width - gaps - sum(widths[:-1]) - least_last
        if spare < 0:
            widths[shrink] = max(8, widths[shrink] + spare)
        widths[-1] = max(0, width - gaps - sum(widths[:-1]))
    lines = [paint(_join(head, widths), "dim")]
    for row, row_texts in zip(rows, texts, strict=True):
        fitted = [cut(text, room) for text, room in zip(row_texts, widths, strict=True)]
        painted = []
        for cell, text, room in zip(row, fitted, widths, strict=True):
            filled = pad(text, room)
            painted.append(filled if isinstance(cell, str) else paint(filled, cell[1]))
        lines.append("  ".join(painted).rstrip())
    return lines


def _join(texts: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(
        pad(cut(text, room), room) for text, room in zip(texts, widths, strict=True)
    ).rstrip()


def bar(fraction: float | None, width: int) -> str:
    """A progress bar of ``width`` columns."""
    share = 0.0 if fraction is None or math.isnan(fraction) else min(1.0, max(0.0, fraction))
    full = int(share * width + 1e-9)
    return "━" * full + "─" * (width - full)


# ── numbers and sizes ───────────────────────────────────────────────────────────────────────


def size(num_bytes: int) -> str:
    """Bytes in the unit that fits."""
    value = float(num_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


# ── spans ───────────────────────────────────────────────────────────────────────────────────


def ago(seconds: float) -> str:
    """``4 s ago``."""
    return say("time.ago", span=span(seconds))


def parse_span(text: str, option: str) -> float:
    """Seconds of ``90``, ``90s``, ``10m``, ``2h``, ``30d``, ``4w``.

    Raises:
        UserError: It is none of these, or not above zero.
    """
    match = _SPAN.fullmatch(text.strip())
    seconds = float(match[1]) * _UNIT_S[match[2]] if match and match[1].isascii() else 0.0
    if seconds <= 0:
        shown = plain(text, 40)
        raise UserError("time.span_form", where=f"{option} {shown}", text=shown)
    return seconds
