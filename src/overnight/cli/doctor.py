"""``overnight doctor``: is this machine fit to be left alone with a job?"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from overnight.messages import say

if TYPE_CHECKING:
    from rich.console import Console

    from overnight.preflight.check import Check, Level

_MARKS: dict[Level, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "warn": ("!", "yellow"),
    "bad": ("✗", "bold red"),
    "unknown": ("?", "cyan"),
}
#: For terminals that cannot write the marks above.
_PLAIN_MARKS: dict[Level, str] = {"ok": "+", "bad": "x"}


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
        if json:
            from overnight.cli.output import print_json

            checks = examine(place, python)
            print_json("doctor", checks=[check.to_json() for check in checks])
        else:
            with _patience():
                checks = examine(place, python)
            _show(checks)
        return int(any(check.level == "bad" for check in checks))


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """Says that it is at work, where a person is looking."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(say("doctor.examining")):
        yield


def _show(checks: Sequence[Check]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from overnight.redact import redact

    console = Console(highlight=False)
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    # Folded, never cropped: a line is to be copied whole.
    grid.add_column(overflow="fold")
    name = ""
    for check in checks:
        mark, style = _mark(check.level, console)
        title = check.title if check.name != name else ""
        name = check.name
        grid.add_row(Text(mark, style), Text(title, "bold"), Text(redact(check.text)))
        if check.fix:
            grid.add_row("", "", Text(_arrow(console) + redact(check.fix), style))
    console.print(grid)
    console.print()
    for line, style in _summary(checks):
        console.print(Text(line, style))


def _mark(level: Level, console: Console) -> tuple[str, str]:
    mark, style = _MARKS[level]
    return (mark if _is_unicode(console) else _PLAIN_MARKS.get(level, mark)), style


def _arrow(console: Console) -> str:
    return "→ " if _is_unicode(console) else "-> "


def _is_unicode(console: Console) -> bool:
    return console.encoding.lower().startswith("utf")


def _summary(checks: Sequence[Check]) -> list[tuple[str, str]]:
    num: dict[Level, int] = dict.fromkeys(_MARKS, 0)
    for check in checks:
        num[check.level] += 1
    if num["bad"]:
        lines = [(say("doctor.summary.bad", num=num["bad"]), _MARKS["bad"][1])]
    elif num["warn"]:
        lines = [(say("doctor.summary.warn", num=num["warn"]), _MARKS["warn"][1])]
    else:
        lines = [(say("doctor.summary.ok"), _MARKS["ok"][1])]
    if num["unknown"]:
        lines.append((say("doctor.summary.unknown", num=num["unknown"]), _MARKS["unknown"][1]))
    return lines
