"""The page of ✓ and ✗ that ``doctor`` and ``check`` show."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from overnight.cli.output import (
    Colour,
    cells,
    columns,
    echo,
    is_terminal,
    pad,
    paint,
    plain,
    wrap,
)
from overnight.messages import say
from overnight.redact import redact

if TYPE_CHECKING:
    from overnight.preflight.check import Level

_MARKS: dict[Level, tuple[str, Colour]] = {
    "ok": ("✓", "green"),
    "warn": ("!", "yellow"),
    "bad": ("✗", "red"),
    "unknown": ("?", "cyan"),
}


@contextlib.contextmanager
def patience(sentence: str) -> Iterator[None]:
    """Says that it is at work, where a person is looking, and takes it back at the end."""
    if not sentence or not is_terminal(sys.stderr):
        yield
        return
    sys.stderr.write(sentence)
    sys.stderr.flush()
    try:
        yield
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def show(findings: Sequence[Any], text_of: Callable[[Any], str]) -> None:
    """Prints findings, those of one name together under its title.

    Args:
        findings: Each with ``name``, ``title``, ``level`` and ``fix``.
        text_of: A finding's sentence.
    """
    title_width = max(cells(finding.title) for finding in findings)
    indent = " " * (title_width + 3)
    width = max(20, (columns() or 1000) - len(indent))
    name = ""
    for finding in findings:
        mark, colour = _MARKS[finding.level]
        title = pad(finding.title if finding.name != name else "", title_width)
        name = finding.name
        first, *more = wrap(plain(redact(text_of(finding))), width)
        echo(f"{paint(mark, colour)} {paint(title, 'bold')} {first}")
        for line in more:
            echo(indent + line)
        if finding.fix:
            # Not wrapped: it is often a command, to be copied whole.
            echo(paint(f"{indent}→ {plain(redact(finding.fix))}", colour))
    echo()


def show_summary(findings: Sequence[Any], verb: str) -> None:
    """Prints what follows from them; the sentences are ``<verb>.summary.<level>``."""
    num = Counter(finding.level for finding in findings)
    worst: Level = "bad" if num["bad"] else "warn" if num["warn"] else "ok"
    levels: list[Level] = [worst, "unknown"] if num["unknown"] else [worst]
    for level in levels:
        mark, colour = _MARKS[level]
        echo(paint(say(f"{verb}.summary.{level}", num=num[level], mark=mark), colour))
