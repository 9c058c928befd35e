"""``overnight doctor``: is this machine fit to be left alone with a job?"""

from __future__ import annotations

import contextlib
import io
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from overnight.messages import say

if TYPE_CHECKING:
    from overnight.preflight.check import Check, Level

_MARKS = {
    "ok": ("✓", "green"),
    "warn": ("!", "yellow"),
    "bad": ("✗", "bold red"),
    "unknown": ("?", "cyan"),
    "arrow": ("→", ""),
}
#: For terminals that cannot write the marks above.
_PLAIN = {"✓": "+", "✗": "x", "→": "->"}


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
    from rich.cells import cell_len, set_cell_size
    from rich.console import Console
    from rich.text import Text

    from overnight.redact import redact

    console = Console(highlight=False)
    marks = _marks(console.encoding)
    title_width = max(cell_len(check.title) for check in checks)
    indent = " " * (title_width + 3)
    name = ""
    for check in checks:
        mark, style = marks[check.level]
        title = check.title if check.name != name else ""
        name = check.name
        line = Text.assemble((mark, style), " ", (set_cell_size(title, title_width), "bold"), " ")
        wrapped = Text(redact(check.text)).wrap(console, max(20, console.width - len(indent)))
        line.append_text(Text("\n" + indent).join(wrapped))
        console.print(line, soft_wrap=True)
        if check.fix:
            # Not wrapped: it is often a command, to be copied whole.
            fix = f"{indent}{marks['arrow'][0]} {redact(check.fix)}"
            console.print(Text(fix, style), soft_wrap=True)
    console.print()
    for sentence, style in _summary(checks, marks):
        console.print(Text(sentence, style))


def _marks(encoding: str) -> Mapping[str, tuple[str, str]]:
    """Mark and style of each level, in what the terminal can write."""
    if encoding.lower().startswith("utf"):
        return _MARKS
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    return {level: (_PLAIN.get(mark, mark), style) for level, (mark, style) in _MARKS.items()}


def _summary(
    checks: Sequence[Check], marks: Mapping[str, tuple[str, str]]
) -> list[tuple[str, str]]:
    num = Counter(check.level for check in checks)

    def line(level: Level) -> tuple[str, str]:
        mark, style = marks[level]
        return say(f"doctor.summary.{level}", num=num[level], mark=mark), style

    worst: Level = "bad" if num["bad"] else "warn" if num["warn"] else "ok"
    return [line(worst), *([line("unknown")] if num["unknown"] else [])]
