"""``overnight top``: all living runs and those that have just ended, live."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from typing import Annotated

import typer

from overnight.cli.follow import echo_raw
from overnight.cli.glance import Glance, glance, is_living, look
from overnight.cli.output import (
    NOTHING,
    Cell,
    bar,
    columns,
    cut,
    echo,
    is_terminal,
    mib,
    now_us,
    paint,
    plain,
    print_json,
    span,
    table,
)
from overnight.cli.portrait import cards, left, metrics_text, percent, sign
from overnight.cli.select import is_there, known
from overnight.ledger.state import View, state_from_json, word
from overnight.messages import say

_EVERY_S = 1.0
#: A run that has ended is still of interest for so long.
_ENDED_SHOWN_S = 3600
_BAR_COLUMNS = 12
_GPUS_AT_MOST = 4


def register(app: typer.Typer) -> None:
    """Adds ``top``."""

    @app.command(help=say("show.top_help"))
    def top(
        once: Annotated[bool, typer.Option("--once", help=say("show.top_once"))] = False,
        root: Annotated[str | None, typer.Option(help=say("show.root"))] = None,
        json: Annotated[bool, typer.Option("--json", help=say("cli.json"))] = False,
    ) -> None:
        if json:
            print_json("top", runs=[each.to_json() for each in current(root)])
        elif once or not is_terminal() or not sys.stdin.isatty():
            for line in frame(current(root), columns()):
                echo(line)
        else:
            _live(root)


def current(root: str | None) -> list[Glance]:
    """The runs that have not ended, then those that ended within the last hour; newest first."""
    since_us = now_us() - _ENDED_SHOWN_S * 1_000_000
    living: list[View] = []
    ended: list[View] = []
    num_closed = 0
    for entry in known(root):
        closed = entry.ended is not None and state_from_json(entry.ended) is not None
        if closed:
            # The index does not say when: a few of the newest are opened to see.
            num_closed += 1
            if num_closed > 50 and entry.created_us < since_us:
                continue
        if not is_there(entry.run):
            continue
        try:
            now = look(entry.run)
        except OSError:  # somebody else's folder
            continue
        if is_living(now):
            living.append(now)
        elif now.ended_us is not None and now.ended_us >= since_us:
            ended.append(now)
    return [glance(now.run, now) for now in living + ended]


def frame(seen: list[Glance], width: int | None) -> list[str]:
    """The lines of one picture."""
    num_living = sum(each.is_living for each in seen)
    lines = [_machine_line(seen, num_living), ""]
    if not seen:
        return [*lines, say("show.top_none")]
    head = [
        say("show.head_" + key)
        for key in ("run", "state", "progress", "left", "cpu", "ram", "gpu", "last")
    ]
    return lines + table(head, [_row(each) for each in seen], width=width)


def _machine_line(seen: list[Glance], num_living: int) -> str:
    """The machine as the freshest sample of this machine's runs found it."""
    texts = [say("show.top_count", count=num_living)]
    fresh = [each for each in seen if each.is_living and "host_ram_used_mib" in each.sample]
    if fresh:
        sample = min(fresh, key=lambda each: each.age_s or 0.0).sample
        texts.append(f"CPU {sample.get('host_cpu_percent', 0):.0f} %")
        used, total = sample["host_ram_used_mib"], sample.get("host_ram_total_mib", 0.0)
        texts.append(f"RAM {used / 1024:.1f}/{mib(total)}")
        if "disk_free_mib" in sample:
            texts.append(say("show.disk_free", size=mib(sample["disk_free_mib"])))
    return paint("overnight top", "bold") + "  " + " · ".join(texts)


def _row(seen: Glance) -> list[Cell]:
    state, estimate, sample = seen.view.state, seen.estimate, seen.sample
    mark, colour = sign(state)
    progress, remaining = "", ""
    if seen.is_living and estimate is not None and estimate.fraction is not None:
        progress = bar(estimate.fraction, _BAR_COLUMNS) + " " + percent(estimate)
        remaining = left(estimate)
    elif not seen.is_living:
        remaining = "" if seen.ran_s is None else say("show.ran", span=span(seen.ran_s))
    elif seen.ran_s is not None:
        remaining = say("show.for", span=span(seen.ran_s))
    return [
        plain(seen.run.run_id),
        (f"{mark} {say('state.' + word(state))}", colour),
        (progress, "green") if progress else NOTHING,
        remaining or NOTHING,
        f"{sample['cpu_percent']:.0f} %" if "cpu_percent" in sample else NOTHING,
        mib(sample["ram_mib"]) if "ram_mib" in sample else NOTHING,
        _gpus(seen) or NOTHING,
        metrics_text(seen.metrics, 2),
    ]


def _gpus(seen: Glance) -> str:
    texts = [
        f"{card}: {seen.sample[key]:.0f} %"
        for card in cards(seen.sample)[:_GPUS_AT_MOST]
        if (key := f"gpu{card}_util_percent") in seen.sample
    ]
    return "  ".join(texts)


# ── the live picture ────────────────────────────────────────────────────────────────────────


def _live(root: str | None) -> None:
    """Draws once a second until q or Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt), _full_screen(), _keys() as pressed:
        while True:
            begun = time.monotonic()
            width = columns() or 80
            height = os.get_terminal_size(sys.stdout.fileno()).lines
            room = max(1, height - 1)
            lines = frame(current(root), width)[:room]
            lines += [""] * (room - len(lines))
            lines.append(paint(cut(say("show.top_keys"), width - 1), "dim"))
            # Each line wipes what the picture before left behind it; the screen never goes blank.
            echo_raw("\x1b[H" + "\r\n".join(line + "\x1b[K" for line in lines))
            if pressed(max(0.05, _EVERY_S - (time.monotonic() - begun))) in ("q", "Q", "\x1b"):
                return


@contextlib.contextmanager
def _full_screen() -> Iterator[None]:
    """The terminal's second screen, without cursor or wrapping; the first comes back untouched."""
    echo_raw("\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H\x1b[2J")
    try:
        yield
    finally:
        echo_raw("\x1b[?7h\x1b[?25h\x1b[?1049l")


@contextlib.contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """A function that waits some seconds for a key and gives it, or an empty string."""
    if sys.platform == "win32":
        import msvcrt

        def pressed(timeout_s: float) -> str:
            until = time.monotonic() + timeout_s
            while time.monotonic() < until:
                if msvcrt.kbhit():
                    return msvcrt.getwch()
                time.sleep(0.05)
            return ""

        yield pressed
    else:
        import termios
        import tty

        fd = sys.stdin.fileno()
        before = termios.tcgetattr(fd)

        def pressed(timeout_s: float) -> str:
            if not select.select([fd], [], [], timeout_s)[0]:
                return ""
            # An empty answer: the terminal is gone, and nobody looks any more.
            return os.read(fd, 1).decode("ascii", "replace") or "q"

        try:
            tty.setcbreak(fd)
            yield pressed
        finally:
            termios.tcsetattr(fd, termios.TCSADRAIN, before)
