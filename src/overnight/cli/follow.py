"""Watching a run until it ends: its lines scroll by above one live line of progress.

Ctrl-C ends the watching, never the run, and then the exit code is 130, so that what stands behind
``&&`` does not go on with half a result.
"""

from __future__ import annotations

import os
import sys
import time

from overnight.cli.glance import Glance, ended_event, glance
from overnight.cli.logs import tail
from overnight.cli.output import (
    bar,
    cells,
    columns,
    cut,
    echo,
    has_colours,
    is_terminal,
    paint,
    plain,
    quoted,
    span,
)
from overnight.cli.portrait import counted, left, metrics_text, percent, portrait, sign, title
from overnight.cli.screen import Screen
from overnight.cli.select import is_there
from overnight.errors import RunNotFound
from overnight.ledger.paths import RunPaths, find_root
from overnight.ledger.reader import read
from overnight.ledger.state import ENDED, Elsewhere, Finished, Running, exit_status, word
from overnight.messages import say
from overnight.outbox.standing import standing
from overnight.outbox.track import wanted
from overnight.supervisor import report

_READ_EVERY_S, _LOOK_EVERY_S = 0.1, 0.5
_BLOCK_BYTES = 256 * 1024
#: The supervisor notes the end first and writes the log's last line right after.
_LAST_LINE_S = 3.0
#: What a mirror needs to start and to take the last records along, and a bit.
_TRACKERS_S = 30.0
#: What the page about a run takes, and a good deal.
_REPORT_S = 10.0
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_BAR_COLUMNS, _SHORT_BAR_COLUMNS, _WIDE_COLUMNS = 24, 12, 100
#: Where nothing can be redrawn, progress gets a line of its own each time it has come so far.
_PERCENT_PER_LINE = 10


def follow(run: RunPaths, *, last: int | None = None) -> int:
    """Shows what a run writes until it ends, then a summary.

    Args:
        run: The run.
        last: Begin with so many of the lines that are there already. By default with the newest
            attempt's first line.

    Returns:
        The job's exit code, 128+n for a signal, 125 where it cannot be known; 130 after Ctrl-C.
    """
    watcher = _Watcher(run, last)
    try:
        seen = watcher.watch()
    except KeyboardInterrupt:
        watcher.clear()
        echo(say("show.follow_left", run=quoted(run.run_id)))
        return 130
    echo()
    echo("\n".join(portrait(seen, ending=True)))
    if not isinstance(seen.view.state, Elsewhere):
        _tell_of_trackers(run)
        _tell_of_report(run)
    if run.kind in ("train", "pipeline"):
        echo(_training_end(seen))
    code = exit_status(seen.view.state)
    return 125 if code is None else code


def _tell_of_trackers(run: RunPaths) -> None:
    """Gives the trackers a moment to have all of it, and says what they have not."""
    if not wanted(run):
        return
    until = time.monotonic() + _TRACKERS_S
    said = False
    try:
        while not all(each.closed for each in standing(run)) and time.monotonic() < until:
            if not said:
                echo(say("train.waits"))
                said = True
            time.sleep(_LOOK_EVERY_S)
    except KeyboardInterrupt:
        echo()
    for each in standing(run):
        key = "train.arrived" if each.closed else "train.still"
        url = _where(run, each.url) if each.closed or "://" in each.url else ""
        fields = {"tracker": each.tracker, "url": url, "left": each.left}
        echo(say(key, run=quoted(run.run_id), **fields).rstrip())
        if each.trouble:
            echo("  " + say("train.trouble", tracker=each.tracker, trouble=plain(each.trouble)))


def _tell_of_report(run: RunPaths) -> None:
    """Says where the page about the run is, once it is there."""
    until = time.monotonic() + _REPORT_S
    try:
        while report.is_due(run) and time.monotonic() < until:
            time.sleep(_READ_EVERY_S)
    except KeyboardInterrupt:
        echo()
    if report.is_there(run):
        echo(say("report.written", path=plain(run.report)))


def _where(run: RunPaths, url: str) -> str:
    """Where a person finds it: an address, or the command that shows or uploads what lies here."""
    if url.startswith("mlflow.db"):
        here = find_root(os.getcwd()) == run.root
        return say("train.look", root="" if here else f" --root {quoted(run.root)}")
    if url.startswith("http") or not url:
        return url
    return say("train.offline", folder=quoted(url))


def _training_end(seen: Glance) -> str:
    """A training's last line on the console; its first words are the same in all languages."""
    state = seen.view.state
    if isinstance(state, Finished):
        return f"[EXIT] training finished successfully (see {plain(seen.run.log)})"
    return f"[EXIT][ERROR] training failed: {_why(seen)}"


def _why(seen: Glance) -> str:
    """The cause in a few words: the training's own, where it said one."""
    cause = getattr(seen.view.state, "cause", None) or ended_event(seen.run).get("cause")
    if not isinstance(cause, dict):
        return title(seen.view.state)
    from overnight.supervisor.cause import Cause

    found = Cause.from_json(cause)
    own = found.evidence.removeprefix("[ERROR] ")
    return own if own != found.evidence else found.text


class _Watcher:
    """The terminal's side of a run: what was printed, and what stands in the bottom line."""

    def __init__(self, run: RunPaths, last: int | None) -> None:
        self.run = run
        self._last = last
        self._live = is_terminal()
        self._screen = Screen(colours=has_colours())
        self._offset: int | None = None
        self._bottom = ""
        self._told_percent = 0
        #: The job writes faster than was read: there is more to read at once.
        self._behind = False
        self._last_line = ""

    def watch(self) -> Glance:
        """Prints until the run has ended; gives it as it is then."""
        seen = self._look()
        looked_at = time.monotonic()
        while not isinstance(seen.view.state, (*ENDED, Elsewhere)):
            self._show(self._new_lines(), seen)
            if not self._behind:
                time.sleep(_READ_EVERY_S)
            if time.monotonic() - looked_at >= _LOOK_EVERY_S:
                seen = self._look()
                looked_at = time.monotonic()
        self._read_out(seen)
        return seen

    def _look(self) -> Glance:
        if not is_there(self.run):
            self.clear()
            raise RunNotFound("show.folder_gone", where=plain(self.run.dir))
        return glance(self.run)

    def _read_out(self, seen: Glance) -> None:
        """Prints what is still unread after the end."""
        supervised = seen.info.get("supervised") is not False
        until = time.monotonic() + (_LAST_LINE_S if supervised else 0.0)
        while True:
            lines = self._new_lines()
            self._show(lines, None)
            over = self._last_line.startswith("[EXIT]") or time.monotonic() > until
            if not lines and (over or isinstance(seen.view.state, Elsewhere)):
                break
            if not lines:
                time.sleep(_READ_EVERY_S / 2)
        self._show(self._screen.close(), None)

    # ── the log ─────────────────────────────────────────────────────────────────────────

    def _new_lines(self) -> list[str]:
        """The lines that have become whole since the last call."""
        try:
            if self._offset is None:
                return self._first_lines()
            with open(self.run.log, "rb") as file:
                if os.fstat(file.fileno()).st_size < self._offset:
                    self._offset = 0  # somebody emptied it
                file.seek(self._offset)
                data = file.read(_BLOCK_BYTES)
                self._offset += len(data)
                self._behind = len(data) == _BLOCK_BYTES
        except FileNotFoundError:
            return []
        return self._screen.feed(data) if data else []

    def _first_lines(self) -> list[str]:
        if self._last is not None:
            self._screen, lines, self._offset = tail(self.run.log, self._last)
            return lines[-self._last :] if self._last else []
        size = os.stat(self.run.log).st_size
        begin = 0
        for record in read(self.run.dir, "events").records:
            place = record.get("log_bytes")
            if record.get("_event") == "Started" and isinstance(place, int):
                begin = place
        self._offset = begin if 0 <= begin <= size else 0
        return self._new_lines()

    # ── the terminal ────────────────────────────────────────────────────────────────────

    def _show(self, lines: list[str], seen: Glance | None) -> None:
        """Prints ``lines`` above the bottom line, and that anew."""
        if lines:
            self._last_line = lines[-1]
        if not self._live:
            for line in lines:
                echo(line)
            if seen is not None:
                self._tell_progress(seen)
            sys.stdout.flush()
            return
        bottom = "" if seen is None else self._bottom_line(seen)
        if not lines and bottom == self._bottom:
            return
        self.clear()
        for line in lines:
            echo(line)
        sys.stdout.flush()
        if bottom:
            # The line is not wrapped, or it could not be wiped again.
            echo_raw("\x1b[?7l" + bottom + "\x1b[?7h")
        self._bottom = bottom

    def clear(self) -> None:
        """Wipes the bottom line."""
        if self._bottom:
            echo_raw("\r\x1b[2K")
            self._bottom = ""

    def _tell_progress(self, seen: Glance) -> None:
        estimate = seen.estimate
        if estimate is None or estimate.fraction is None:
            return
        step = int(estimate.fraction * 100 + 1e-9) // _PERCENT_PER_LINE
        if step > self._told_percent:
            texts = [percent(estimate), counted(estimate), left(estimate)]
            echo("[overnight] " + " · ".join(text for text in texts if text))
        self._told_percent = step

    def _bottom_line(self, seen: Glance) -> str:
        width = (columns() or 80) - 1
        state, estimate = seen.view.state, seen.estimate
        mark, colour = sign(state)
        if isinstance(state, Running):
            # As often as the eye takes for moving; the line is not redrawn for less.
            mark = _SPINNER[int(time.monotonic() * 5) % len(_SPINNER)]
        texts = [] if isinstance(state, Running) else [say("state." + word(state))]
        drawn = ""
        if estimate is not None and estimate.fraction is not None:
            long = width >= _WIDE_COLUMNS
            drawn = bar(estimate.fraction, _BAR_COLUMNS if long else _SHORT_BAR_COLUMNS)
        if estimate is not None:
            texts += [percent(estimate), counted(estimate), left(estimate)]
        elif seen.ran_s is not None:
            texts.append(say("show.for", span=span(seen.ran_s)))
        if seen.metrics:
            texts.append(metrics_text(seen.metrics, 2))
        elif estimate is None and self._screen.open:
            texts.append(plain(self._screen.open))
        rest = "  ".join(text for text in texts if text)
        room = width - 2 - (cells(drawn) + 2 if drawn else 0)
        painted = paint(mark, colour) + " " + (paint(drawn, "green") + "  " if drawn else "")
        return painted + cut(rest, room)


def echo_raw(text: str) -> None:
    """Writes to the terminal at once, without ending the line."""
    encoding = sys.stdout.encoding or "ascii"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()
