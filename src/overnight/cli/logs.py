"""``overnight logs``: a job's output, made fit for a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from overnight.cli.output import echo, has_colours
from overnight.cli.screen import Screen, depth_of, last_frames
from overnight.cli.select import complete_run, find
from overnight.errors import RunConflict
from overnight.messages import say

_LINES = 50
_BLOCK_BYTES = 1024 * 1024
#: The end of a log is read in growing pieces, up to this: a bar may have redrawn itself all night.
_FIRST_TAIL_BYTES, _TAIL_AT_MOST_BYTES = 64 * 1024, 16 * 1024 * 1024


def register(app: typer.Typer) -> None:
    """Adds ``logs``."""

    @app.command(help=say("show.logs_help"))
    def logs(
        run: Annotated[
            str | None, typer.Argument(help=say("show.run"), autocompletion=complete_run)
        ] = None,
        num: Annotated[
            int | None, typer.Option("-n", metavar="N", min=0, help=say("show.logs_num"))
        ] = None,
        all_: Annotated[bool, typer.Option("--all", "-a", help=say("show.logs_all"))] = False,
        follow: Annotated[
            bool, typer.Option("--follow", "-f", help=say("show.logs_follow"))
        ] = False,
        path: Annotated[bool, typer.Option("--path", help=say("show.logs_path"))] = False,
        root: Annotated[str | None, typer.Option(help=say("show.root"))] = None,
    ) -> int | None:
        found = find(run, root=root)
        if path:
            echo(found.log)
            return None
        if num is None and not all_:
            # Whoever pipes it on looks for something, and that may stand anywhere.
            num = _LINES if follow or sys.stdout.isatty() else None
        if follow:
            from overnight.cli.follow import follow as follow_run

            return follow_run(found, last=num if num is not None else sys.maxsize)
        try:
            for line in whole(found.log) if num is None else last_lines(found.log, num):
                echo(line)
        except FileNotFoundError:
            raise RunConflict("show.no_log", where=found.log) from None
        return None


def whole(path: str) -> Iterator[str]:
    """Every line of a log, in constant memory."""
    screen = Screen(colours=has_colours())
    with open(path, "rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield from screen.feed(block)
    yield from screen.close()


def last_lines(path: str, num: int) -> list[str]:
    """The last ``num`` lines of a log, whatever its size."""
    screen, lines, _ = tail(path, num)
    lines += screen.close()
    return lines[-num:] if num else []


def tail(path: str, num: int) -> tuple[Screen, list[str], int]:
    """The end of a log that may still grow.

    Returns:
        The screen that what follows is fed to, at least the last ``num`` whole lines where there
        are so many, and the place in the file that was read up to.
    """
    num_bytes = _FIRST_TAIL_BYTES
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        while True:
            start = max(0, size - num_bytes)
            file.seek(start)
            data = file.read(size - start)
            if start:
                first, newline, rest = data.partition(b"\n")
                data = rest if newline else first
            data = last_frames(data)
            screen = Screen(colours=has_colours(), depth=depth_of(data))
            lines = screen.feed(data)
            if len(lines) > num or not start or num_bytes >= _TAIL_AT_MOST_BYTES:
                return screen, lines, size
            num_bytes *= 4
