"""A job's output, as a person may see it: a stream of bytes becomes whole, harmless lines.

Progress bars redraw themselves with carriage returns, backspaces and cursor movements; only their
last frame is kept. Whatever else could act on a terminal (titles, clipboards, cursor jumps,
reversed reading direction) is left out; colours stay where they are wanted.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

#: A longer line is cut: nobody reads it, and it may never end.
LINE_CHARS = 16 * 1024
#: As far up as a bar of many lines may reach.
_DEPTH_AT_MOST = 64
_HELD_CHARS = 4096

_TOKEN = re.compile(
    r"(?P<text>[^\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+)"
    r"|(?P<line>\n)|(?P<cr>\r)|(?P<back>\x08+)"
    r"|\x1b\[(?P<sgr>[0-9;:]{0,64})m"
    r"|\x1b\[(?P<count>[0-9]{0,3})(?P<up>[AF])"
    r"|\x1b\[(?P<down>[0-9]{0,3})[BE]"
    r"|\x1b\[(?P<part>[0-9]{0,3})(?P<erase>K)|\x1b\[[01]?(?P<start>G)"
    r"|\x1b\[[0-?]{0,64}[ -/]{0,8}[@-~]"
    r"|\x1b[\]PX^_][^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]{0,8}[0-Z\\`-~]"
    r"|[\x9b\x9d\x90\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)
#: An escape sequence that the next bytes may complete.
_UNFINISHED = re.compile(
    r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}|[\]PX^_][^\x07\x1b\x9c]{0,4096}\x1b?|[ -/]{0,8})?\Z"
)
_UP = re.compile(rb"\x1b\[([0-9]{0,3})[AF]")


class _Row:
    """A line that may still be written over."""

    __slots__ = ("chars", "parts", "redrawn", "return_pending", "styled")

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.chars = 0
        #: The cursor stands at the beginning: what comes next replaces the line.
        self.return_pending = False
        self.redrawn = False
        self.styled = False

    def write(self, text: str) -> None:
        if self.return_pending:
            self.clear()
        room = LINE_CHARS - self.chars
        if room > 0:
            self.parts.append(text if len(text) < room else text[: room - 1] + "…")
            self.chars += len(text)

    def style(self, code: str) -> None:
        if self.return_pending:
            self.clear()
        # Beyond the longest line nothing is shown, so nothing needs to be coloured.
        if self.chars < LINE_CHARS and len(self.parts) < LINE_CHARS:
            self.parts.append(code)
            self.styled = True

    def clear(self) -> None:
        self.parts.clear()
        self.chars = 0
        self.return_pending = self.styled = False
        self.redrawn = True

    def back(self, count: int) -> None:
        self.redrawn = True
        for number in range(len(self.parts) - 1, -1, -1):
            part = self.parts[number]
            if count > 0 and not part.startswith("\x1b"):
                self.parts[number] = part[: max(0, len(part) - count)]
                self.chars -= min(count, len(part))
                count -= len(part)

    @property
    def text(self) -> str:
        text = "".join(self.parts).rstrip(" ")
        return text + "\x1b[0m" if self.styled and text else text


class Screen:
    """Takes a log in pieces and gives its lines as soon as nothing can change them any more.

    Args:
        colours: Keep colours and bold face.
        depth: Lines that the job's bars are known to go back up. Found out otherwise, at the cost
            of one stale frame.
    """

    def __init__(self, *, colours: bool = False, depth: int = 0) -> None:
        self._colours = colours
        self._depth = min(depth, _DEPTH_AT_MOST)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rows = [_Row()]
        self._at = 0
        self._held = ""

    def feed(self, data: bytes) -> list[str]:
        """The lines that are whole after ``data``."""
        text = self._held + self._decoder.decode(data)
        unfinished = _UNFINISHED.search(text, max(0, len(text) - _HELD_CHARS))
        self._held = ""
        if unfinished is not None:
            text, self._held = text[: unfinished.start()], unfinished[0]
        for token in _TOKEN.finditer(text):
            self._take(token)
        return list(self._settled(self._depth))

    def _take(self, token: re.Match[str]) -> None:
        row = self._rows[self._at]
        kind = token.lastgroup
        if kind == "text":
            row.write(token["text"])
        elif kind == "line":
            row.return_pending = False
            self._down(1)
        elif kind == "cr" or kind == "start":
            row.return_pending = True
        elif kind == "erase":
            # Without a 2 it wipes what is right of the cursor: all, if that stands at the start.
            if token["part"] == "2" or row.return_pending:
                row.clear()
        elif kind == "back":
            row.back(len(token["back"]))
        elif kind == "sgr" and self._colours:
            row.style(token[0])
        elif kind == "up":
            count = min(int(token["count"] or 1), _DEPTH_AT_MOST)
            self._depth = max(self._depth, count)
            self._at = max(0, self._at - count)
            self._rows[self._at].return_pending = True
        elif kind == "down":
            self._down(min(int(token["down"] or 1), _DEPTH_AT_MOST))

    def _down(self, count: int) -> None:
        self._at += count
        while len(self._rows) <= self._at:
            self._rows.append(_Row())
        row = self._rows[self._at]
        row.return_pending = bool(row.parts)

    def _settled(self, depth: int) -> Iterator[str]:
        """Hands out the rows that lie above all that may still be reached."""
        count = max(0, self._at - depth)
        done, self._rows = self._rows[:count], self._rows[count:]
        self._at -= count
        for row in done:
            text = row.text
            # A bar that wiped itself out at its end was never meant to stay.
            if text or not row.redrawn:
                yield text

    @property
    def open(self) -> str:
        """The newest line that is not whole yet: a bar's last frame, a line being written."""
        for row in reversed(self._rows):
            if row.text:
                return row.text
        return ""

    def close(self) -> list[str]:
        """What is left when no more will come."""
        self._held = ""
        rows, self._rows, self._at = self._rows, [_Row()], 0
        texts = [row.text for row in rows]
        while texts and not texts[-1]:
            texts.pop()
        return [text for text, row in zip(texts, rows, strict=False) if text or not row.redrawn]


def depth_of(data: bytes) -> int:
    """How many lines the bars in ``data`` go back up."""
    return min(max((int(up or 1) for up in _UP.findall(data)), default=0), _DEPTH_AT_MOST)


def last_frames(data: bytes) -> bytes:
    """``data`` with long runs of a bar's frames reduced to the last one, before any decoding.

    A night of a bar is tens of megabytes on one line.
    """
    if data.count(b"\r") < 1000:
        return data
    return b"\n".join(
        line if len(line) < 4096 or _UP.search(line) else _last_frame(line)
        for line in data.split(b"\n")
    )


def _last_frame(line: bytes) -> bytes:
    body = line.rstrip(b"\r ")
    return body[body.rfind(b"\r") + 1 :]
