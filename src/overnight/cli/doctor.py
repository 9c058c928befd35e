"""``overnight doctor``: is this machine fit to be left alone with a job?"""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from overnight.cli.output import (
    Colour,
    cells,
    columns,
    echo,
    is_terminal,
    pad,
    paint,
    plain,
    print_json,
    wrap,
)
from overnight.messages import say
from overnight.redact import redact

if TYPE_CHECKING:
    from overnight.preflight.check import Check, Level

_MARKS: dict[Level, tuple[str, Colour]] = {
    "ok": ("✓", "green"),
    "warn": ("!", "yellow"),
    "bad": ("✗", "red"),
    "unknown": ("?", "cyan"),
}


def register(app: typer.Typer) -> None:
    """Adds ``doctor``."""

    @app.command(help=say("doctor.help"))
    def doctor(
        python: Annotated[
            str | None, typer.Option(metavar="PATH", help=say("doctor.help.python"))
        ] = None,
        root: Annotated[
            str | None, typer.Option(metavar="DIR", help=say("doctor.help.root"))
        ] = None,
        json: Annotated[bool, typer.Option("--json", help=say("doctor.help.json"))] = False,
    ) -> int:
        from overnight.ledger.paths import find_root
        from overnight.preflight.doctor import examine

        place = Path(find_root(str(Path.cwd()), root))
        more: dict[str, Callable[[], list[Check]]] = {}
        if sys.platform != "win32":  # the agent needs processes as Linux and macOS have them
            from overnight.agent.examine import examine_channels

            more["channels"] = examine_channels
        if json:
            checks = examine(place, python, more=more)
            print_json("doctor", checks=[check.to_json() for check in checks])
        else:
            with _patience():
                checks = examine(place, python, more=more)
            _show(checks)
        return int(any(check.level == "bad" for check in checks))


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """Says that it is at work, where a person is looking, and takes it back at the end."""
    if not is_terminal(sys.stderr):
        yield
        return
    sys.stderr.write(say("doctor.examining"))
    sys.stderr.flush()
    try:
        yield
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def _show(checks: Sequence[Check]) -> None:
    title_width = max(cells(check.title) for check in checks)
    indent = " " * (title_width + 3)
    width = max(20, (columns() or 1000) - len(indent))
    name = ""
    for check in checks:
        mark, colour = _MARKS[check.level]
        title = pad(check.title if check.name != name else "", title_width)
        name = check.name
        first, *more = wrap(plain(redact(check.text)), width)
        echo(f"{paint(mark, colour)} {paint(title, 'bold')} {first}")
        for line in more:
            echo(indent + line)
        if check.fix:
            # Not wrapped: it is often a command, to be copied whole.
            echo(paint(f"{indent}→ {plain(redact(check.fix))}", colour))
    echo()
    for sentence, colour in _summary(checks):
        echo(paint(sentence, colour))


def _summary(checks: Sequence[Check]) -> list[tuple[str, Colour]]:
    num = Counter(check.level for check in checks)

    def line(level: Level) -> tuple[str, Colour]:
        mark, colour = _MARKS[level]
        return say(f"doctor.summary.{level}", num=num[level], mark=mark), colour

    worst: Level = "bad" if num["bad"] else "warn" if num["warn"] else "ok"
    return [line(worst), *([line("unknown")] if num["unknown"] else [])]
