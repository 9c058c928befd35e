"""Where statements begin in text that is almost Python: cells with ``!`` and ``%`` lines in them.

The tokenizer of the standard library stops at the first ``!``; this one only follows strings,
brackets and comments, and so knows which lines begin a statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

#: Whatever opens or closes something, or hides the rest of its line.
_EVENT = re.compile(r"\\.|\"\"\"|'''|[\"'#()\[\]{}]", re.DOTALL)
_OPEN = "([{"
_CLOSE = ")]}"


@dataclass(frozen=True, slots=True)
class Line:
    """A physical line; ``starts`` tells whether a statement may begin on it."""

    number: int
    text: str
    starts: bool


class Scanner:
    """Follows strings and brackets from line to line."""

    def __init__(self) -> None:
        self._quote = ""
        self._depth = 0
        self._continued = False

    @property
    def at_start(self) -> bool:
        """Whether the next line begins a statement."""
        return not self._quote and self._depth == 0 and not self._continued

    def feed(self, line: str) -> None:
        """Read one line of Python (without its line end)."""
        self._continued = False
        at = 0
        while True:
            if self._quote:
                at = self._close(line, at)
                if at < 0:
                    return
                continue
            event = _EVENT.search(line, at)
            if event is None:
                break
            word = event.group()
            at = event.end()
            if word == "#":
                return
            if word in ('"""', "'''", '"', "'"):
                self._quote = word
            elif word in _OPEN:
                self._depth += 1
            elif word in _CLOSE:
                self._depth = max(0, self._depth - 1)
        self._continued = _ends_with_backslash(line)

    def _close(self, line: str, at: int) -> int:
        """Where the open string ends in ``line``; -1 where it does not."""
        quote = self._quote
        while at < len(line):
            if line[at] == "\\":
                at += 2
                continue
            if line.startswith(quote, at):
                self._quote = ""
                return at + len(quote)
            at += 1
        if len(quote) == 1 and not _ends_with_backslash(line):
            self._quote = ""  # an unclosed short string ends with its line
        return -1


def _ends_with_backslash(line: str) -> bool:
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def statement_lines(source: str) -> Iterator[Line]:
    """Every line of ``source``; lines for which ``starts`` is set may be magics.

    A line that begins with ``!`` or ``%`` where a statement may begin is not read as Python.
    """
    scanner = Scanner()
    continued = False
    for number, text in enumerate(source.split("\n"), 1):
        if continued:
            yield Line(number, text, starts=False)
            continued = _ends_with_backslash(text)
            continue
        starts = scanner.at_start
        yield Line(number, text, starts)
        if starts and is_magic(text):
            continued = _ends_with_backslash(text)
        else:
            scanner.feed(text)


_ASSIGNED = re.compile(
    r"^(?P<target>[^\W\d][\w.\[\]'\", ()*]*?)\s*=\s*(?P<mark>!|%(?=[^\W\d]))(?P<rest>.*)$",
    re.DOTALL,
)
_HELP = re.compile(r"^(?:\?{1,2}[\w.*%]+|[\w.*%\[\]()'\"]+\?{1,2});?\s*$")


def is_magic(text: str) -> bool:
    """Whether a line that begins a statement is IPython's rather than Python's."""
    bare = text.strip()
    if not bare:
        return False
    if bare[0] in "!%":
        return True
    if "?" in bare and _HELP.match(bare):
        return True
    return ("!" in bare or "%" in bare) and _ASSIGNED.match(bare) is not None


def assigned_magic(bare: str) -> tuple[str, str, str] | None:
    """``x = !ls`` as ("x", "!", "ls"); None where the line is nothing of the kind."""
    match = _ASSIGNED.match(bare)
    return (match["target"].strip(), match["mark"], match["rest"].strip()) if match else None


def is_help(bare: str) -> bool:
    """Whether a line asks for help: ``?len``, ``len??``."""
    return _HELP.match(bare) is not None


def joined(lines: list[str]) -> str:
    """The lines of one magic, continued by backslashes, as one."""
    return " ".join(
        [line.rstrip()[:-1] if line.rstrip().endswith("\\") else line for line in lines]
    )
