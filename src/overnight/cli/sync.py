"""``overnight sync``: takes records to their trackers now, and waits until they are there."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

from overnight.cli.output import echo, parse_span, plain, print_json
from overnight.cli.select import complete_run, find, is_there, known
from overnight.errors import UserError, UserErrors
from overnight.ledger import files
from overnight.ledger.paths import RunPaths, find_root
from overnight.ledger.state import ENDED, view
from overnight.messages import say
from overnight.outbox import track
from overnight.outbox.standing import Standing, standing, total
from overnight.outbox.track import Asked

#: As timeout(1) has it.
TIMED_OUT = 124
_LOOK_AGAIN_S = 0.3


@dataclass(slots=True)
class _Way:
    """One run on its way to one tracker, as this verb sees it.

    Attributes:
        target: How many records there were when it was asked for.
    """

    asked: Asked
    begun_us: int
    target: int
    standing: Standing | None = None
    failed: bool = False

    def look(self) -> bool:
        """Whether there is nothing more to wait for."""
        found = [s for s in standing(self.asked.run) if s.tracker == self.asked.tracker]
        self.standing = found[0] if found else None
        self.failed = self.standing is not None and self.standing.failed_us > self.begun_us
        if self.standing is None or self.standing.closed or self.failed:
            return True
        if isinstance(view(self.asked.run).state, ENDED):
            return False  # its end is to be there as well
        return self.standing.sent >= self.target


def register(app: typer.Typer) -> None:
    """Adds ``sync``."""

    @app.command(help=say("track.sync_help"))
    def sync(
        runs: Annotated[
            list[str] | None,
            typer.Argument(
                metavar="RUN…", help=say("track.sync_runs"), autocompletion=complete_run
            ),
        ] = None,
        track_: Annotated[
            list[str] | None, typer.Option("--track", metavar="NAME", help=say("track.option"))
        ] = None,
        timeout: Annotated[
            str, typer.Option(metavar="10m", help=say("track.sync_timeout"))
        ] = "10m",
        root: Annotated[str | None, typer.Option(help=say("show.root"))] = None,
        json: Annotated[bool, typer.Option("--json", help=say("cli.json"))] = False,
    ) -> int:
        timeout_s = parse_span(timeout, "--timeout")
        chosen = [find(word, root=root) for word in runs] if runs else _unfinished(root)
        if track_:
            _add_trackers(chosen, track_)
        ways = _ask(chosen)
        if not ways and runs:
            where = ", ".join(run.run_id for run in chosen)
            raise UserError("track.sync_nowhere", where=plain(where))
        over = _wait(ways, timeout_s, quiet=json)
        return _tell(ways, over=over, json=json)


def _unfinished(root: str | None) -> list[RunPaths]:
    """The runs of the current root of which something is yet to be taken somewhere."""
    here = find_root(os.getcwd(), root)
    return [
        entry.run
        for entry in known(here)
        if is_there(entry.run)
        and any(not track.is_done(entry.run, each.name) for each in track.wanted(entry.run))
    ]


def _add_trackers(runs: Sequence[RunPaths], words: Sequence[str]) -> None:
    """Notes further trackers for runs, and for the agent.

    Raises:
        UserErrors: There is none of such a name.
    """
    from overnight.start import with_dotenv
    from overnight.start.track import where_to_track

    for run in runs:
        problems: list[UserError] = []
        found = where_to_track(words, run.root, with_dotenv(os.environ, run.root), problems)
        if problems:
            raise UserErrors(problems)
        there: dict[str, dict[str, Any]] = {w.name: dict(w.options) for w in track.wanted(run)}
        there |= {entry["name"]: entry for entry in found}
        track.write(run, list(there.values()))
        for part in track.children(run):
            track.take_along(part)


def _ask(runs: Sequence[RunPaths]) -> list[_Way]:
    from overnight.outbox.summon import summon
    from overnight.start import with_dotenv

    begun_us = time.time_ns() // 1000
    ways = []
    for run in runs:
        for asked in track.ask(run, with_dotenv(os.environ, run.root), again=True):
            [now] = [each for each in standing(run) if each.tracker == asked.tracker]
            cursor = files.read_json(run.cursor(asked.tracker)) or {}
            goes_on = cursor.get("lane") == asked.lane
            target = now.sent + now.left if goes_on else total(run, asked.tracker)
            ways.append(_Way(asked, begun_us, target))
    if ways:
        summon()
    return ways


def _wait(ways: Sequence[_Way], timeout_s: float, *, quiet: bool) -> bool:
    """Whether all of it came to an end; on a terminal the progress is shown meanwhile."""
    from overnight.outbox.summon import alive, summon

    shown = ""
    until = time.monotonic() + timeout_s
    show = not quiet and sys.stderr.isatty()
    while True:
        waiting = [way for way in ways if not way.look()]
        sent = sum(way.standing.sent for way in ways if way.standing is not None)
        total = max(sent, sum(way.target for way in ways))
        line = say("track.sync_progress", sent=sent, total=total)
        if show and line != shown:
            print("\r" + line, end="", file=sys.stderr, flush=True)
            shown = line
        if not waiting or time.monotonic() > until:
            if shown:
                print("\r" + " " * len(shown) + "\r", end="", file=sys.stderr)
            return not waiting
        if alive() is None:
            summon()
        time.sleep(_LOOK_AGAIN_S)


def _tell(ways: Sequence[_Way], *, over: bool, json: bool) -> int:
    failed = any(way.failed for way in ways)
    status = 1 if failed else 0 if over else TIMED_OUT
    if json:
        said = [
            {"run_id": way.asked.run.run_id, **asdict(way.standing)}
            for way in ways
            if way.standing is not None
        ]
        print_json("sync", trackers=said, timed_out=not over and not failed)
        return status
    if not ways:
        echo(say("track.sync_nothing"))
    for way in ways:
        each = way.standing
        if each is None:
            continue
        key = "track.sync_closed" if each.closed else "track.sync_standing"
        run = plain(way.asked.run.run_id)
        echo(
            say(key, run=run, tracker=each.tracker, sent=each.sent, left=each.left,
                url=plain(each.url))
        )  # fmt: skip
        if each.num_rejected:
            names = ", ".join(plain(name, 30) for name in list(each.rejected)[:5])
            echo("  " + say("track.sync_rejected", num=each.num_rejected, names=names))
        if each.trouble:
            trouble = ". ".join(filter(None, (each.trouble, each.fix)))
            echo("  " + plain(trouble, 400))
    return status
